// The control API of the local Slack. The page's cookie is its key.

export class Refused extends Error {}

async function ask(path, options) {
  const response = await fetch(`/_control${path}`, options);
  const body = await response.json();
  if (!response.ok) throw new Refused(body.error ?? response.statusText);
  return body;
}

function send(method, path, body) {
  const headers = { "Content-Type": "application/json" };
  return ask(path, { method, headers, body: JSON.stringify(body) });
}

export const loadState = () => ask("/state");
export const loadFaults = () => ask("/faults");
export const setFaults = (faults) => send("PUT", "/faults", faults);
export const press = (name) => send("POST", `/switches/${encodeURIComponent(name)}`, {});
export const loadSteps = (channel, thread) =>
  ask(`/steps?${new URLSearchParams({ channel, thread_ts: thread })}`);

export const addPerson = async (name, role) => (await send("POST", "/people", { name, role })).result;
export const addWorkspace = async (name) => (await send("POST", "/workspaces", { name })).result;

export async function act(user, name, args = {}) {
  return (await send("POST", "/acts", { user, act: name, args })).result;
}

const KINDS = [
  "message_posted", "message_changed", "message_deleted", "ephemeral_posted", "ephemeral_deleted",
  "reaction_added", "reaction_removed", "agent_thread", "view", "user_added", "channel_created",
  "member_joined", "member_left", "delivery", "call", "trace", "switches", "workspaces",
];

// Calls `take` with every change after number `after`, and `lost` once when the feed ends.
export function watch(after, take, lost) {
  const feed = new EventSource(`/_control/changes?after=${after}`);
  for (const kind of KINDS) {
    feed.addEventListener(kind, (event) => take(JSON.parse(event.data)));
  }
  feed.onerror = () => {
    feed.close();
    lost();
  };
}
