// A small form of the page itself, as a dialog.

import { h, iconButton, replace } from "./dom.js";

export class Ask {
  constructor() {
    this.element = h("dialog", { class: "modal", "aria-labelledby": "ask-title" });
  }

  show() {}

  // `fields`: {name, label, hint, options}; options make a select. `run(values)` returns why it
  // cannot be done, or nothing.
  open({ title, submit, fields, run }) {
    const error = h("p", { class: "error", role: "alert" });
    const rows = fields.map(({ name, label, hint, options }) => {
      const id = `ask-${name}`;
      const about = hint ? { "aria-describedby": `${id}-hint` } : {};
      const field = options
        ? h("select", { class: "select", id, name, ...about }, options.map(([value, text]) => h("option", { value }, text)))
        : h("input", { class: "input", id, name, type: "text", autocomplete: "off", ...about });
      return h("div", { class: "field" }, h("label", { for: id }, label), field, hint ? h("small", { class: "hint", id: `${id}-hint` }, hint) : null);
    });
    const send = async (event) => {
      event.preventDefault();
      error.textContent = (await run(Object.fromEntries(new FormData(event.target)))) ?? "";
      if (!error.textContent) this.element.close();
    };
    replace(this.element, h("form", { onsubmit: send, novalidate: true },
      h("header", { class: "bar" }, h("h2", { id: "ask-title" }, title), h("span", { class: "grow" }), iconButton("close", "Close", () => this.element.close())),
      h("div", { class: "modal-body" }, rows, error),
      h("footer", null,
        h("button", { type: "button", class: "button", onclick: () => this.element.close() }, "Cancel"),
        h("button", { type: "submit", class: "button primary" }, submit))));
    this.element.showModal();
    this.element.querySelector("input, select").focus();
  }
}
