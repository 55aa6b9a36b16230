// One message: who, when, what, its files, reactions, menu.

import { renderBlocks } from "./blocks.js";
import { copy, doAct, interact } from "./doing.js";
import { h, icon, iconButton } from "./dom.js";
import { showEmoji } from "./emoji.js";
import { openMenu, openReactions } from "./menu.js";
import { chooseMessage, goThread, stopEditing } from "./places.js";
import { asTyped, renderMrkdwn, safeLink } from "./slack_text.js";
import { agent, here, isReply, isStreaming, listThread, userName, world } from "./state.js";
import { showDay, showTime, showWhole } from "./time.js";
import { countUnreadReplies } from "./unread.js";

const JOINS = new Set(["channel_join", "group_join"]);

// Everything that the rendering of a message depends on, as plain values. `buildMessage` gets
// nothing else, so that a message is rebuilt when, and only when, something of it has changed.
export function viewMessage(channel, message, inThread, place) {
  const replies = inThread || isReply(message) ? [] : listThread(channel, message.ts).slice(1).filter((reply) => !reply.is_ephemeral);
  const state = inThread ? null : agent(channel, message.ts);
  return {
    channel, message, inThread, ...place,
    speaker: here.speaker,
    names: world.names,
    streaming: isStreaming(channel, message.ts),
    // The root of an open thread is in both panes; it is edited in one of them.
    editing: here.editing === message.ts && message.user === here.speaker && (inThread || here.thread !== message.ts),
    chosen: inThread && here.panel === "steps" && here.chosen === message.ts,
    open: !inThread && here.thread === message.ts,
    alone: !here.thread,
    replies: replies.length,
    lastReply: replies.at(-1)?.ts,
    repliers: [...new Set(replies.map((reply) => reply.user))].slice(0, 4).join(),
    unread: replies.length ? countUnreadReplies(channel, message.ts) : 0,
    working: state?.status ? `${userName(world.bot.id)} ${state.status}` : "",
    title: state?.title ?? "",
  };
}

export function buildMessage(view) {
  const { message } = view;
  const divider = view.day ? h("div", { class: "day" }, h("span", null, showDay(message.ts))) : null;
  const fresh = view.fresh ? h("div", { class: "fresh" }, h("span", null, "New")) : null;
  const content = JOINS.has(message.subtype)
    ? h("div", { class: "notice" }, renderMrkdwn(message.text))
    : article(view);
  return h("li", { "data-ts": message.ts }, divider, fresh, content);
}

function article(view) {
  const { message, inThread } = view;
  const name = message.username ?? userName(message.user);
  const flags = { compact: view.compact, ephemeral: message.is_ephemeral, chosen: view.chosen, open: view.open, streaming: view.streaming };
  return h("article", {
    class: ["message", ...Object.keys(flags).filter((flag) => flags[flag])].join(" "),
    "aria-label": `${name}, ${showTime(message.ts)}`,
    tabindex: "-1",
    onclick: (event) => inThread && !event.target.closest("button, a, input, textarea, select") && chooseMessage(message.ts),
  },
    view.compact
      ? h("time", { class: "gutter", title: showWhole(message.ts) }, showTime(message.ts))
      : avatar(message.user),
    h("div", { class: "content" },
      view.compact ? null : head(message, name),
      message.is_ephemeral ? h("div", { class: "only-you" }, icon("eye"), " Only visible to you") : null,
      view.editing ? editor(view) : body(view),
      reactions(view),
      inThread ? null : replyBar(view)),
    message.is_ephemeral || message.subtype === "tombstone" || view.editing ? null : toolbar(view));
}

export function avatar(id) {
  const user = world.users.get(id);
  if (!user) return h("span", { class: "avatar", "aria-hidden": "true" }, "?");
  if (user.is_bot) return h("span", { class: "avatar bot", "aria-hidden": "true" }, icon("bot"));
  const hue = [...user.id].reduce((sum, letter) => sum + letter.charCodeAt(0), 0) % 6;
  return h("span", { class: `avatar hue-${hue}`, "aria-hidden": "true" }, userName(id).slice(0, 1).toUpperCase());
}

function head(message, name) {
  const user = world.users.get(message.user);
  return h("header", null,
    h("span", { class: "name" }, name),
    user?.is_bot ? h("span", { class: "badge" }, "APP") : null,
    h("time", { title: showWhole(message.ts) }, showTime(message.ts)));
}

function body({ channel, message, streaming, alone }) {
  if (message.subtype === "tombstone") return h("div", { class: "gone" }, "This message was deleted.");
  const use = (element, value, block_id) =>
    interact("clicks", { channel, ts: message.ts, action_id: element.action_id, value, block_id }, element.text?.text ?? "The action");
  const shown = message.blocks?.length
    ? renderBlocks(message.blocks, use)
    : message.text ? [h("div", { class: "text" }, renderMrkdwn(message.text))] : [];
  if (message.edited) {
    const edited = h("small", { class: "edited" }, "(edited)");
    const last = shown.at(-1)?.matches(".rich-text, .markdown, .text") ? shown.at(-1) : null;
    if (last) (last.lastElementChild?.matches("div, p") ? last.lastElementChild : last).append(edited);
    else shown.push(edited);
  }
  if (message.subtype === "thread_broadcast" && alone) {
    shown.unshift(h("small", { class: "hint" }, "replied to a thread"));
  }
  for (const part of shown) addCopyButtons(part);
  return h("div", { class: "body" }, shown,
    streaming ? h("span", { class: "hidden-text" }, "still writing") : null,
    (message.attachments ?? []).map((item) => attachment(item, use)),
    message.files?.length ? h("div", { class: "files" }, message.files.map(file)) : null);
}

function addCopyButtons(part) {
  for (const pre of part.querySelectorAll?.("pre") ?? []) {
    const frame = h("div", { class: "code" });
    pre.replaceWith(frame);
    frame.append(pre, h("button", { type: "button", class: "copy", onclick: () => copy(pre.textContent, "Code") }, "Copy"));
  }
}

// Attachments: those of apps, forwarded messages, link previews, pasted tables.
function attachment(item, use) {
  const title = item.title && item.title_link ? safeLink(item.title_link, item.title) : item.title;
  return h("div", { class: "attachment" },
    item.pretext ? h("div", null, renderMrkdwn(String(item.pretext))) : null,
    item.author_name ? h("strong", { class: "author" }, item.author_name) : null,
    title ? h("strong", null, title) : null,
    item.text ? h("div", null, renderMrkdwn(String(item.text))) : null,
    Array.isArray(item.fields) && item.fields.length ? h("div", { class: "fields" }, item.fields.map((field) =>
      h("div", null, h("strong", null, field?.title ?? ""), h("div", null, renderMrkdwn(String(field?.value ?? "")))))) : null,
    Array.isArray(item.blocks) ? renderBlocks(item.blocks, use) : null,
    item.footer ? h("small", { class: "hint" }, item.footer) : null);
}

function file(item) {
  const address = `/_page/files/${encodeURIComponent(item.id)}`;
  if (item.mimetype?.startsWith("image/")) {
    return h("figure", null,
      h("a", { href: address, target: "_blank", rel: "noopener" },
        h("img", { src: address, alt: item.alt_txt ?? item.name, loading: "lazy" })),
      h("figcaption", null, item.name));
  }
  return h("a", { class: "file", href: address, download: item.name }, icon("file"),
    h("span", null, h("strong", null, item.name), h("small", null, `${item.pretty_type} · ${size(item.size)}`)));
}

const size = (bytes) =>
  bytes < 1024 ? `${bytes} bytes` : bytes < 1_048_576 ? `${Math.round(bytes / 1024)} kB` : `${(bytes / 1_048_576).toFixed(1)} MB`;

function reactions({ channel, message, speaker }) {
  if (!message.reactions?.length) return null;
  return h("div", { class: "reactions" }, message.reactions.map(({ name, users, count }) => {
    const mine = users.includes(speaker);
    return h("button", {
      type: "button",
      class: mine ? "reaction mine" : "reaction",
      "aria-pressed": String(mine),
      "aria-label": `${name}, ${count}`,
      title: `${users.map(userName).join(", ")} reacted with :${name}:`,
      "data-focus": `reaction-${name}`,
      onclick: () => doAct(mine ? "unreacts" : "reacts", { channel, ts: message.ts, name }),
    }, showEmoji(name), h("span", null, String(count)));
  }));
}

function replyBar({ message, replies, lastReply, repliers, unread, working, title }) {
  const heading = title && !holds(message, title) ? h("span", { class: "thread-title" }, title) : null;
  if (!replies && !working) return heading;
  const count = `${replies} ${replies === 1 ? "reply" : "replies"}`;
  return [heading, h("button", { type: "button", class: "reply-bar", "data-focus": "replies", onclick: () => goThread(message.ts) },
    repliers.split(",").filter(Boolean).map(avatar),
    replies ? h("span", { class: "count" }, count) : null,
    unread ? h("span", { class: "unread" }, `${unread} new`) : null,
    working ? h("span", { class: "working" }, working) : replies ? h("span", { class: "last" }, `Last ${showTime(lastReply)}`) : null)];
}

// A title that equals the first words of the thread is not repeated.
const holds = (message, title) => asTyped(message.text).replace(/\s+/g, " ").includes(title.replace(/…$/, ""));

function toolbar({ channel, message, inThread, speaker }) {
  const react = iconButton("smile", "Add a reaction", (event) =>
    openReactions(event.currentTarget, (name) => doAct("reacts", { channel, ts: message.ts, name })), { "data-focus": "react" });
  const reply = inThread ? null : iconButton("thread", "Reply in thread", () => goThread(message.ts), { "data-focus": "reply" });
  const more = iconButton("more", "More actions", (event) =>
    openMenu(event.currentTarget, channel, message, message.user === speaker), { "data-focus": "more", "aria-haspopup": "menu" });
  return h("div", { class: "toolbar", role: "group", "aria-label": "Message actions" }, react, reply, more);
}

function editor({ channel, message }) {
  const text = h("textarea", { class: "input", rows: 3, "aria-label": "Edit message", value: asTyped(message.text) });
  const save = async () => {
    const done = await doAct("edits", { channel, ts: message.ts, text: text.value });
    if (done !== undefined) stopEditing();
  };
  text.addEventListener("keydown", (event) => {
    if (event.key === "Escape") stopEditing();
    if (event.key === "Enter" && !event.shiftKey) save();
    if (event.key === "Escape" || (event.key === "Enter" && !event.shiftKey)) {
      event.preventDefault();
      event.stopPropagation();
    }
  });
  setTimeout(() => text.focus(), 0);
  return h("div", { class: "editor" }, text,
    h("div", { class: "actions" },
      h("button", { type: "button", class: "button", onclick: stopEditing }, "Cancel"),
      h("button", { type: "button", class: "button primary", onclick: save }, "Save")));
}
