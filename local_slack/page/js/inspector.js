// "What happened": the calls and steps that belong to a message, in order, as they were reported.

import { loadSteps } from "./api.js";
import { attempt } from "./doing.js";
import { h, iconButton, keyed, replace } from "./dom.js";
import { togglePanel } from "./places.js";
import { changed, findMessage, here, listThread, userName, world } from "./state.js";

const SOURCES = {
  slack: ["Slack → app", "An event or interaction that the local Slack delivered, until it was acknowledged"],
  api: ["App → Slack", "A call of Slack's Web API"],
  inbox: ["Inbox", "A message stored by the app"],
  turn: ["Turn", "A step of the app's worker"],
  ai: ["AI server", "A request to the AI server"],
  fault: ["Fault", "A fault switched on in this page"],
};

export class Inspector {
  constructor() {
    this.about = h("p", { class: "quiet" });
    this.whole = h("input", { type: "checkbox", onchange: () => changed() });
    this.total = h("p", { class: "total", role: "status", hidden: true });
    this.list = h("ol", { class: "steps" });
    this.empty = h("p", { class: "quiet" });
    this.element = h("aside", { class: "panel", "aria-label": "What happened", hidden: true },
      h("header", { class: "bar" }, h("h2", null, "What happened"), h("span", { class: "grow" }),
        iconButton("close", "Close What happened", () => togglePanel("steps"))),
      h("div", { class: "panel-head" }, this.about, h("label", null, this.whole, " Whole thread")),
      h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Steps" }, this.total, this.list, this.empty));
    this.loaded = { key: "", steps: [] };
  }

  show() {
    const open = here.panel === "steps" && here.thread;
    this.element.hidden = !open;
    if (!open) return;
    this.load();
    const messages = listThread(here.channel, here.thread);
    const asked = question(messages, here.chosen || here.thread);
    const steps = this.whole.checked ? this.loaded.steps : stepsOf(asked, messages, this.loaded.steps);
    this.about.textContent = asked ? `${userName(asked.user)}: “${short(asked.text)}”` : "";
    replace(this.empty, steps.length ? null : "Nothing was reported yet.");
    const start = steps[0]?.at ?? 0;
    const span = Math.max(0.001, ...steps.map((step) => step.at + (step.ms ?? 0) / 1000 - start));
    const summary = steps.findLast((step) => step.summary)?.summary ?? "";
    this.total.hidden = !summary;
    if (this.total.textContent !== summary) this.total.textContent = summary;
    keyed(this.list, steps, {
      key: (step) => step.id,
      sign: (step) => JSON.stringify([step, start, span]),
      build: (step) => row(step, start, span),
    });
  }

  async load() {
    const key = `${here.channel}/${here.thread}/${world.steps}`;
    if (key === this.loaded.key || this.loading) return;
    this.loading = true;
    const answer = await attempt(() => loadSteps(here.channel, here.thread));
    this.loading = false;
    this.loaded = { key, steps: answer?.steps ?? this.loaded.steps };
    changed();
  }
}

// The person's message for a message: itself, or the last one before an answer.
function question(messages, ts) {
  const chosen = findMessage(here.channel, ts);
  if (!chosen || !chosen.bot_id) return chosen;
  return messages.filter((message) => !message.bot_id && message.ts < ts).at(-1) ?? chosen;
}

// The steps of the message itself and of the turn that took it; and, if the app reports no turns,
// what came before the next message of a person.
function stepsOf(asked, messages, steps) {
  if (!asked) return [];
  const turn = steps.find((step) => step.messages?.includes(asked.ts));
  const next = messages.find((message) => !message.bot_id && message.ts > asked.ts);
  const end = next ? Number(next.ts) : Infinity;
  const after = turn ? steps.find((step) => step.messages?.length && step.at > turn.at && step.turn !== turn.turn) : null;
  return steps.filter((step) => {
    if (step.ts) return step.ts === asked.ts;
    return within(step);
  });
  function within(step) {
    if (!turn) return step.at >= Number(asked.ts) && step.at < end;
    if (step.turn) return step.turn === turn.turn;
    return step.at >= turn.at && (!after || step.at < after.at);
  }
}

function row(step, start, span) {
  const [name, title] = SOURCES[step.source] ?? [step.source, ""];
  const good = step.ok === undefined || step.ok;
  return h("li", { class: `step ${step.source} ${good ? "" : "bad"}` },
    h("span", { class: "when", title: "seconds since the first step" }, `+${seconds(step.at - start)}`),
    h("span", { class: "source", title }, name),
    h("span", { class: "what" }, h("code", null, step.title), step.detail ? h("small", null, ` ${step.detail}`) : null),
    bar(step, start, span),
    h("span", { class: "result" },
      step.status ? h("span", { class: good ? "ok" : "error" }, step.status) : null,
      step.ms != null ? h("small", null, `${step.ms < 10 ? step.ms.toFixed(1) : Math.round(step.ms)} ms`) : null));
}

// When the step was, and how long it took, on the line from the first step to the end of the last.
function bar(step, start, span) {
  const fill = h("i");
  fill.style.left = `min(${(100 * (step.at - start)) / span}%, calc(100% - 3px))`;
  fill.style.width = `${(100 * (step.ms ?? 0)) / 1000 / span}%`;
  return h("span", { class: "time-bar", "aria-hidden": "true" }, fill);
}

const seconds = (value) => value.toFixed(value < 10 ? 2 : 1);

const short = (text) => (text.length > 60 ? `${text.slice(0, 60)}…` : text).replace(/<@(\w+)>/g, (_, id) => `@${userName(id)}`);
