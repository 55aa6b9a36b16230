// Asks before something is done, as a dialog of the page. Resolves to whether the person agreed.

import { h } from "./dom.js";

export function confirmed({ title, content, yes, no = "Cancel", danger = false }) {
  const element = h("dialog", { class: "modal confirm", role: "alertdialog", "aria-labelledby": "confirm-title", "aria-describedby": "confirm-text" },
    h("form", { method: "dialog" },
      h("header", { class: "bar" }, h("h2", { id: "confirm-title" }, title)),
      h("div", { class: "modal-body body", id: "confirm-text" }, content),
      h("footer", null,
        h("button", { class: "button", value: "no" }, no),
        h("button", { class: `button ${danger ? "danger" : "primary"}`, value: "yes" }, yes))));
  return new Promise((resolve) => {
    element.addEventListener("close", () => {
      element.remove();
      resolve(element.returnValue === "yes");
    });
    document.body.append(element);
    element.showModal();
    element.querySelector("footer .button").focus();
  });
}
