// The topmost modal of the speaker, as a dialog.

import { renderBlocks } from "./blocks.js";
import { doAct, interact } from "./doing.js";
import { h, iconButton, replace } from "./dom.js";
import { readValue } from "./elements.js";
import { plain } from "./slack_text.js";
import { here, topModal } from "./state.js";

const FIELD = ":is(input, select, textarea)[data-input], [data-input] :is(input, select, textarea)";

export class Modal {
  constructor() {
    this.element = h("dialog", { class: "modal", oncancel: (event) => { event.preventDefault(); this.close(); } });
  }

  show() {
    const shown = topModal();
    if (!shown) {
      this.sign = "";
      if (this.element.open) this.element.close();
      return;
    }
    const sign = JSON.stringify([shown.view.id, shown.view.hash, here.speaker]);
    if (sign !== this.sign) this.build(shown.view);
    this.sign = sign;
    this.showErrors(shown.errors ?? {});
    if (this.element.open) return;
    this.element.showModal();
    this.form.querySelector(FIELD)?.focus();
  }

  build(view) {
    this.view = view;
    const typed = this.values ?? {};
    const use = (element, value, block_id) =>
      interact("clicks_in_view", { action_id: element.action_id, value, block_id, view_id: view.id }, element.text?.text ?? "The action");
    this.form = h("form", { onsubmit: (event) => { event.preventDefault(); this.submit(); }, novalidate: true },
      h("header", { class: "bar" }, h("h2", { id: "modal-title" }, plain(view.title?.text ?? "")), h("span", { class: "grow" }),
        iconButton("close", "Close", () => this.close())),
      h("div", { class: "modal-body body" }, renderBlocks(view.blocks, use)),
      h("footer", null,
        h("button", { type: "button", class: "button", onclick: () => this.close() }, plain(view.close?.text ?? "Cancel")),
        view.submit ? h("button", { type: "submit", class: "button primary" }, plain(view.submit.text)) : null));
    this.element.setAttribute("aria-labelledby", "modal-title");
    replace(this.element, this.form);
    if (this.shown === view.id) this.restore(typed);
    this.shown = view.id;
    this.form.addEventListener("input", () => (this.values = this.collect()));
  }

  // An update keeps the values of inputs that still exist.
  restore(typed) {
    for (const node of this.form.querySelectorAll("[data-input]")) {
      const value = typed[node.dataset.input];
      if (typeof value === "string" && "value" in node) node.value = value;
    }
  }

  collect() {
    const nodes = [...this.form.querySelectorAll("[data-input]")];
    const values = nodes.map((node) => [node.dataset.input, readValue(node)]);
    return Object.fromEntries(values.filter(([, value]) => value !== null));
  }

  async submit() {
    const missing = this.view.blocks.filter((block) => block.type === "input" && !block.optional && isEmpty(this.collect()[block.block_id]));
    if (missing.length) {
      this.showErrors(Object.fromEntries(missing.map((block) => [block.block_id, "Please complete this required field."])));
      return;
    }
    this.showErrors({});
    await interact("submits", { values: this.collect(), view_id: this.view.id }, plain(this.view.submit?.text ?? "Submit").join(""));
  }

  showErrors(errors) {
    for (const old of this.form.querySelectorAll(".error")) old.remove();
    for (const old of this.form.querySelectorAll("[aria-invalid]")) old.removeAttribute("aria-invalid");
    for (const [block, text] of Object.entries(errors)) {
      const node = this.form.querySelector(`[data-input="${CSS.escape(block)}"]`);
      node?.after(h("div", { class: "error", role: "alert" }, text));
      node?.setAttribute("aria-invalid", "true");
    }
    const first = Object.keys(errors)[0];
    if (first) this.form.querySelector(`[data-input="${CSS.escape(first)}"]`)?.focus();
  }

  close() {
    this.values = {};
    doAct("closes", { view_id: this.view.id });
  }
}

const isEmpty = (value) => value === undefined || value.length === 0;
