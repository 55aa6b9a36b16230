// Markdown as Slack's `markdown` block shows it. The server parses it into nodes: a string is text,
// a list is [type, attributes, ...children]. Everything becomes DOM nodes of the types below.

import { h } from "./dom.js";
import { withEmoji } from "./emoji.js";
import { readControl, safeLink } from "./slack_text.js";

export const renderMarkdown = (nodes) => nodes.flatMap(renderNode);

function renderNode(node) {
  if (typeof node === "string") return withEmoji(node);
  const [type, attributes, ...children] = node;
  return TYPES[type]?.(children, attributes) ?? renderMarkdown(children);
}

const element = (tag) => (children) => h(tag, null, renderMarkdown(children));

const TYPES = {
  paragraph: element("p"),
  quote: element("blockquote"),
  strong: element("strong"),
  em: element("em"),
  s: element("s"),
  bullets: element("ul"),
  code: ([text]) => h("code", null, text),
  break: () => h("br"),
  rule: () => h("hr"),
  link: (children, { href }) => safeLink(href, renderMarkdown(children)),
  control: ([text]) => readControl(text)?.node ?? text,
  ordered: (children, { start }) => h("ol", { start: start === 1 ? null : start }, renderMarkdown(children)),
  item: (children, { done }) =>
    done === undefined ? h("li", null, renderMarkdown(children)) : task(children, done),
  // Headings in a message are nested below those of the page.
  heading: (children, { level }) =>
    h("div", { class: `heading h${level}`, role: "heading", "aria-level": Math.min(level + 3, 9) }, renderMarkdown(children)),
  pre: ([text], { language }) => codeBlock(text, language),
  table: ([head, ...rows], { align }) =>
    table(head, rows, (cell) => renderMarkdown(cell ?? []), align.map((side) => (side && side !== "left" ? side : null))),
};

function task(children, done) {
  const box = h("input", { type: "checkbox", checked: done, disabled: true, "aria-label": done ? "done" : "to do" });
  return h("li", { class: "task" }, box, h("div", null, renderMarkdown(children)));
}

function codeBlock(code, language) {
  const label = language ? `Code, ${language}` : "Code";
  return h("pre", { tabindex: "0", role: "region", "aria-label": label, "data-language": language || null },
    h("code", null, code));
}

// A table in a scrolling frame. `show` makes the nodes of a cell.
export function table(head, rows, show, align = []) {
  const row = (tag, values) =>
    h("tr", null, head.map((_, column) =>
      h(tag, { class: align[column] ?? null, scope: tag === "th" ? "col" : null }, show(values[column]))));
  return h("div", { class: "table", tabindex: "0", role: "region", "aria-label": "Table" },
    h("table", null, h("thead", null, row("th", head)), h("tbody", null, rows.map((values) => row("td", values)))));
}
