// Completion of mentions and slash commands, as a listbox above the box.

import { h, keyed } from "./dom.js";
import { here, people, roleOf, userName, world } from "./state.js";

const BROADCASTS = [["<!here>", "here", "Notify who is here"], ["<!channel>", "channel", "Notify everyone in the channel"]];
let count = 0;

export class Completion {
  constructor(input, where) {
    this.input = input;
    this.where = where;
    this.found = [];
    this.at = 0;
    this.id = `completion-${(count += 1)}`;
    this.element = h("ul", { class: "completion", id: this.id, role: "listbox", "aria-label": "Completions", hidden: true });
    Object.entries({ "aria-autocomplete": "list", "aria-controls": this.id, "aria-haspopup": "listbox" })
      .forEach(([name, value]) => input.setAttribute(name, value));
    input.addEventListener("input", () => this.look());
    // The focus may have returned meanwhile.
    input.addEventListener("blur", () => setTimeout(() => document.activeElement !== input && this.close(), 150));
  }

  look() {
    const before = this.input.value.slice(0, this.input.selectionStart);
    const mention = /(?:^|\s)@([\w-]*)$/.exec(before);
    const command = this.where().thread ? null : /^\/(\S*)$/.exec(before);
    if (mention) this.offer(mention[1], mentions(mention[1]));
    else if (command) this.offer(`/${command[1]}`, commands(command[1]));
    else this.close();
  }

  offer(typed, found) {
    this.typed = typed;
    this.found = found;
    this.at = 0;
    this.show();
  }

  show() {
    keyed(this.element, this.found, {
      key: (item) => item.label,
      sign: (item) => `${item.label}${item === this.found[this.at]}${this.found.indexOf(item)}`,
      build: (item) => {
        const index = this.found.indexOf(item);
        return h("li", { role: "option", id: `${this.id}-${index}`, "aria-selected": String(index === this.at),
          onmousedown: (event) => { event.preventDefault(); this.take(item); } },
          h("strong", null, item.label), h("span", null, item.hint));
      },
    });
    this.element.hidden = !this.found.length;
    if (this.found.length) this.input.setAttribute("aria-activedescendant", `${this.id}-${this.at}`);
    else this.input.removeAttribute("aria-activedescendant");
  }

  close() {
    this.found = [];
    this.show();
  }

  // Handle a key; returns whether it was used.
  key(event) {
    if (!this.found.length || event.isComposing) return false;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      this.at = (this.at + step + this.found.length) % this.found.length;
      this.show();
    } else if (event.key === "Tab" || (event.key === "Enter" && this.found[this.at].insert.trim() !== this.whole())) {
      this.take(this.found[this.at]);
    } else if (event.key === "Escape") {
      this.close();
      event.stopPropagation();
    } else {
      return false;
    }
    event.preventDefault();
    return true;
  }

  whole() {
    return this.typed.startsWith("/") ? this.typed : `@${this.typed}`;
  }

  take(item) {
    const end = this.input.selectionStart;
    const start = end - this.whole().length;
    this.input.setRangeText(item.insert, start, end, "end");
    this.close();
    this.input.dispatchEvent(new Event("input"));
    this.close();
  }
}

function mentions(typed) {
  const users = [world.bot, ...people().filter((user) => user.id !== here.speaker)];
  const names = users.map((user) => ({ label: `@${user.name}`, insert: `@${user.name} `, hint: describe(user) }));
  const broad = BROADCASTS.map(([insert, name, hint]) => ({ label: `@${name}`, insert: `${insert} `, hint }));
  return [...names, ...broad].filter((item) => item.label.slice(1).toLowerCase().startsWith(typed.toLowerCase()));
}

// What the name alone does not say.
function describe(user) {
  if (user.id === world.bot.id) return "the app";
  const name = userName(user.id);
  return [name === user.name ? "" : name, roleOf(user)].filter(Boolean).join(" · ");
}

function commands(typed) {
  return (world.manifest.features?.slash_commands ?? [])
    .filter((item) => item.command.startsWith(`/${typed}`))
    .map((item) => ({ label: item.command, insert: `${item.command} `, hint: [item.usage_hint, item.description].filter(Boolean).join(" · ") }));
}
