// Suggested prompts of an agent: those it has set, else those of its manifest.

import { h, replace } from "./dom.js";
import { agent, world } from "./state.js";

export class Prompts {
  constructor(choose) {
    this.choose = choose;
    this.element = h("div", { class: "prompts", role: "group", "aria-label": "Suggested prompts", hidden: true });
  }

  // `fallback`: whether the manifest's prompts are shown if the app has set none.
  show(channel, thread, fallback) {
    const set = channel ? agent(channel, thread) : null;
    const own = world.manifest.features?.agent_view?.suggested_prompts ?? world.manifest.features?.assistant_view?.suggested_prompts ?? [];
    const prompts = set?.prompts?.length ? set.prompts : channel && fallback ? own : [];
    const sign = JSON.stringify([prompts, set?.prompts_title]);
    this.element.hidden = !prompts.length;
    if (sign === this.sign) return;
    this.sign = sign;
    replace(this.element, set?.prompts_title ? h("p", null, set.prompts_title) : null,
      prompts.map((item) => h("button", { type: "button", class: "prompt", title: item.message, onclick: () => this.choose(item.message) }, item.title)));
  }
}
