// Small menus at a button: a message's actions, its shortcuts, reactions to choose from.

import { confirmed } from "./confirm.js";
import { copy, doAct, interact } from "./doing.js";
import { h } from "./dom.js";
import { OFFERED, showEmoji } from "./emoji.js";
import { linkTo, showSteps, startEditing } from "./places.js";
import { asTyped } from "./slack_text.js";
import { world } from "./state.js";

let close = () => {};

export function openMenu(button, channel, message, own) {
  const shortcuts = (world.manifest.features?.shortcuts ?? []).filter((item) => item.type === "message");
  const where = { channel, ts: message.ts };
  const items = [
    ["What happened", () => showSteps(message)],
    ["Copy text", () => copy(textOf(message), "Text")],
    ["Copy link", () => copy(linkTo(channel, message), "Link")],
    own && ["Edit message", () => startEditing(message.ts)],
    own && ["Delete message", () => remove(where), "danger"],
    ...shortcuts.map((item) => [
      item.name, () => interact("shortcut", { callback_id: item.callback_id, ...where }, item.name), "shortcut", item.description,
    ]),
  ].filter(Boolean);
  popup(button, h("div", { class: "menu", role: "menu", "aria-label": "Message actions" },
    items.map(([label, run, kind, hint]) =>
      h("button", { type: "button", role: "menuitem", class: kind ?? "", title: hint, onclick: () => { close(); run(); } }, label))));
}

export function openItems(button, label, items) {
  popup(button, h("div", { class: "menu", role: "menu", "aria-label": label },
    items.map(([text, run]) =>
      h("button", { type: "button", role: "menuitem", onclick: () => { close(); run(); } }, text))));
}

export function openReactions(button, choose) {
  popup(button, h("div", { class: "menu grid", role: "menu", "aria-label": "Reactions" },
    OFFERED.map((name) =>
      h("button", { type: "button", role: "menuitem", "aria-label": name, title: `:${name}:`, onclick: () => { close(); choose(name); } }, showEmoji(name)))));
}

// The source of a message: the Markdown of an app, else the typed text.
function textOf(message) {
  const markdown = (message.blocks ?? []).filter((block) => block.type === "markdown").map((block) => block.text);
  return markdown.length ? markdown.join("\n\n") : asTyped(message.text);
}

async function remove(where) {
  const agreed = await confirmed({ title: "Delete this message?", content: "This cannot be undone.", yes: "Delete", danger: true });
  if (agreed) doAct("deletes", where);
}

function popup(button, menu) {
  close();
  document.body.append(menu);
  place(button, menu);
  const buttons = [...menu.querySelectorAll("button")];
  buttons[0]?.focus();
  const outside = (event) => !menu.contains(event.target) && close();
  const key = (event) => {
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (step) {
      const at = buttons.indexOf(document.activeElement);
      buttons[(at + step + buttons.length) % buttons.length].focus();
    } else if (event.key === "Escape" || event.key === "Tab") {
      close();
      button.focus();
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  };
  menu.addEventListener("keydown", key);
  document.addEventListener("pointerdown", outside, true);
  window.addEventListener("resize", () => close(), { once: true });
  close = () => {
    menu.remove();
    document.removeEventListener("pointerdown", outside, true);
    close = () => {};
  };
}

function place(button, menu) {
  const at = button.getBoundingClientRect();
  const { width, height } = menu.getBoundingClientRect();
  const left = Math.max(8, Math.min(at.right - width, innerWidth - width - 8));
  const below = at.bottom + 4 + height < innerHeight;
  menu.style.left = `${left}px`;
  menu.style.top = `${below ? at.bottom + 4 : Math.max(8, at.top - height - 4)}px`;
}
