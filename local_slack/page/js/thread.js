// The thread in the side panel, with what an agent shows around it: title, status, Stop, prompts.

import { press } from "./api.js";
import { editLast } from "./channel.js";
import { Composer } from "./composer.js";
import { attempt, doAct } from "./doing.js";
import { h, icon, iconButton, replace } from "./dom.js";
import { MessageList } from "./message_list.js";
import { closeThread, togglePanel } from "./places.js";
import { Prompts } from "./prompts.js";
import { agent, channelName, here, isAppDm, isStreaming, listThread, userName, world } from "./state.js";
import { markRead } from "./unread.js";

const LOADING_SECONDS = 3;
const DARED = "local-slack-dared";

export class ThreadPane {
  constructor() {
    this.title = h("h2");
    this.list = new MessageList("Thread");
    this.status = h("div", { class: "status", role: "status" });
    this.stop = h("button", { type: "button", class: "stop", onclick: () => this.stopAgent() }, icon("stop"), "Stop");
    this.dare = h("p", { class: "dare", hidden: true });
    this.prompts = new Prompts((text) => this.composer.say(text, here.channel, here.thread, [], false));
    this.steps = h("button", { type: "button", class: "steps-button", onclick: () => togglePanel("steps") }, icon("list"), "What happened");
    this.composer = new Composer({
      label: "Reply",
      where: () => ({ channel: here.channel, thread: here.thread }),
      edit: () => editLast(listThread(here.channel, here.thread)),
    });
    this.element = h("aside", { class: "thread", "aria-label": "Thread", hidden: true },
      h("header", { class: "bar" }, this.title, h("span", { class: "grow" }), this.steps,
        iconButton("close", "Close thread", closeThread)),
      this.list.element, this.prompts.element, this.dare,
      h("div", { class: "working-row" }, this.status, this.stop), this.composer.element);
    setInterval(() => this.showStatus(), LOADING_SECONDS * 1000);
  }

  show() {
    this.element.hidden = !here.thread;
    if (!here.thread) {
      this.place = "";
      return;
    }
    const { channel, thread } = here;
    const messages = listThread(channel, thread);
    const title = agent(channel, thread)?.title || agent(channel, thread)?.session?.title;
    const place = world.channels.get(channel);
    replace(this.title, h("span", { title }, title || "Thread"), title && isAppDm(place) ? null : h("small", null, channelName(place)));
    this.list.show(channel, messages, { inThread: true, place: `${channel}/${thread}`, label: "Messages in this thread" });
    this.steps.setAttribute("aria-pressed", String(here.panel === "steps"));
    this.prompts.show(channel, thread, false);
    this.composer.show("Reply…");
    this.showStatus();
    if (document.visibilityState === "visible") markRead(`${channel}/${thread}`, messages.at(-1)?.ts);
    if (this.place !== `${channel}/${thread}`) {
      this.place = `${channel}/${thread}`;
      if (matchMedia("(min-width: 721px)").matches) this.composer.focus();
    }
  }

  showStatus() {
    if (!here.thread) return;
    const state = agent(here.channel, here.thread);
    const processing = state?.session?.status === "processing";
    const streaming = listThread(here.channel, here.thread).some((m) => isStreaming(here.channel, m.ts));
    const loading = state?.loading_messages ?? [];
    const line = loading.length
      ? loading[Math.floor(Date.now() / 1000 / LOADING_SECONDS) % loading.length]
      : state?.status ? `${userName(world.bot.id)} ${state.status}` : processing && !streaming ? `${userName(world.bot.id)} is working…` : "";
    if (this.status.textContent !== line) replace(this.status, line ? h("span", { class: "dots", "aria-hidden": "true" }, h("i"), h("i"), h("i")) : null, line);
    this.stop.hidden = !(processing || streaming);
    this.showDare(processing || streaming);
  }

  // Suggest to break the app in the middle of an answer, until the person has done so once.
  showDare(working) {
    const found = localStorage.getItem(DARED) ? null : world.switches.find((item) => item.dare);
    this.dare.hidden = !(found && working);
    if (this.dare.hidden || this.dared === found.name) return;
    this.dared = found.name;
    const take = () => {
      localStorage.setItem(DARED, "yes");
      this.dare.hidden = true;
      attempt(() => press(found.name));
    };
    replace(this.dare, h("span", null, found.dare), h("button", { type: "button", class: "button danger", onclick: take }, found.button));
  }

  stopAgent() {
    doAct("stops", { channel: here.channel, thread_ts: here.thread });
  }
}
