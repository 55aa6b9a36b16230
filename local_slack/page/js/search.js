// The search over the speaker's channels and messages, and the list of keys.

import { h, iconButton, replace } from "./dom.js";
import { goChannel, goThread } from "./places.js";
import { asTyped } from "./slack_text.js";
import { byTs, channelName, listMessages, myChannels, rootOf, userName } from "./state.js";
import { showWhole } from "./time.js";

const MOST = 30;

const KEYS = [
  ["Ctrl K", "Search messages and channels"],
  ["?", "Show these keys"],
  ["↑ ↓", "Move between messages, menu entries and people"],
  ["Tab", "Reach the buttons of a message, and the next part of the page"],
  ["Enter", "Send, open or choose"],
  ["Shift Enter", "Start a new line"],
  ["↑", "In an empty text field: edit your last message"],
  ["Esc", "Close the menu, the panel or the thread"],
];

export class Search {
  constructor() {
    this.text = h("input", { type: "text", role: "searchbox", placeholder: "Search messages and channels", "aria-label": "Search messages and channels",
      autocomplete: "off", oninput: () => this.list(), onkeydown: (event) => this.key(event) });
    this.found = h("ul", { class: "found", "aria-label": "Results", onkeydown: (event) => this.move(event) });
    this.count = h("p", { class: "hidden-text", role: "status" });
    this.element = h("dialog", { class: "modal search", "aria-label": "Search" },
      h("header", { class: "bar" }, this.text, iconButton("close", "Close the search", () => this.element.close())),
      this.count, this.found);
  }

  show() {}

  open() {
    if (this.element.open) return;
    this.text.value = "";
    this.list();
    this.element.showModal();
    this.text.focus();
  }

  list() {
    const words = this.text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const results = words.length ? [...findChannels(words), ...findMessages(words)].slice(0, MOST) : [];
    this.count.textContent = words.length ? `${results.length} found` : "";
    const rows = results.map(({ title, text, go }) =>
      h("li", null, h("button", { type: "button", onclick: () => { this.element.close(); go(); } }, h("strong", null, title), h("span", null, text))));
    replace(this.found, rows.length || !words.length ? rows : h("li", { class: "none" }, "Nothing found."));
  }

  // Arrow keys move from the text to the results and back.
  key(event) {
    const first = this.found.querySelector("button");
    if (!first || !["ArrowDown", "Enter"].includes(event.key)) return;
    event.preventDefault();
    if (event.key === "Enter") first.click();
    else first.focus();
  }

  move(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const all = [this.text, ...this.found.querySelectorAll("button")];
    all[all.indexOf(event.target) + step]?.focus();
  }
}

export class Keys {
  constructor() {
    const rows = KEYS.map(([keys, what]) => [h("dt", null, ...keys.split(" ").map((key) => h("kbd", null, key))), h("dd", null, what)]);
    this.element = h("dialog", { class: "modal keys", "aria-labelledby": "keys-title" },
      h("header", { class: "bar" }, h("h2", { id: "keys-title" }, "Keys"), h("span", { class: "grow" }), iconButton("close", "Close the list of keys", () => this.element.close())),
      h("dl", { class: "modal-body" }, rows));
  }

  show() {}

  open() {
    if (!this.element.open) this.element.showModal();
  }
}

const holds = (text, words) => words.every((word) => text.toLowerCase().includes(word));

const findChannels = (words) =>
  myChannels()
    .filter((channel) => holds(channelName(channel), words))
    .map((channel) => ({ title: channelName(channel), text: "Open", go: () => goChannel(channel.id) }));

function findMessages(words) {
  const found = [];
  for (const channel of myChannels()) {
    for (const message of listMessages(channel.id)) {
      const text = asTyped(message.text ?? "");
      if (holds(text, words)) found.push({ channel, message, text });
    }
  }
  found.sort((one, other) => byTs(other.message, one.message));
  return found.map(({ channel, message, text }) => ({
    title: `${userName(message.user)} in ${channelName(channel)}, ${showWhole(message.ts)}`,
    text: around(text, words[0]),
    go() {
      goChannel(channel.id);
      goThread(rootOf(message));
    },
  }));
}

function around(text, word) {
  const at = Math.max(0, text.toLowerCase().indexOf(word) - 40);
  return `${at ? "…" : ""}${text.slice(at, at + 140)}`;
}
