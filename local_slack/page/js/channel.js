// The middle pane: a channel's messages, or the app's Messages and Home tabs.

import { Composer } from "./composer.js";
import { h, icon, iconButton, replace } from "./dom.js";
import { HomeView } from "./home.js";
import { MessageList } from "./message_list.js";
import { avatar } from "./message.js";
import { installPage } from "./more.js";
import { goThread, openTab, startEditing } from "./places.js";
import { Prompts } from "./prompts.js";
import { changed, channelName, here, isAppDm, listRoots, userName, world } from "./state.js";
import { markRead } from "./unread.js";

const isWide = () => matchMedia("(min-width: 721px)").matches;

export class ChannelPane {
  constructor() {
    this.title = h("h1");
    this.about = h("span", { class: "about" });
    this.tabs = h("div", { class: "tabs", role: "tablist", "aria-label": "App" });
    this.list = new MessageList("Messages");
    this.home = new HomeView();
    this.prompts = new Prompts((text) => this.ask(text));
    this.composer = new Composer({
      label: "Message",
      where: () => ({ channel: here.channel, thread: "" }),
      edit: () => editLast(listRoots(here.channel)),
      sent: (ts, channel, text) => this.sent(ts, channel, text),
    });
    this.install = h("p", { class: "install", role: "status", hidden: true });
    this.hint = h("p", { class: "composer-hint", role: "status", hidden: true });
    this.element = h("main", { class: "channel" },
      h("header", { class: "bar" },
        iconButton("menu", "Show channels and people", () => { here.menu = !here.menu; changed(); }, { class: "icon-button narrow-only" }),
        this.title, this.about, h("span", { class: "grow" }), this.tabs),
      this.home.element, this.list.element, this.prompts.element, this.install, this.composer.element, this.hint);
  }

  // A suggested prompt: in a channel the app has to be mentioned.
  ask(text) {
    const words = isAppDm(world.channels.get(here.channel)) ? text : `@${world.bot.name} ${text}`;
    return this.composer.say(words, here.channel, "", [], false);
  }

  // A question opens its thread, so that the answer is visible. Many apps receive mentions only.
  sent(ts, channel, text) {
    if (channel !== here.channel) return;
    const direct = isAppDm(world.channels.get(channel));
    const asked = direct || text.includes("@bot") || text.includes(`@${world.bot.name}`);
    if (direct || (asked && isWide())) goThread(ts);
    this.showHint(asked ? "" : text);
  }

  showHint(text) {
    const name = world.bot.name;
    this.hint.hidden = !text;
    if (!text) return;
    const again = () => {
      this.showHint("");
      this.ask(text);
    };
    replace(this.hint, `@${name} was not mentioned, so it may not answer. `,
      h("button", { type: "button", class: "link", onclick: again }, `Ask @${name}`));
  }

  show() {
    const channel = world.channels.get(here.channel);
    const app = !channel || isAppDm(channel); // none: the direct message is being opened
    const name = channel ? channelName(channel) : userName(world.bot.id);
    const sign = app ? avatar(world.bot.id) : channel?.type === "mpim" ? icon("people") : channel?.type === "group" ? icon("lock") : icon("hash");
    replace(this.title, sign, h("span", null, name));
    this.about.textContent = app ? "App" : `${channel?.members.length ?? 0} members`;
    this.element.setAttribute("aria-label", name);
    this.showTabs(app);
    const home = app && here.tab === "home";
    this.home.element.hidden = !home;
    this.list.element.hidden = this.composer.element.hidden = home;
    if (home) {
      this.prompts.element.hidden = true;
      this.home.show();
      return;
    }
    this.showInstall();
    const roots = listRoots(here.channel);
    this.list.show(here.channel, roots, { inThread: false, place: here.channel, newSince: here.newSince, label: `Messages in ${name}` });
    replace(this.list.tail, roots.length || !channel ? null : welcome(app, name));
    this.prompts.show(here.channel, "", roots.length === 0);
    if (this.place !== here.channel) this.enter();
    this.composer.show(app ? `Message ${name}` : `Message ${["channel", "group"].includes(channel?.type) ? "#" : ""}${name}`);
    if (document.visibilityState === "visible") markRead(here.channel, roots.at(-1)?.ts);
  }

  showInstall() {
    const page = installPage();
    this.install.hidden = !page;
    if (page === this.installPage) return;
    this.installPage = page;
    replace(this.install, page ? [`${userName(world.bot.id)} is not in ${world.team.name} yet. `,
      h("a", { class: "button primary", href: page, target: "_blank", rel: "opener" }, "Add it")] : null);
  }

  // Focus the composer, except on a phone, where the keyboard would cover the channel.
  enter() {
    this.place = here.channel;
    this.showHint("");
    if (!here.thread && isWide()) this.composer.focus();
  }

  showTabs(app) {
    this.tabs.hidden = !app;
    if (!app) return;
    const tab = (key, label) =>
      h("button", { type: "button", role: "tab", "aria-selected": String(here.tab === key), onclick: () => openTab(key) }, label);
    const wanted = `${here.tab}`;
    if (this.tabs.dataset.tab === wanted) return;
    const focused = this.tabs.contains(document.activeElement);
    this.tabs.dataset.tab = wanted;
    replace(this.tabs, tab("home", "Home"), tab("messages", "Messages"));
    if (focused) this.tabs.querySelector("[aria-selected=true]").focus();
  }
}

function welcome(app, name) {
  const bot = userName(world.bot.id);
  return h("div", { class: "welcome" },
    app ? avatar(world.bot.id) : icon("hash"),
    h("h2", null, app ? `Talk to ${name}` : `Welcome to #${name}`),
    h("p", null, app
      ? "Every message here starts its own conversation, with the answers in its thread."
      : `Mention @${bot} and it answers in a thread. In the thread there is no need to mention it again.`),
    h("p", { class: "quiet" }, "This workspace runs on your machine; nothing is sent to Slack. Type / for the app's commands. In a thread, What happened shows every call; Faults breaks things on purpose."));
}

// Open the last own message for editing; returns whether there is one.
export function editLast(messages) {
  const mine = messages.filter((message) => message.user === here.speaker && !message.subtype).at(-1);
  if (mine) startEditing(mine.ts);
  return Boolean(mine);
}
