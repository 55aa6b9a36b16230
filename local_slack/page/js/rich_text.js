// `rich_text`: what people type, as Slack keeps it.

import { h } from "./dom.js";
import { showEmoji, withEmoji } from "./emoji.js";
import { broadcast, channelLink, mention, safeLink } from "./slack_text.js";
import { showDate } from "./time.js";

export function renderRichText(block) {
  return h("div", { class: "rich-text" }, (block.elements ?? []).map(renderPart));
}

const PARTS = {
  rich_text_section: (part) => h("div", null, part.elements.map(renderElement)),
  rich_text_preformatted: (part) => h("pre", { tabindex: "0" }, h("code", null, part.elements.map(renderElement))),
  rich_text_quote: (part) => h("blockquote", null, part.elements.map(renderElement)),
  rich_text_list: (part) =>
    h(part.style === "ordered" ? "ol" : "ul", { class: `indent-${part.indent ?? 0}` },
      part.elements.map((item) => h("li", null, item.elements.map(renderElement)))),
};

const renderPart = (part) => PARTS[part.type]?.(part) ?? null;

const ELEMENTS = {
  text: (element) => lines(withEmoji(element.text)),
  link: (element) => [safeLink(element.url, element.text ?? element.url)],
  user: (element) => [mention(element.user_id)],
  channel: (element) => [channelLink(element.channel_id)],
  broadcast: (element) => [broadcast(element.range)],
  emoji: (element) => [showEmoji(element.name)],
  date: (element) => [h("time", null, showDate(element.timestamp, element.format))],
};

const TAGS = { bold: "strong", italic: "em", strike: "s", code: "code" };

function renderElement(element) {
  const nodes = ELEMENTS[element.type]?.(element) ?? [element.text ?? ""];
  return Object.entries(TAGS)
    .filter(([style]) => element.style?.[style])
    .reduce((inside, [, tag]) => [h(tag, null, inside)], nodes);
}

const lines = (text) =>
  text.split("\n").flatMap((line, index) => (index ? [h("br"), line] : [line])).filter((node) => node !== "");
