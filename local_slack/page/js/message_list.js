// A scrolling list of messages that stays at its end while its reader is there.

import { h, keyed } from "./dom.js";
import { buildMessage, signMessage } from "./message.js";
import { here } from "./state.js";

const TOGETHER_SECONDS = 300;

export class MessageList {
  constructor(label) {
    this.items = h("ol", { class: "messages", role: "list" });
    this.tail = h("div", { class: "tail" });
    this.element = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label,
      onkeydown: (event) => this.key(event) }, this.items, this.tail);
    this.place = "";
    this.sticky = true;
    this.element.addEventListener("scroll", () => {
      const { scrollHeight, scrollTop, clientHeight } = this.element;
      this.sticky = scrollHeight - scrollTop - clientHeight < 60;
    });
    new ResizeObserver(() => this.settle()).observe(this.items);
    new ResizeObserver(() => this.settle()).observe(this.element);
    this.items.addEventListener("load", () => this.settle(), true);
  }

  show(channel, messages, { inThread, place, newSince, label }) {
    if (place !== this.place) this.sticky = true;
    this.place = place;
    this.element.setAttribute("aria-label", label);
    keyed(this.items, arrange(messages, newSince), {
      key: (message) => `${place}-${message.ts}`,
      sign: (message) => signMessage(channel, message, inThread),
      build: (message) => buildMessage(channel, message, inThread),
    });
    this.settle();
  }

  settle() {
    if (this.sticky) this.element.scrollTop = this.element.scrollHeight;
  }

  // Arrows walk from message to message.
  key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || /^(TEXTAREA|INPUT|SELECT)$/.test(event.target.tagName)) return;
    const all = [...this.items.querySelectorAll("article")];
    const at = all.indexOf(event.target.closest("article"));
    const next = at < 0 ? all.at(-1) : all[at + step];
    next?.focus();
    event.preventDefault();
  }
}

// Days, the "New" line, and runs of one author's messages.
function arrange(messages, newSince) {
  let before = null;
  let fresh = newSince === undefined;
  return messages.map((message) => {
    const day = new Date(message.ts * 1000).toDateString();
    const newDay = !before || new Date(before.ts * 1000).toDateString() !== day;
    const isNew = !fresh && newSince && message.ts > newSince && message.user !== here.speaker;
    if (isNew) fresh = true;
    const compact = !newDay && !isNew && before.user === message.user && !before.subtype && !message.subtype &&
      message.ts - before.ts < TOGETHER_SECONDS && !before.reply_count && Boolean(before.is_ephemeral) === Boolean(message.is_ephemeral);
    before = message;
    return { ...message, day: newDay, fresh: isNew, compact };
  });
}
