// Puts the page together and keeps it up to date.

import { loadState, watch } from "./api.js";
import { Ask } from "./ask.js";
import { ChannelPane } from "./channel.js";
import { announce } from "./doing.js";
import { FaultsPanel } from "./faults.js";
import { Inspector } from "./inspector.js";
import { Modal } from "./modal.js";
import { closePanel, closeThread, readFragment, restorePlace } from "./places.js";
import { Keys, Search } from "./search.js";
import { Sidebar } from "./sidebar.js";
import { apply, changed, here, isReply, load, onChange, rootOf, userName, world } from "./state.js";
import { applyTheme } from "./theme.js";
import { ThreadPane } from "./thread.js";

const RETRY_MS = 1000;
const search = new Search();
const keys = new Keys();
const ask = new Ask();

function build() {
  const panes = [new Sidebar(search, keys, ask), new ChannelPane(), new ThreadPane(), new Inspector(), new FaultsPanel(), new Modal(), search, keys, ask];
  const app = document.getElementById("app");
  app.replaceChildren(...panes.map((pane) => pane.element));
  onChange(() => {
    app.dataset.menu = String(here.menu);
    app.dataset.thread = String(Boolean(here.thread));
    app.dataset.panel = here.panel === "steps" && !here.thread ? "" : here.panel;
    for (const pane of panes) pane.show();
  });
}

// Load everything, follow the feed, and reload when the feed is lost.
async function connect(first) {
  try {
    const state = await loadState();
    load(state);
    if (first) restorePlace();
    else readFragment();
    changed();
    watch(state.last_change, take, lost);
  } catch {
    lost();
  }
}

function lost() {
  world.connected = false;
  changed();
  setTimeout(() => connect(!world.ready), RETRY_MS);
}

// Apply changes one by one, so that none is lost while the whole state is reloaded.
let taken = Promise.resolve();

function take(change) {
  taken = taken.then(() => takeNow(change)).catch(() => {});
}

async function takeNow(change) {
  const known = apply(change);
  if (change.kind === "message_posted") announceMessage(change.data);
  if (!known) load(await loadState());
  changed();
}

function announceMessage({ channel_id: channel, message }) {
  const seen = channel === here.channel && (!isReply(message) || rootOf(message) === here.thread);
  if (seen && message.user !== here.speaker) announce(`${userName(message.user)}: ${message.text.slice(0, 200)}`);
}

document.addEventListener("keydown", (event) => {
  if (document.querySelector("dialog[open]")) return;
  const isTyping = /^(TEXTAREA|INPUT|SELECT)$/.test(event.target.tagName);
  const opened = { k: (event.ctrlKey || event.metaKey) && search, "?": !isTyping && keys }[event.key];
  if (!opened) return;
  event.preventDefault();
  opened.open();
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || document.querySelector("dialog[open], .menu")) return;
  if (here.menu) here.menu = false;
  else if (here.panel) closePanel();
  else if (here.thread) closeThread();
  changed();
});
document.addEventListener("pointerdown", (event) => {
  if (here.menu && !event.target.closest(".sidebar, .narrow-only")) {
    here.menu = false;
    changed();
  }
});
document.addEventListener("visibilitychange", changed);
addEventListener("popstate", readFragment);
addEventListener("hashchange", readFragment);

applyTheme();
build();
connect(true);
