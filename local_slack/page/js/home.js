// App Home: the view that the app has published for the speaker.

import { renderBlocks } from "./blocks.js";
import { interact } from "./doing.js";
import { h, icon, replace } from "./dom.js";
import { here, userName, world } from "./state.js";

export class HomeView {
  constructor() {
    this.element = h("div", { class: "scroll home", tabindex: "0", role: "tabpanel", "aria-label": "Home", hidden: true });
  }

  show() {
    const view = world.homes.get(here.speaker)?.view;
    const sign = JSON.stringify([view?.id, view?.hash, here.speaker]);
    if (sign === this.sign) return;
    this.sign = sign;
    const use = (element, value, block_id) =>
      interact("clicks_in_view", { action_id: element.action_id, value, block_id, view_id: view.id }, element.text?.text ?? "The action");
    const blocks = view ? renderBlocks(view.blocks, use) : [];
    for (const block of blocks) if (block.matches("[aria-level]")) block.setAttribute("aria-level", "2");
    replace(this.element, view ? h("div", { class: "home-blocks body" }, blocks) : nothing());
  }
}

const nothing = () =>
  h("div", { class: "welcome" }, icon("home"), h("h2", null, "Nothing here yet"),
    h("p", null, `${userName(world.bot.id)} has published no Home for ${userName(here.speaker)}.`));
