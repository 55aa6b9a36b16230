// Navigation. The fragment of the address preserves the place across a reload.

import { act } from "./api.js";
import { changed, channelName, here, isAppDm, listThread, myChannels, people, world } from "./state.js";
import { readUntil } from "./unread.js";

const SPEAKER = "local-slack-speaker";
let metAgent = false;

export function restorePlace() {
  const names = people().map((user) => user.id);
  const kept = sessionStorage.getItem(SPEAKER) ?? localStorage.getItem(SPEAKER);
  here.speaker = names.includes(kept) ? kept : (names[0] ?? "");
  readFragment();
}

export function readFragment() {
  const [, channel, thread] = location.hash.slice(1).split("/");
  const [wanted, tab] = (channel ?? "").split(":");
  const mine = myChannels();
  const found = mine.find((one) => one.id === wanted) ?? mine.find((one) => one.name === "general") ?? mine[0];
  enter(found?.id ?? "");
  here.tab = tab === "home" ? "home" : "messages";
  here.thread = found?.id === wanted ? (thread ?? "") : "";
  changed();
}

function enter(channel) {
  if (here.channel !== channel) here.newSince = readUntil(channel);
  here.channel = channel;
  here.editing = "";
}

function writeFragment() {
  const tab = here.tab === "home" ? ":home" : "";
  history.pushState(null, "", `#/${here.channel}${tab}${here.thread ? `/${here.thread}` : ""}`);
  changed();
}

export function goChannel(id) {
  const tab = here.channel ? "messages" : here.tab; // chosen while the app's direct message was being opened
  enter(id);
  Object.assign(here, { tab: "messages", thread: "", menu: false });
  if (here.panel === "steps") here.panel = "";
  const channel = world.channels.get(id);
  if (isAppDm(channel)) openTab(tab);
  else if (metAgent) act(here.speaker, "looks_at", { channel: id }).catch(() => {});
  document.title = `${channelName(channel)} · local Slack`;
  writeFragment();
}

// An empty pane while the app's direct message is being opened.
export function awaitApp() {
  enter("");
  Object.assign(here, { tab: "messages", thread: "", menu: false });
  if (here.panel === "steps") here.panel = "";
  changed();
}

// The address of this page that opens a message's thread.
export const linkTo = (channel, message) =>
  `${location.origin}/#/${channel}/${message.thread_ts || message.ts}`;

export function goThread(ts) {
  here.thread = ts;
  here.editing = "";
  if (here.panel === "steps") here.chosen = ts;
  writeFragment();
}

export function closeThread() {
  returnFocus(`.channel [data-ts="${CSS.escape(here.thread)}"] article`);
  here.thread = "";
  if (here.panel === "steps") here.panel = "";
  writeFragment();
}

// Once the panes are shown: what was closed must not take the focus with it.
function returnFocus(selector) {
  setTimeout(() => {
    const lost = !document.activeElement?.checkVisibility() || document.activeElement === document.body;
    if (lost) document.querySelector(selector)?.focus();
  }, 20);
}

export function openTab(tab) {
  metAgent = true;
  here.tab = tab;
  act(here.speaker, "opens_home", { tab }).catch(() => {});
  if (tab === "home") here.thread = "";
  writeFragment();
}

export function speakAs(id) {
  here.speaker = id;
  sessionStorage.setItem(SPEAKER, id);
  localStorage.setItem(SPEAKER, id);
  here.editing = "";
  here.newSince = readUntil(here.channel);
  const channel = world.channels.get(here.channel);
  if (!channel?.members.includes(id)) {
    const mine = myChannels();
    goChannel((mine.find((one) => one.name === "general") ?? mine[0])?.id ?? "");
  }
  changed();
}

export function showSteps(message) {
  here.panel = "steps";
  here.chosen = message.ts;
  here.thread ||= message.thread_ts || message.ts;
  writeFragment();
}

const OPENERS = { steps: ".steps-button", faults: ".faults-button" };

export function closePanel() {
  returnFocus(OPENERS[here.panel]);
  here.panel = "";
  changed();
}

export function togglePanel(panel) {
  if (here.panel === panel) {
    closePanel();
    return;
  }
  here.panel = panel;
  if (here.panel === "steps") here.chosen = lastQuestion();
  here.menu = false;
  changed();
}

const lastQuestion = () =>
  listThread(here.channel, here.thread).filter((message) => !message.bot_id).at(-1)?.ts ?? here.thread;

export function chooseMessage(ts) {
  if (here.panel !== "steps") return;
  here.chosen = ts;
  changed();
}

export function startEditing(ts) {
  here.editing = ts;
  changed();
}

export function stopEditing() {
  here.editing = "";
  changed();
}
