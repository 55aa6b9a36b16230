// Switches for faults between Slack, the app and its AI server.

import { loadFaults, press, setFaults } from "./api.js";
import { attempt } from "./doing.js";
import { h, iconButton, keyed, replace } from "./dom.js";
import { togglePanel } from "./places.js";
import { changed, here, world } from "./state.js";

const LATE_SECONDS = [0, 4];
const POSTS = "chat.postMessage chat.startStream";

export class FaultsPanel {
  constructor() {
    this.switches = h("div", { class: "switches" });
    this.app = h("div", { class: "switches" });
    this.appTitle = h("h3", null, "The app");
    this.element = h("aside", { class: "panel", "aria-label": "Faults", hidden: true },
      h("header", { class: "bar" }, h("h2", null, "Faults"), h("span", { class: "grow" }),
        iconButton("close", "Close Faults", () => togglePanel("faults"))),
      h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Switches" },
        h("p", { class: "quiet" }, "Break something while a message is in progress, and check that its answer still comes once, complete and in order. ",
          "“What happened” shows how."),
        h("h3", null, "Slack"), this.switches, this.appTitle, this.app));
    this.faults = null;
  }

  show() {
    const open = here.panel === "faults";
    this.element.hidden = !open;
    if (!open) {
      this.faults = null;
      return;
    }
    if (!this.faults) this.load();
    const now = this.faults ?? { deliver_twice: false, delay: [0, 0], methods: [] };
    const limited = now.methods.filter((fault) => fault.kind === "rate_limit").reduce((sum, fault) => sum + fault.times, 0);
    const sign = JSON.stringify([now, world.switches]);
    if (sign === this.sign) return;
    this.sign = sign;
    this.rows(this.switches, [
      this.toggle("twice", "Deliver twice", "Every event is delivered a second time.", now.deliver_twice, (on) => ({ deliver_twice: on })),
      this.toggle("late", "Deliver late and shuffled", "Each event is delayed by up to four seconds.", now.delay[1] > 0, (on) => ({ delay: on ? LATE_SECONDS : [0, 0] })),
      this.once("limit", "429 from Slack", "The next two messages or streams of the app are refused for a second.", limited, { method: POSTS, kind: "rate_limit", times: 2, retry_after: 1 }),
      this.once("drop", "Lose a response of Slack", "The app's next message or stream appears, but the app gets no response.", now.methods.filter((f) => f.kind === "drop_after").length, { method: POSTS, kind: "drop_after" }),
    ]);
    this.appTitle.hidden = !world.switches.length;
    this.rows(this.app, world.switches.map((item) => ({
      key: item.name, sign: JSON.stringify(item),
      build: () => row(item.title, item.description, item.state,
        h("button", { type: "button", class: "button danger", "data-focus": item.name, onclick: () => attempt(() => press(item.name)) }, item.button)),
    })));
  }

  rows(parent, rows) {
    keyed(parent, rows, { key: (r) => r.key, sign: (r) => r.sign, build: (r) => r.build() });
  }

  toggle(key, title, text, on, change) {
    return {
      key, sign: String(on),
      build: () => row(title, text, "", h("button", {
        type: "button", role: "switch", class: "switch", "aria-checked": String(on), "aria-label": title, "data-focus": key,
        onclick: () => this.set(change(!on)),
      }, h("span"))),
    };
  }

  once(key, title, text, waiting, fault) {
    return {
      key, sign: String(waiting),
      build: () => row(title, text, waiting ? `${waiting} to come` : "", h("button", {
        type: "button", class: "button", "data-focus": key,
        onclick: () => this.set({ methods: [...(this.faults?.methods ?? []), fault] }),
      }, "Next time")),
    };
  }

  async load() {
    this.faults = { deliver_twice: false, delay: [0, 0], methods: [] };
    const loaded = await attempt(loadFaults);
    if (loaded) this.faults = loaded;
    changed();
  }

  async set(values) {
    const answer = await attempt(() => setFaults(values));
    if (answer) this.faults = answer;
    changed();
  }
}

function row(title, text, state, control) {
  return h("div", { class: "switch-row" },
    h("div", null, h("strong", null, title), h("small", null, text), state ? h("small", { class: "state" }, state) : null), control);
}
