// The state of the page: the workspace as the server reports it, and the person's place.

export const world = {
  ready: false,
  connected: false,
  team: {},
  bot: {},
  users: new Map(),
  channels: new Map(),
  messages: new Map(), // channel id -> Map of ts -> message
  ephemerals: [],
  streaming: new Set(), // "channel/ts"
  agents: new Map(), // "channel/thread_ts" -> status, title, prompts, session
  views: new Map(), // view id -> {user, open, errors, view}
  opened: new Set(), // ids of modals that opened while this page was there: a modal ends with its tab
  homes: new Map(), // user id -> {view}
  manifest: {},
  switches: [],
  pages: [],
  workspaces: [], // {id, name, page, installed, install}; empty if there can be no others
  steps: 0, // incremented with everything that "What happened" may show
  names: 0, // incremented when people and channels change: messages show their names
};

export const here = {
  speaker: "",
  channel: "",
  thread: "",
  tab: "messages", // of the app: "messages" or "home"
  panel: "", // "", "steps" or "faults"
  chosen: "", // ts of the message whose steps are shown
  editing: "", // ts of the message that is edited
  menu: false, // whether the sidebar is open on a narrow screen
  newSince: "", // where the "New" line is
};

export function load(state) {
  lists.clear();
  world.names += 1;
  world.team = state.team;
  world.bot = state.bot;
  world.users = new Map(state.users.map((user) => [user.id, user]));
  world.channels = new Map(state.channels.map((channel) => [channel.id, channel]));
  world.messages = new Map(
    Object.entries(state.messages).map(([id, list]) => [id, new Map(list.map((m) => [m.ts, m]))]),
  );
  world.ephemerals = state.ephemerals;
  world.streaming = new Set(state.streaming.map((key) => key.join("/")));
  world.agents = new Map(state.agent_threads.map((thread) => [agentKey(thread), thread]));
  world.views = new Map(state.views.map((shown) => [shown.view.id, shown]));
  world.homes = new Map(Object.entries(state.homes));
  world.manifest = state.manifest ?? {};
  world.switches = state.switches ?? [];
  world.pages = state.pages ?? [];
  world.workspaces = state.workspaces ?? [];
  world.ready = world.connected = true;
  world.steps += 1;
}

const agentKey = (thread) => `${thread.channel_id}/${thread.thread_ts}`;

const APPLY = {
  message_posted: (data) => keep(data.channel_id, data.message, data.streaming),
  message_changed: (data) => keep(data.channel_id, data.message, data.streaming),
  message_deleted(data) {
    world.messages.get(data.channel_id)?.delete(data.deleted_ts);
    world.streaming.delete(`${data.channel_id}/${data.deleted_ts}`);
  },
  ephemeral_posted(data) {
    const message = { ...data.message, channel: data.channel_id, visible_to: data.visible_to };
    world.ephemerals = world.ephemerals.filter((other) => !same(other, message)).concat(message);
  },
  ephemeral_deleted(data) {
    const gone = { channel: data.channel_id, ts: data.deleted_ts };
    world.ephemerals = world.ephemerals.filter((other) => !same(other, gone));
  },
  reaction_added: (data) => setReaction(data, (users) => [...users, data.user]),
  reaction_removed: (data) => setReaction(data, (users) => users.filter((u) => u !== data.user)),
  agent_thread: (data) => world.agents.set(agentKey(data), data),
  view(data) {
    if (data.view.type === "home") world.homes.set(data.user, data);
    else if (data.open) {
      world.views.set(data.view.id, data);
      world.opened.add(data.view.id);
    }
    else world.views.delete(data.view.id);
  },
  switches: (data) => (world.switches = data.switches),
  workspaces: (data) => (world.workspaces = data.workspaces),
  delivery: () => (world.steps += 1),
  call: () => (world.steps += 1),
  trace: () => (world.steps += 1),
};

// Apply one change; returns false if the whole state must be reloaded instead.
export function apply(change) {
  lists.clear();
  const step = APPLY[change.kind];
  step?.(change.data);
  return step !== undefined;
}

const same = (one, other) => one.channel === other.channel && one.ts === other.ts;

function keep(channel, message, streaming) {
  if (!world.messages.has(channel)) world.messages.set(channel, new Map());
  world.messages.get(channel).set(message.ts, message);
  world.streaming[streaming ? "add" : "delete"](`${channel}/${message.ts}`);
}

function setReaction(data, change) {
  const message = world.messages.get(data.item.channel)?.get(data.item.ts);
  if (!message) return;
  const reactions = new Map((message.reactions ?? []).map((r) => [r.name, r.users]));
  const users = [...new Set(change(reactions.get(data.reaction) ?? []))];
  if (users.length) reactions.set(data.reaction, users);
  else reactions.delete(data.reaction);
  const list = [...reactions].map(([name, who]) => ({ name, users: who, count: who.length }));
  world.messages.get(data.item.channel).set(message.ts, { ...message, reactions: list });
}

// Looking things up

export const byTs = (one, other) => (one.ts < other.ts ? -1 : one.ts > other.ts ? 1 : 0);
export const isReply = (message) => message.thread_ts && message.thread_ts !== message.ts;
export const rootOf = (message) => message.thread_ts || message.ts;
export const isStreaming = (channel, ts) => world.streaming.has(`${channel}/${ts}`);
export const agent = (channel, thread) => world.agents.get(`${channel}/${thread}`);
export const people = () => [...world.users.values()].filter((user) => !user.is_bot);
export const speaker = () => world.users.get(here.speaker);

export function userName(id) {
  return world.users.get(id)?.profile.real_name ?? id;
}

export const roleOf = (user) =>
  user.is_admin ? "admin" : user.is_restricted ? "guest" : user.team_id !== world.team.id ? "other workspace" : "";

// Lists are cached between two changes. They are shared, so they must not be modified.
const lists = new Map();

function remember(name, make) {
  const key = `${name}/${here.speaker}`;
  if (!lists.has(key)) lists.set(key, make());
  return lists.get(key);
}

export const listMessages = (channel) =>
  remember(`messages/${channel}`, () => {
    const ephemerals = world.ephemerals.filter(
      (message) => message.channel === channel && message.visible_to === here.speaker,
    );
    return [...(world.messages.get(channel)?.values() ?? []), ...ephemerals].sort(byTs);
  });

export const listRoots = (channel) =>
  remember(`roots/${channel}`, () =>
    listMessages(channel).filter((m) => !isReply(m) || m.subtype === "thread_broadcast"));

const threads = (channel) =>
  remember(`threads/${channel}`, () => {
    const found = new Map();
    for (const message of listMessages(channel)) {
      const root = rootOf(message);
      if (!found.has(root)) found.set(root, []);
      found.get(root).push(message);
    }
    return found;
  });

export const listThread = (channel, ts) => threads(channel).get(ts) ?? [];

export function findMessage(channel, ts) {
  return (
    world.messages.get(channel)?.get(ts) ??
    world.ephemerals.find((m) => m.channel === channel && m.ts === ts)
  );
}

export function channelName(channel) {
  if (!channel) return "";
  if (channel.type === "im") return userName(world.bot.id);
  if (channel.type !== "mpim") return channel.name;
  return channel.members.filter((id) => id !== here.speaker).map(userName).join(", ");
}

export const myChannels = () =>
  [...world.channels.values()].filter((channel) => channel.members.includes(here.speaker));

export const isAppDm = (channel) =>
  channel?.type === "im" && channel.members.includes(world.bot.id);

export const topModal = () =>
  [...world.views.values()].filter((shown) => shown.open && shown.user === here.speaker && world.opened.has(shown.view.id)).at(-1);

// Notifying the panes

const panes = [];
let asked = false;

export const onChange = (pane) => panes.push(pane);

export function changed() {
  if (asked) return;
  asked = true;
  setTimeout(() => {
    asked = false;
    if (world.ready) for (const pane of panes) pane();
  }, 0);
}
