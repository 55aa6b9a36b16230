// The composer: completion, files by button, drop and paste, slash commands.

import { Completion } from "./complete.js";
import { doAct, interact, notify } from "./doing.js";
import { h, icon, iconButton, keyed } from "./dom.js";
import { world } from "./state.js";

// The place of a direct message that is being opened; what is typed there moves along.
const OPENING = "/";

export class Composer {
  // `where()` gives {channel, thread}; `edit()` opens the last own message for editing.
  constructor({ label, where, edit, sent }) {
    this.where = where;
    this.edit = edit;
    this.sent = sent ?? (() => {});
    this.files = [];
    this.store = `local-slack-drafts-${label}`;
    this.drafts = new Map(JSON.parse(sessionStorage.getItem(this.store) ?? "[]"));
    this.place = "";
    this.text = h("textarea", {
      rows: 1,
      "aria-label": label,
      oninput: () => { this.fit(); this.keep(); },
      onkeydown: (event) => this.key(event),
      onpaste: (event) => this.add(event.clipboardData.files),
    });
    this.picker = h("input", { type: "file", multiple: true, hidden: true, tabindex: "-1", "aria-label": "Files",
      onchange: () => { this.add(this.picker.files); this.picker.value = ""; } });
    this.list = h("ul", { class: "attached" });
    this.broadcast = h("input", { type: "checkbox" });
    this.also = h("label", { class: "also", hidden: true }, this.broadcast, " ", this.alsoWhere = h("span"));
    this.button = h("button", { type: "submit", class: "send", "aria-label": "Send", title: "Send (Enter)" }, icon("send"));
    this.completion = new Completion(this.text, () => this.where());
    this.element = h("form", {
      class: "composer",
      onsubmit: (event) => { event.preventDefault(); this.send(); },
      ondragover: (event) => event.preventDefault(),
      ondrop: (event) => { event.preventDefault(); this.add(event.dataTransfer.files); },
    }, this.completion.element, h("div", { class: "box" }, this.text, this.list,
      h("div", { class: "tools" },
        iconButton("clip", "Attach files", () => this.picker.click()), this.picker, this.also,
        h("span", { class: "grow" }), this.button)));
  }

  // Called on every change of the page: keeps one draft per place.
  show(placeholder) {
    const { channel, thread } = this.where();
    const place = `${channel}/${thread}`;
    this.text.placeholder = placeholder;
    this.text.setAttribute("aria-label", placeholder);
    this.also.hidden = !thread;
    this.alsoWhere.textContent = world.channels.get(channel)?.type === "im" ? "Also send as direct message" : "Also send to the channel";
    if (place === this.place) return;
    const opened = this.place === OPENING && Boolean(channel);
    if (!opened) {
      this.drafts.set(this.place, this.text.value);
      this.text.value = this.drafts.get(place) ?? "";
    }
    this.place = place;
    this.broadcast.checked = false;
    this.files = [];
    this.showFiles();
    this.fit();
  }

  focus() {
    this.text.focus();
  }

  // Drafts outlast a reload of the tab.
  keep() {
    this.drafts.set(this.place, this.text.value);
    const written = [...this.drafts].filter(([, text]) => text);
    sessionStorage.setItem(this.store, JSON.stringify(written));
  }

  fit() {
    this.text.style.height = "auto";
    this.text.style.height = `${Math.min(this.text.scrollHeight, 220)}px`;
    this.button.classList.toggle("ready", Boolean(this.text.value.trim() || this.files.length));
  }

  key(event) {
    if (this.completion.key(event)) return;
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      this.send();
    } else if (event.key === "ArrowUp" && !this.text.value) {
      if (this.edit()) event.preventDefault();
    }
  }

  add(files) {
    this.files = [...this.files, ...files];
    this.showFiles();
    this.fit();
  }

  showFiles() {
    keyed(this.list, this.files, {
      key: (file) => `${this.files.indexOf(file)}-${file.name}`,
      sign: (file) => file.name,
      build: (file) => h("li", null, file.name,
        iconButton("close", `Remove ${file.name}`, () => { this.files = this.files.filter((f) => f !== file); this.showFiles(); this.fit(); })),
    });
  }

  async send() {
    const text = this.text.value.trim();
    const { channel, thread } = this.where();
    if ((!text && !this.files.length) || !channel) return;
    const files = this.files;
    const broadcast = this.broadcast.checked;
    this.text.value = "";
    this.files = [];
    this.broadcast.checked = false;
    this.showFiles();
    this.fit();
    this.keep();
    const done = text.startsWith("/") && !files.length
      ? await this.command(text, channel, thread)
      : await this.say(text, channel, thread, files, broadcast);
    if (done === undefined && !this.text.value) {
      this.text.value = text; // keep a text that Slack refused
      this.fit();
      this.keep();
    }
  }

  async command(text, channel, thread) {
    const [, command, words] = /^(\S+)\s*([^]*)$/.exec(text);
    return interact("slash", { command, text: words, channel, thread_ts: thread || null }, command);
  }

  async say(text, channel, thread, files, broadcast) {
    const args = { channel, text };
    if (thread) Object.assign(args, { thread_ts: thread, broadcast });
    if (files.length) {
      try {
        args.files = Object.fromEntries(await Promise.all(files.map(encode)));
      } catch {
        notify("A file could not be read.");
        return undefined;
      }
    }
    const ts = await doAct("says", args);
    if (ts) this.sent(ts, channel, text);
    return ts;
  }
}

function encode(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve([file.name || "image.png", reader.result.split(",")[1] ?? ""]);
    reader.onerror = reject;
    reader.readAsDataURL(file);
  });
}
