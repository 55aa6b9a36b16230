// Markdown as Slack's `markdown` block shows it. The blocks are here, the inlines in a module of
// their own. Everything becomes DOM nodes; there is no way from the text to markup.

import { h } from "./dom.js";
import { renderInline } from "./markdown_inline.js";

const FENCE = /^( {0,3})(`{3,}(?=[^`]*$)|~{3,})[ \t]*([^\s]*)/;
const HEADING = /^ {0,3}(#{1,6})(?:[ \t]+(.*?))??(?:[ \t]+#+)?[ \t]*$/;
const RULE = /^ {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( {0,3})([-*+]|\d{1,9}[.)])(?:([ \t]+)(?=\S)|[ \t]*$)/;
const DELIMITERS = /^ {0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;
const TASK = /^\[([ xX])\][ \t]+/;
const BLANK = /^[ \t]*$/;

export function renderMarkdown(text) {
  return renderLines(text.replace(/\r\n?/g, "\n").split("\n").map(expandTabs));
}

const expandTabs = (line) =>
  line.replace(/^[ \t]+/, (space) => space.replaceAll("\t", "    "));

function renderLines(lines, tight = false) {
  const nodes = [];
  for (let at = 0; at < lines.length; ) {
    if (BLANK.test(lines[at])) {
      at += 1;
      continue;
    }
    const found = READERS.map((read) => read(lines, at)).find(Boolean) ?? readParagraph(lines, at, tight);
    nodes.push(...[found.node].flat());
    at = found.end;
  }
  return nodes;
}

const READERS = [readFence, readHeading, readRule, readQuote, readList, readTable, readIndented];

const startsBlock = (lines, at) =>
  [FENCE, HEADING, RULE, QUOTE].some((pattern) => pattern.test(lines[at])) ||
  /^ {0,3}(?:[-*+]|1[.)])[ \t]+\S/.test(lines[at]) ||
  isTable(lines, at);

function readFence(lines, at) {
  const match = FENCE.exec(lines[at]);
  if (!match) return null;
  const [, indent, fence, language] = match;
  const close = new RegExp(`^ {0,3}\\${fence[0]}{${fence.length},}[ \\t]*$`);
  let end = at + 1;
  while (end < lines.length && !close.test(lines[end])) end += 1;
  const undent = new RegExp(`^ {0,${indent.length}}`);
  const code = lines.slice(at + 1, end).map((line) => line.replace(undent, ""));
  return { node: codeBlock(code.join("\n"), language), end: end + 1 };
}

function codeBlock(code, language) {
  const label = language ? `Code, ${language}` : "Code";
  return h("pre", { tabindex: "0", role: "region", "aria-label": label, "data-language": language || null },
    h("code", null, code));
}

function readIndented(lines, at) {
  if (!/^ {4}/.test(lines[at])) return null;
  let end = at;
  while (end < lines.length && (/^ {4}/.test(lines[end]) || BLANK.test(lines[end]))) end += 1;
  const code = lines.slice(at, end).map((line) => line.slice(4)).join("\n");
  return { node: codeBlock(code.trimEnd(), ""), end };
}

function readHeading(lines, at) {
  const match = HEADING.exec(lines[at]);
  if (!match) return null;
  return { node: heading(match[1].length, match[2] ?? ""), end: at + 1 };
}

// Headings of a message lie below those of the page.
const heading = (level, text) =>
  h("div", { class: `heading h${level}`, role: "heading", "aria-level": Math.min(level + 3, 9) },
    renderInline(text.trim()));

function readRule(lines, at) {
  return RULE.test(lines[at]) ? { node: h("hr"), end: at + 1 } : null;
}

function readQuote(lines, at) {
  if (!QUOTE.test(lines[at])) return null;
  const inside = [];
  let end = at;
  for (; end < lines.length; end += 1) {
    if (QUOTE.test(lines[end])) inside.push(lines[end].replace(QUOTE, ""));
    else if (BLANK.test(lines[end]) || BLANK.test(inside.at(-1)) || startsBlock(lines, end)) break;
    else inside.push(lines[end]);
  }
  return { node: h("blockquote", null, renderLines(inside)), end };
}

function readList(lines, at) {
  const first = readMarker(lines[at]);
  if (!first || RULE.test(lines[at])) return null;
  const items = [];
  let end = at;
  let loose = false;
  for (;;) {
    const marker = end < lines.length ? readMarker(lines[end]) : null;
    if (!marker || marker.kind !== first.kind || RULE.test(lines[end])) break;
    const item = readItem(lines, end, marker);
    items.push(item.lines);
    const more = readMarker(lines[item.end] ?? "")?.kind === first.kind;
    loose ||= item.inner || (more && item.blank);
    end = item.end;
  }
  const rendered = items.map((inside) => listItem(inside, !loose));
  const ordered = first.kind !== "-" && first.kind !== "*" && first.kind !== "+";
  const list = ordered
    ? h("ol", { start: first.number === 1 ? null : first.number }, rendered)
    : h("ul", null, rendered);
  return { node: list, end };
}

function readMarker(line) {
  const match = ITEM.exec(line);
  if (!match) return null;
  const [all, indent, mark, space = ""] = match;
  const wide = space.length > 4 || !space;
  const width = indent.length + mark.length + (wide ? 1 : space.length);
  const kind = /\d/.test(mark) ? mark.at(-1) : mark;
  return { kind, number: parseInt(mark, 10), width, rest: wide && space ? line.slice(width) : line.slice(all.length) };
}

// The lines of one item without their indent, where it ends, and where blank lines are in it.
function readItem(lines, at, marker) {
  const inside = [marker.rest];
  let end = at + 1;
  for (; end < lines.length; end += 1) {
    const line = lines[end];
    if (BLANK.test(line)) inside.push("");
    else if (line.search(/\S/) >= marker.width) inside.push(line.slice(marker.width));
    else if (inside.at(-1) !== "" && !startsBlock(lines, end) && !ITEM.test(line)) inside.push(line.trimStart());
    else break;
  }
  const blank = inside.at(-1) === "" && inside.length > 1;
  while (inside.length > 1 && inside.at(-1) === "") inside.pop();
  return { lines: inside, end, blank, inner: hasLooseInside(inside) };
}

// Whether a blank line parts two blocks of the item itself, outside code.
function hasLooseInside(inside) {
  let fence = false;
  for (let at = 0; at < inside.length; at += 1) {
    if (FENCE.test(inside[at])) fence = !fence;
    const next = inside[at + 1] ?? "";
    if (!fence && inside[at] === "" && at > 0 && next !== "" && !/^ /.test(next) && !ITEM.test(next)) return true;
  }
  return false;
}

function listItem(inside, tight) {
  const task = TASK.exec(inside[0]);
  if (!task) return h("li", null, renderLines(inside, tight));
  const done = task[1] !== " ";
  const box = h("input", { type: "checkbox", checked: done, disabled: true, "aria-label": done ? "done" : "to do" });
  const rest = [inside[0].slice(task[0].length), ...inside.slice(1)];
  return h("li", { class: "task" }, box, h("div", null, renderLines(rest, tight)));
}

const isTable = (lines, at) =>
  lines[at].includes("|") &&
  lines[at + 1]?.includes("-") &&
  DELIMITERS.test(lines[at + 1]) &&
  cells(lines[at]).length === cells(lines[at + 1]).length;

function readTable(lines, at) {
  if (!isTable(lines, at)) return null;
  const align = cells(lines[at + 1]).map((cell) =>
    cell.endsWith(":") ? (cell.startsWith(":") ? "center" : "right") : null,
  );
  let end = at + 2;
  const rows = [];
  while (end < lines.length && !BLANK.test(lines[end]) && !startsBlock(lines, end)) {
    rows.push(cells(lines[end]));
    end += 1;
  }
  return { node: table(cells(lines[at]), rows, (text) => renderInline(text ?? ""), align), end };
}

// A table in a frame that scrolls by itself. `show` makes the nodes of a cell.
export function table(head, rows, show, align = []) {
  const row = (tag, values) =>
    h("tr", null, head.map((_, column) =>
      h(tag, { class: align[column] ?? null, scope: tag === "th" ? "col" : null }, show(values[column]))));
  return h("div", { class: "table", tabindex: "0", role: "region", "aria-label": "Table" },
    h("table", null, h("thead", null, row("th", head)), h("tbody", null, rows.map((values) => row("td", values)))));
}

function cells(line) {
  const inner = line.trim().replace(/^\|/, "").replace(/(?<!\\)\|$/, "");
  return inner.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));
}

function readParagraph(lines, at, tight) {
  let end = at + 1;
  for (; end < lines.length && !BLANK.test(lines[end]); end += 1) {
    const under = /^ {0,3}(=+|-+)[ \t]*$/.exec(lines[end]);
    if (under) {
      const level = under[1][0] === "=" ? 1 : 2;
      return { node: heading(level, lines.slice(at, end).join("\n")), end: end + 1 };
    }
    if (startsBlock(lines, end)) break;
  }
  const text = lines.slice(at, end).map((line) => line.trimStart()).join("\n").trimEnd();
  const nodes = renderInline(text);
  return { node: tight ? nodes : h("p", null, nodes), end };
}
