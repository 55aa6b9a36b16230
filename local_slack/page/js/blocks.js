// The subset of Block Kit that bots like ours use.

import { h } from "./dom.js";
import { image, renderElement, renderText } from "./elements.js";
import { renderMarkdown, table } from "./markdown.js";
import { renderRichText } from "./rich_text.js";

// `use(element, value, block_id)` reports the person's actions.
export const renderBlocks = (blocks, use) =>
  blocks.map((block) => {
    try {
      return BLOCKS[block.type](block, (element, value) => use(element, value, block.block_id));
    } catch {
      // Unknown or malformed blocks: apps may attach anything.
      return h("div", { class: "unknown" }, `[${block?.type} block]`);
    }
  });

const BLOCKS = {
  markdown: (block) => h("div", { class: "markdown" }, renderMarkdown(block.nodes ?? [])),
  rich_text: renderRichText,
  divider: () => h("hr"),
  header: (block) =>
    h("div", { class: "heading h1", role: "heading", "aria-level": 4 }, renderText(block.text)),
  section: (block, use) =>
    h("div", { class: "section" },
      h("div", { class: "section-text" },
        renderText(block.text),
        block.fields ? h("div", { class: "fields" }, block.fields.map((item) => h("div", null, renderText(item)))) : null),
      block.accessory ? h("div", { class: "accessory" }, renderElement(block.accessory, use)) : null),
  actions: (block, use) =>
    h("div", { class: "actions" }, block.elements.map((element) => renderElement(element, use))),
  context_actions: (block, use) =>
    h("div", { class: "actions slim" }, block.elements.map((element) => renderElement(element, use))),
  context: (block) =>
    h("div", { class: "context" },
      block.elements.map((item) => (item.type === "image" ? image(item) : h("span", null, renderText(item))))),
  image: (block) =>
    h("figure", { class: "image" },
      block.title ? h("figcaption", null, renderText(block.title)) : null, image(block)),
  table: (block) => table(block.rows[0], block.rows.slice(1), tableCell, alignments(block)),
  data_visualization: (block) => chart(block),
  input: (block, use) => renderInput(block, use),
  alert: (block) => h("div", { class: `alert ${block.level ?? ""}`, role: "note" }, renderText(block.text)),
  task_card: (block) => taskCard(block),
  plan: (block) => h("div", { class: "heading h3" }, block.title?.text ?? block.title ?? ""),
  file: (block) => h("div", { class: "unknown" }, block.external_id ?? "file"),
};

// A chart as bars beside their values, which a screen reader reads as a list.
function chart({ title, chart: { segments, series } }) {
  const sets = segments ? [{ name: title, data: segments }] : series;
  const largest = Math.max(1, ...sets.flatMap((set) => set.data.map((point) => point.value)));
  const bar = (point) =>
    h("li", null, h("span", null, point.label),
      h("meter", { max: largest, value: point.value, "aria-hidden": "true" }), h("b", null, point.value.toLocaleString("en")));
  return h("figure", { class: "chart" }, h("figcaption", null, title),
    sets.map((set) => [sets.length > 1 ? h("small", null, set.name) : null, h("ul", null, set.data.map(bar))]));
}

function tableCell(cell) {
  if (!cell) return [];
  return cell.type === "rich_text" ? renderRichText(cell) : String(cell.text ?? cell.value ?? "");
}

const alignments = (block) => (block.column_settings ?? []).map((setting) => setting?.align ?? null);

const MARKS = { pending: "○", in_progress: "◐", complete: "✓", error: "✕" };

function taskCard(block) {
  const status = block.status ?? "pending";
  return h("div", { class: `task-card ${status}` },
    h("span", { class: "mark", role: "img", "aria-label": status.replace("_", " ") }, MARKS[status] ?? "•"),
    h("div", null,
      h("div", null, block.title ?? ""),
      block.details ? h("small", null, asText(block.details)) : null,
      block.output ? h("small", null, asText(block.output)) : null));
}

const asText = (value) => (typeof value === "string" ? [value] : renderRichText(value));

let count = 0;

function renderInput(block, use) {
  const element = renderElement(block.element, block.dispatch_action ? use : () => {});
  element.id = `input-${(count += 1)}`;
  element.dataset.input = block.block_id;
  const optional = block.optional ? h("small", null, " (optional)") : null;
  if (!block.optional && element.matches("input, textarea, select")) element.required = true;
  const hint = block.hint ? h("small", { class: "hint", id: `${element.id}-hint` }, renderText(block.hint)) : null;
  if (hint) element.setAttribute("aria-describedby", hint.id);
  if (!element.matches("input, textarea, select")) element.setAttribute("aria-label", block.label.text);
  else element.removeAttribute("aria-label");
  return h("div", { class: "field" },
    h("label", { for: element.id }, renderText(block.label), optional), element, hint);
}
