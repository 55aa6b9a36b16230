// The inlines of Markdown: code, links, emphasis, strikethrough, line breaks. After CommonMark and
// GFM, with Slack's control sequences; raw HTML stays as it is written.

import { h } from "./dom.js";
import { withEmoji } from "./emoji.js";
import { readControl, safeLink } from "./slack_text.js";

const PUNCTUATION = /[\p{P}\p{S}]/u;
const NAMED = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'", nbsp: "\u00a0" };
const URL_AT = /^https?:\/\/[^\s<>|]+/i;

export function renderInline(text, inLink = false) {
  const items = [];
  let words = "";
  const flush = () => {
    if (words) items.push({ node: document.createTextNode(withEmoji(words)) });
    words = "";
  };
  const push = (node) => {
    flush();
    items.push({ node });
  };
  for (let at = 0; at < text.length; ) {
    const rest = text.slice(at);
    const found = READERS[text[at]]?.(rest, { inLink, words }) ?? readUrl(rest, text[at - 1], inLink);
    if (found === undefined && "*_~".includes(text[at])) {
      const run = readRun(text, at);
      flush();
      items.push(run);
      at += run.length;
    } else if (found === undefined) {
      words += text[at];
      at += 1;
    } else {
      if (found.text !== undefined) words += found.text;
      if (found.trim) words = words.trimEnd();
      if (found.node) push(found.node);
      at += found.length;
    }
  }
  flush();
  return joinRuns(items);
}

const READERS = {
  "\\": (rest) => {
    if (rest[1] === "\n") return { node: h("br"), length: 2 };
    if (rest[1] && /[!-/:-@[-`{-~]/.test(rest[1])) return { text: rest[1], length: 2 };
    return undefined;
  },
  "`": readCode,
  "&": (rest) => {
    const match = /^&(?:#(\d{1,7})|#[xX]([0-9a-fA-F]{1,6})|(\w+));/.exec(rest);
    if (!match) return undefined;
    const [all, decimal, hexadecimal, name] = match;
    if (name) return name in NAMED ? { text: NAMED[name], length: all.length } : undefined;
    const code = decimal ? parseInt(decimal, 10) : parseInt(hexadecimal, 16);
    const valid = code > 0 && code <= 0x10ffff;
    return { text: valid ? String.fromCodePoint(code) : "\ufffd", length: all.length };
  },
  "<": (rest) => readControl(rest) ?? undefined,
  "\n": (rest) => ({ node: h("br"), trim: true, length: /^\n[ \t]*/.exec(rest)[0].length }),
  "!": (rest) => (rest[1] === "[" ? readLink(rest.slice(1), 1) : undefined),
  "[": (rest, { inLink }) => (inLink ? undefined : readLink(rest, 0)),
};

function readCode(rest) {
  const ticks = /^`+/.exec(rest)[0];
  const end = new RegExp(`(?<!\`)${ticks}(?!\`)`).exec(rest.slice(ticks.length));
  if (!end) return { text: ticks, length: ticks.length };
  let code = rest.slice(ticks.length, ticks.length + end.index).replaceAll("\n", " ");
  if (/^ .* $/.test(code) && code.trim()) code = code.slice(1, -1);
  return { node: h("code", null, code), length: ticks.length * 2 + end.index };
}

// [label](address "title"); `before` characters (the "!" of an image) stand in front of it.
function readLink(rest, before) {
  const end = closing(rest);
  if (end < 0) return undefined;
  const tail = /^\(\s*(?:<([^<>\n]*)>|((?:[^\s()\\]|\\.|\((?:[^\s()\\]|\\.)*\))*))(?:\s+(?:"[^"]*"|'[^']*'))?\s*\)/.exec(
    rest.slice(end + 1),
  );
  if (!tail) return undefined;
  const url = (tail[1] ?? tail[2] ?? "").replace(/\\([!-/:-@[-`{-~])/g, "$1").replaceAll("&amp;", "&");
  const label = rest.slice(1, end);
  const node = safeLink(url, renderInline(label || url, true));
  return { node, length: before + end + 1 + tail[0].length };
}

// Where the bracket at the beginning is closed, or -1. Code spans hide brackets.
function closing(rest) {
  let depth = 0;
  for (let at = 0; at < rest.length; at += 1) {
    if (rest[at] === "\\") at += 1;
    else if (rest[at] === "`") at += readCode(rest.slice(at)).length - 1;
    else if (rest[at] === "[") depth += 1;
    else if (rest[at] === "]" && --depth === 0) return at;
  }
  return -1;
}

function readUrl(rest, previous, inLink) {
  if (inLink || rest[0].toLowerCase() !== "h" || (previous && /\w/.test(previous))) return undefined;
  const match = URL_AT.exec(rest);
  if (!match) return undefined;
  let url = match[0].replace(/[?!.,:;*_~'"]+$/, "");
  while (url.endsWith(")") && url.split(")").length > url.split("(").length) url = url.slice(0, -1);
  return { node: safeLink(url, url), length: url.length };
}

// Emphasis: runs of delimiters, matched as CommonMark says

function readRun(text, at) {
  const mark = text[at];
  let length = 1;
  while (text[at + length] === mark) length += 1;
  const before = text[at - 1] ?? " ";
  const after = text[at + length] ?? " ";
  const left = !/\s/.test(after) && (!PUNCTUATION.test(after) || /\s/.test(before) || PUNCTUATION.test(before));
  const right = !/\s/.test(before) && (!PUNCTUATION.test(before) || /\s/.test(after) || PUNCTUATION.test(after));
  const word = mark === "_";
  return {
    mark,
    length,
    left: length,
    open: left && (!word || !right || PUNCTUATION.test(before)),
    close: right && (!word || !left || PUNCTUATION.test(after)),
  };
}

function joinRuns(items) {
  for (let closer = 0; closer < items.length; closer += 1) {
    const end = items[closer];
    if (!end.mark || !end.close) continue;
    const opener = findOpener(items, closer);
    if (opener < 0) continue;
    const begin = items[opener];
    const used = end.mark === "~" ? end.left : Math.min(2, begin.left, end.left);
    const tag = end.mark === "~" ? "s" : used === 2 ? "strong" : "em";
    const inside = items.slice(opener + 1, closer).map(asNode);
    begin.left -= used;
    end.left -= used;
    items.splice(opener + 1, closer - opener - 1, { node: h(tag, null, inside) });
    if (!begin.left) items.splice(opener, 1);
    closer = items.indexOf(end);
    if (!end.left) items.splice(closer, 1);
    closer -= 1;
  }
  return items.map(asNode);
}

function findOpener(items, closer) {
  const end = items[closer];
  for (let at = closer - 1; at >= 0; at -= 1) {
    const begin = items[at];
    if (begin.mark !== end.mark || !begin.open || !begin.left) continue;
    if (end.mark === "~") {
      if (begin.left === end.left && end.left <= 2) return at;
      continue;
    }
    const odd = (begin.close || end.open) && (begin.length + end.length) % 3 === 0;
    if (!odd || (begin.length % 3 === 0 && end.length % 3 === 0)) return at;
  }
  return -1;
}

const asNode = (item) => item.node ?? document.createTextNode(item.mark.repeat(item.left));
