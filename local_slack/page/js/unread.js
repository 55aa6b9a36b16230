// Read marks, per person and place, kept by the browser.

import { changed, here, isReply, listMessages, listThread, rootOf, world } from "./state.js";

const KEY = "local-slack-read";
const marks = JSON.parse(localStorage.getItem(KEY) ?? "{}");

const name = (place) => `${world.team.id}/${here.speaker}/${place}`;

export const readUntil = (place) => marks[name(place)] ?? "";

export function markRead(place, ts) {
  if (!ts || ts <= readUntil(place)) return;
  marks[name(place)] = ts;
  localStorage.setItem(KEY, JSON.stringify(marks));
  changed();
}

// The number of unread messages of others: in the channel and in the person's threads.
export function countUnread(channel) {
  const messages = listMessages(channel);
  const mine = new Set(messages.filter((m) => m.user === here.speaker).map(rootOf));
  return messages.filter((message) => isUnread(channel, message, mine)).length;
}

function isUnread(channel, message, mine) {
  if (message.user === here.speaker) return false;
  if (!isReply(message)) return message.ts > readUntil(channel);
  return mine.has(rootOf(message)) && message.ts > readUntil(`${channel}/${rootOf(message)}`);
}

export const countUnreadReplies = (channel, root) =>
  listThread(channel, root).filter(
    (m) => isReply(m) && m.user !== here.speaker && m.ts > readUntil(`${channel}/${root}`),
  ).length;
