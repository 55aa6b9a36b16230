// Slack's own marks: <@U…>, <#C…>, <!here>, <!date^…>, <https://…|label>, and mrkdwn around them.

import { h } from "./dom.js";
import { withEmoji } from "./emoji.js";
import { channelName, here, userName, world } from "./state.js";
import { showDate } from "./time.js";

const ENTITIES = { "&lt;": "<", "&gt;": ">", "&amp;": "&" };

export const unescapeText = (text) => text.replace(/&(?:lt|gt|amp);/g, (name) => ENTITIES[name]);

export function safeLink(url, ...label) {
  const place = placeOf(url);
  if (place) return h("a", { href: place }, ...label);
  const href = /^(https?:|mailto:)/i.test(url) ? url : null;
  if (!href) return h("span", null, ...label);
  return h("a", { href, target: "_blank", rel: "noopener noreferrer" }, ...label);
}

// The fragment of the page for a permalink of this workspace, or null.
function placeOf(url) {
  if (!world.team.url || !url.startsWith(`${world.team.url}archives/`)) return null;
  const match = /\/archives\/(\w+)\/p(\d+)(\d{6})(?:\?(?:.*&)?thread_ts=([\d.]+))?/.exec(url);
  return match && `#/${match[1]}/${match[4] ?? `${match[2]}.${match[3]}`}`;
}

export function mention(id) {
  const mine = id === here.speaker;
  return h("span", { class: mine ? "mention mine" : "mention" }, `@${userName(id)}`);
}

export function channelLink(id) {
  const channel = world.channels.get(id);
  const sign = ["im", "mpim"].includes(channel?.type) ? "" : "#";
  return h("span", { class: "mention" }, `${sign}${channelName(channel) || id}`);
}

export const broadcast = (range) => h("span", { class: "mention broad" }, `@${range}`);

const CONTROL = /^<(?:@(?<user>[UW]\w+)|#(?<channel>[CG]\w+)|!(?<word>[^>|]+)|(?<url>(?:https?:\/\/|mailto:)[^>|\s]+))(?:\|(?<label>[^>]*))?>/;

// The node of a control sequence at the beginning of `text` and its length, or null.
export function readControl(text) {
  const match = CONTROL.exec(text);
  if (!match) return null;
  const { user, channel, word, url, label } = match.groups;
  const length = match[0].length;
  if (user) return { node: mention(user), length };
  if (channel) return { node: channelLink(channel), length };
  if (url) return { node: safeLink(unescapeText(url), unescapeText(label ?? url)), length };
  const date = /^date\^(\d+)\^([^^]+)/.exec(word);
  if (date) return { node: h("time", null, showDate(date[1], date[2])), length };
  if (/^(here|channel|everyone)$/.test(word)) return { node: broadcast(word), length };
  return { node: h("span", { class: "mention" }, `@${label ?? word}`), length };
}

// mrkdwn: what `text` and sections of type mrkdwn show
export function renderMrkdwn(text) {
  const parts = text.split(/```\n?([^]*?)\n?```/);
  return parts.flatMap((part, index) =>
    index % 2 ? [h("pre", { tabindex: "0" }, h("code", null, unescapeText(part)))] : quoted(part),
  );
}

function quoted(text) {
  const nodes = [];
  const lines = text.replace(/^\n|\n$/g, "").split("\n");
  for (let at = 0; at < lines.length; ) {
    const quote = /^(&gt;|>)/.test(lines[at]);
    const from = at;
    while (at < lines.length && /^(&gt;|>)/.test(lines[at]) === quote) at += 1;
    const chunk = lines.slice(from, at).map((line) => (quote ? line.replace(/^(&gt;|>) ?/, "") : line));
    const inside = renderSpans(chunk.join("\n"));
    nodes.push(...(quote ? [h("blockquote", null, inside)] : inside));
  }
  return nodes;
}

const TAGS = { "*": "strong", _: "em", "~": "s" };
const SPAN = /(?<![\w*_~])([*_~])(?=\S)([^\n]{0,3000}?\S)\1(?![\w*_~])/;
const ANY_CONTROL = new RegExp(CONTROL.source.slice(1));
const MAX_DEPTH = 20;

function renderSpans(text, depth = 0) {
  return text.split(/`([^`\n]+)`/).flatMap((part, index) =>
    index % 2 ? [h("code", null, unescapeText(part))] : renderStyled(part, depth));
}

function renderStyled(text, depth) {
  const nodes = [];
  for (let rest = text; rest; ) {
    const next = nextStyled(rest, depth);
    nodes.push(...plain(rest.slice(0, next?.index)));
    if (next) nodes.push(next.node);
    rest = next ? rest.slice(next.index + next.length) : "";
  }
  return nodes;
}

// The first control sequence or styled span: its position, its length and its node.
function nextStyled(text, depth) {
  const at = text.search(ANY_CONTROL);
  const span = depth < MAX_DEPTH ? SPAN.exec(text) : null;
  if (at >= 0 && (!span || at < span.index)) return { index: at, ...readControl(text.slice(at)) };
  return span && { index: span.index, length: span[0].length, node: h(TAGS[span[1]], null, renderSpans(span[2], depth + 1)) };
}

// Text with its line breaks.
export function plain(text) {
  return withEmoji(unescapeText(text))
    .split("\n")
    .flatMap((line, index) => (index ? [h("br"), line] : [line]))
    .filter((node) => node !== "");
}

// A message's text as its author typed it, for the editor.
export function asTyped(text) {
  return unescapeText(
    text
      .replace(/<@([UW]\w+)(\|[^>]*)?>/g, (_, id) => `@${world.users.get(id)?.name ?? id}`)
      .replace(/<!(here|channel|everyone)>/g, "<!$1>")
      .replace(/<(https?:[^>|]+)(\|[^>]*)?>/g, "$1"),
  );
}
