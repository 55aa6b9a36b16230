// The sidebar: team, places, people to speak as, theme, faults.

import { avatar } from "./message.js";
import { doAct } from "./doing.js";
import { h, icon, iconButton, keyed } from "./dom.js";
import { openItems } from "./menu.js";
import { askForPerson, openWorkspaces } from "./more.js";
import { awaitApp, goChannel, speakAs, togglePanel } from "./places.js";
import { channelName, here, isAppDm, myChannels, people, roleOf, userName, world } from "./state.js";
import { switchTheme } from "./theme.js";
import { countUnread } from "./unread.js";

const byName = (one, other) => channelName(one).localeCompare(channelName(other));

export class Sidebar {
  constructor(search, keys, ask) {
    this.teamName = h("strong");
    this.team = h("button", { type: "button", class: "team", "aria-haspopup": "menu", onclick: () => openWorkspaces(this.team, ask) }, this.teamName, icon("chevron"));
    this.state = h("span", { class: "connection", role: "status" });
    this.channels = h("ul");
    this.direct = h("ul");
    this.speakers = h("div", { class: "speakers", role: "radiogroup", "aria-label": "Speak as", onkeydown: (event) => this.turn(event) });
    this.faults = h("button", { type: "button", class: "row faults-button", onclick: () => togglePanel("faults") }, icon("bolt"), "Faults");
    this.keys = h("button", { type: "button", class: "row", onclick: () => keys.open() }, icon("keys"), "Keys");
    this.pages = h("div", { class: "app-pages" });
    this.add = iconButton("plus", "New group message with the app", (event) => this.newGroup(event.currentTarget));
    this.element = h("nav", { class: "sidebar", "aria-label": "Channels and people" },
      h("header", null, this.team, this.state, h("span", { class: "grow" }),
        iconButton("search", "Search (Ctrl K)", () => search.open()),
        iconButton("theme", "Switch between light and dark", switchTheme)),
      h("div", { class: "places" },
        h("h2", null, "Channels"), this.channels,
        h("h2", null, "Direct messages", this.add), this.direct),
      h("footer", null, this.pages, this.faults, this.keys, h("h2", null, "Speak as", iconButton("plus", "Add a person", () => askForPerson(ask))), this.speakers));
  }

  show() {
    this.teamName.textContent = world.team.name;
    this.team.disabled = !world.workspaces.length;
    this.state.textContent = world.connected ? "" : "reconnecting…";
    const mine = myChannels();
    this.list(this.channels, mine.filter((one) => one.type === "channel" || one.type === "group").sort(byName));
    const app = mine.find(isAppDm) ?? { id: "", type: "im", members: [world.bot.id] };
    this.list(this.direct, [app, ...mine.filter((one) => one.type === "mpim").sort(byName)]);
    keyed(this.pages, world.pages, {
      key: (page) => page.name, sign: (page) => page.title,
      build: (page) => h("a", { class: "row", href: `/_app/${encodeURIComponent(page.name)}`, target: "_blank" }, icon("file"), page.title),
    });
    this.faults.setAttribute("aria-pressed", String(here.panel === "faults"));
    keyed(this.speakers, people(), {
      key: (user) => user.id,
      sign: (user) => JSON.stringify([userName(user.id), roleOf(user), user.id === here.speaker]),
      build: (user) => h("button", {
        type: "button", role: "radio", "aria-checked": String(user.id === here.speaker), "data-focus": user.id,
        tabindex: user.id === here.speaker ? "0" : "-1",
        title: `Speak as ${userName(user.id)}`, onclick: () => speakAs(user.id),
      }, avatar(user.id), h("span", null, userName(user.id)), roleOf(user) ? h("small", null, roleOf(user)) : null),
    });
  }

  // Radio buttons: arrow keys choose, Tab leaves the group.
  turn(event) {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const all = people();
    const next = all[(all.findIndex((user) => user.id === here.speaker) + step + all.length) % all.length];
    speakAs(next.id);
    this.speakers.querySelector(`[data-focus="${next.id}"]`)?.focus();
  }

  list(parent, channels) {
    keyed(parent, channels, {
      key: (channel) => channel.id || "app",
      sign: (channel) => JSON.stringify([channelName(channel), channel.id === here.channel, this.unread(channel), here.speaker]),
      build: (channel) => this.row(channel),
    });
  }

  unread(channel) {
    return channel.id && channel.id !== here.channel ? countUnread(channel.id) : 0;
  }

  row(channel) {
    const unread = this.unread(channel);
    const here_ = channel.id === here.channel;
    const sign = channel.type === "im" ? avatar(world.bot.id)
      : icon(channel.type === "channel" ? "hash" : channel.type === "group" ? "lock" : "people");
    return h("li", null,
      h("button", {
        type: "button", class: unread ? "row waiting" : "row", "aria-current": here_ ? "page" : null,
        "data-focus": channel.id || "app",
        onclick: () => (channel.id ? goChannel(channel.id) : openApp()),
      }, sign, h("span", { class: "label" }, channelName(channel)),
      unread ? h("span", { class: "unread", "aria-label": `${unread} unread` }, String(unread)) : null));
  }

  newGroup(button) {
    const others = people().filter((user) => user.id !== here.speaker);
    openItems(button, "With whom?", others.map((user) => [
      `${userName(user.id)} and ${userName(world.bot.id)}`,
      async () => {
        const from = here.channel;
        openNew(await doAct("dm", { names: [user.name] }), from);
      },
    ]));
  }
}

// The first visit opens the direct message; until then the pane is empty, so that nothing typed or
// pressed meanwhile goes to the channel before it.
async function openApp() {
  const before = here.channel;
  awaitApp();
  openNew((await doAct("dm")) ?? before, "");
}

// A new channel is in the state only after the feed has delivered it. People who went elsewhere in
// the meantime stay there.
function openNew(id, from) {
  if (!id || here.channel !== from) return;
  if (world.channels.has(id)) goChannel(id);
  else setTimeout(() => openNew(id, from), 50);
}
