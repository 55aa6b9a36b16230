// A scrolling list of messages that follows its end while it is scrolled there.

import { h, icon, keyed } from "./dom.js";
import { buildMessage, viewMessage } from "./message.js";
import { changed, here } from "./state.js";

const TOGETHER_SECONDS = 300;

const SHOWN = 150; // messages shown at first; "Show earlier messages" adds as many more

export class MessageList {
  constructor(label) {
    this.items = h("ol", { class: "messages", role: "list" });
    this.tail = h("div", { class: "tail" });
    this.earlier = h("button", { type: "button", class: "button earlier", hidden: true, onclick: () => this.showEarlier() }, "Show earlier messages");
    this.scroll = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label,
      onkeydown: (event) => this.key(event) }, this.earlier, this.items, this.tail);
    this.latest = h("button", { type: "button", class: "latest", hidden: true, onclick: () => this.goLatest() }, icon("arrow-down"), h("span", null, "Jump to latest"));
    this.element = h("div", { class: "list" }, this.scroll, this.latest);
    this.place = "";
    this.limit = SHOWN;
    this.sticky = true;
    this.scroll.addEventListener("scroll", () => {
      const { scrollHeight, scrollTop, clientHeight } = this.scroll;
      this.sticky = scrollHeight - scrollTop - clientHeight < 60;
      this.latest.hidden = this.sticky;
    });
    new ResizeObserver(() => this.settle()).observe(this.items);
    new ResizeObserver(() => this.settle()).observe(this.scroll);
    this.items.addEventListener("load", () => this.settle(), true);
  }

  show(channel, messages, { inThread, place, newSince, label }) {
    if (place !== this.place) {
      this.sticky = true;
      this.limit = SHOWN;
    }
    this.place = place;
    this.scroll.setAttribute("aria-label", label);
    this.earlier.hidden = messages.length <= this.limit;
    keyed(this.items, arrange(messages.slice(-this.limit), newSince), {
      key: ({ message }) => `${place}-${message.ts}`,
      sign: ({ message, look }) => viewMessage(channel, message, inThread, look),
      build: (item, view) => buildMessage(view),
    });
    this.settle();
  }

  // Keep the scroll position.
  showEarlier() {
    const fromEnd = this.scroll.scrollHeight - this.scroll.scrollTop;
    this.limit += SHOWN;
    changed();
    requestAnimationFrame(() => { this.scroll.scrollTop = this.scroll.scrollHeight - fromEnd; });
  }

  goLatest() {
    this.sticky = true;
    this.settle();
    this.scroll.focus();
  }

  settle() {
    if (this.sticky) this.scroll.scrollTop = this.scroll.scrollHeight;
    this.latest.hidden = this.sticky;
  }

  // Arrow keys move between messages.
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
  let marked = newSince === undefined;
  return messages.map((message) => {
    const newDay = !before || new Date(before.ts * 1000).toDateString() !== new Date(message.ts * 1000).toDateString();
    const isNew = !marked && Boolean(newSince) && message.ts > newSince && message.user !== here.speaker;
    marked ||= isNew;
    const compact = !newDay && !isNew && follows(before, message);
    before = message;
    return { message, look: { day: newDay, fresh: isNew, compact } };
  });
}

const follows = (before, message) =>
  before.user === message.user && !before.subtype && !message.subtype && !before.reply_count &&
  message.ts - before.ts < TOGETHER_SECONDS && Boolean(before.is_ephemeral) === Boolean(message.is_ephemeral);
