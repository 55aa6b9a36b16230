// Actions of the speaker, with a notice if Slack refuses one.

import { act, Refused } from "./api.js";
import { h } from "./dom.js";
import { here } from "./state.js";

const REASONS = {
  not_supported_in_threads: "Slack has no slash commands in threads. Use one in the channel, or a message's menu.",
  invalid_command: "The app has no such command.",
  not_in_channel: "You are not in this channel.",
  cant_update_message: "Only its author can edit a message.",
  cant_delete_message: "Only its author can delete a message.",
};

export async function doAct(name, args) {
  return attempt(() => act(here.speaker, name, args));
}

// Like `doAct`, for actions that the app must answer within three seconds.
export async function interact(name, args, label) {
  const delivery = await doAct(name, args);
  if (delivery?.state === "failed") {
    notify(`${label} failed: the app did not answer (${delivery.attempts.at(-1).reason || "error"}).`);
  }
  return delivery;
}

export async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Refused) notify(REASONS[error.message] ?? `Slack refuses: ${error.message}`);
    else notify("The local Slack does not answer. Is it still running?");
    return undefined;
  }
}

export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    notify(`${what} copied.`);
  } catch {
    notify("The browser does not let this page copy.");
  }
}

export function notify(text) {
  const toast = h("div", { class: "toast", role: "alert" }, text);
  document.getElementById("toasts").append(toast);
  setTimeout(() => toast.remove(), 7000);
}

// For screen readers only.
export function announce(text) {
  document.getElementById("announcer").textContent = text;
}
