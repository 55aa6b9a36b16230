// Interactive elements of Block Kit. `use(element, value)` reports the person's actions.

import { confirmed } from "./confirm.js";
import { h, icon } from "./dom.js";
import { renderMrkdwn, plain, safeLink } from "./slack_text.js";
import { channelName, here, myChannels, people, userName, world } from "./state.js";

export function renderText(text) {
  if (!text) return [];
  return text.type === "mrkdwn" ? renderMrkdwn(text.text) : plain(text.text);
}

export function renderElement(element, use) {
  return ELEMENTS[element.type]?.(element, use) ?? h("span", { class: "unknown" }, `[${element.type}]`);
}

const ELEMENTS = {
  button(element, use) {
    const label = renderText(element.text);
    if (element.url) return safeLink(element.url, h("span", { class: "button" }, label));
    return h("button", {
      type: "button",
      class: `button ${element.style ?? ""}`,
      "aria-label": element.accessibility_label,
      "data-focus": element.action_id,
      onclick: () => askFirst(element, () => use(element, null)),
    }, label);
  },
  feedback_buttons: (element, use) =>
    h("span", { class: "feedback", role: "group", "aria-label": "Feedback" },
      ["positive", "negative"].map((side) => feedbackButton(element, side, use))),
  icon_button: (element, use) =>
    h("button", {
      type: "button",
      class: "icon-button",
      title: element.text?.text,
      "aria-label": element.accessibility_label ?? element.text?.text ?? element.icon,
      onclick: () => askFirst(element, () => use(element, null)),
    }, element.icon === "trash" ? "🗑" : (element.text?.text ?? "•")),
  image: (element) => image(element),
  overflow: (element, use) =>
    select(element, [option("", "⋯"), ...options(element)], use, "More"),
  static_select: (element, use) => select(element, [prompt(element), ...options(element)], use),
  external_select: (element, use) => select(element, [prompt(element)], use),
  users_select: (element, use) =>
    select(element, [prompt(element), ...people().map((user) => option(user.id, userName(user.id), user.id === element.initial_user))], use),
  conversations_select: (element, use) => channelSelect(element, use),
  channels_select: (element, use) => channelSelect(element, use),
  multi_static_select: (element, use) => choices(element, "checkbox", use),
  checkboxes: (element, use) => choices(element, "checkbox", use),
  radio_buttons: (element, use) => choices(element, "radio", use),
  multi_users_select: (element, use) =>
    choices({ ...element, options: people().map(asOption), initial_options: (element.initial_users ?? []).map((value) => ({ value })) }, "checkbox", use),
  datepicker: (element, use) => field(element, "date", element.initial_date, use),
  timepicker: (element, use) => field(element, "time", element.initial_time, use),
  datetimepicker: (element, use) => field(element, "number", element.initial_date_time, use),
  plain_text_input: (element) => textInput(element, element.multiline ? null : "text"),
  rich_text_input: (element) => textInput(element, null),
  email_text_input: (element) => textInput(element, "email"),
  url_text_input: (element) => textInput(element, "url"),
  number_input: (element) => textInput(element, "number"),
};

function feedbackButton(element, side, use) {
  const { text, accessibility_label: label } = element[`${side}_button`];
  const give = (event) => {
    for (const button of event.currentTarget.parentElement.children) button.setAttribute("aria-pressed", "false");
    event.currentTarget.setAttribute("aria-pressed", "true");
    use(element, side);
  };
  return h("button", {
    type: "button",
    class: "icon-button",
    title: text.text,
    "aria-label": label ?? text.text,
    "aria-pressed": "false",
    "data-focus": `${element.action_id}-${side}`,
    onclick: give,
  }, icon(side === "positive" ? "up" : "down"));
}

// Runs `run`, after the person agreed if the element asks for that; else `undo`.
async function askFirst({ confirm }, run, undo = () => {}) {
  const agreed = !confirm || (await confirmed({
    title: plain(confirm.title?.text ?? "Are you sure?"),
    content: renderText(confirm.text),
    yes: plain(confirm.confirm?.text ?? "Yes"),
    no: plain(confirm.deny?.text ?? "No"),
    danger: confirm.style === "danger",
  }));
  return agreed ? run() : undo();
}

const option = (value, label, selected = false) => h("option", { value, selected }, label);

const prompt = (element) => option("", element.placeholder?.text ?? "Choose…");

function options(element) {
  const initial = element.initial_option?.value;
  const one = (item) => option(item.value ?? "", item.text.text, item.value === initial);
  const groups = (element.option_groups ?? []).map((group) =>
    h("optgroup", { label: group.label.text }, group.options.map(one)));
  return [...(element.options ?? []).map(one), ...groups];
}

function select(element, children, use, label) {
  return h("select", {
    class: "select",
    "data-focus": element.action_id,
    "aria-label": label ?? element.placeholder?.text ?? "Choose",
    onchange: ({ target }) => target.value && askFirst(element, () => use(element, target.value), () => (target.value = "")),
  }, children);
}

const channelSelect = (element, use) =>
  select(element, [prompt(element), ...myChannels().map((channel) =>
    option(channel.id, channel.type === "im" ? channelName(channel) : `#${channelName(channel)}`,
      channel.id === (element.initial_conversation ?? element.initial_channel)))], use);

const asOption = (user) => ({ value: user.id, text: { type: "plain_text", text: userName(user.id) } });

function choices(element, type, use) {
  const initial = new Set(
    [element.initial_option, ...(element.initial_options ?? [])].filter(Boolean).map((item) => item.value));
  const group = h("div", { class: "choices", role: type === "radio" ? "radiogroup" : "group" },
    (element.options ?? []).map((item) =>
      h("label", null,
        h("input", { type, name: element.action_id, value: item.value, checked: initial.has(item.value) }),
        h("span", null, renderText(item.text),
          item.description ? h("small", null, renderText(item.description)) : null))));
  group.addEventListener("change", () => use(element, readValue(group)));
  return group;
}

function field(element, type, initial, use) {
  return h("input", {
    type,
    class: "input",
    value: initial ?? "",
    "aria-label": element.placeholder?.text ?? type,
    onchange: (event) => use(element, event.target.value),
  });
}

function textInput(element, type) {
  const props = {
    class: "input",
    value: element.initial_value ?? "",
    placeholder: element.placeholder?.text,
    maxlength: element.max_length,
    minlength: element.min_length,
  };
  return type ? h("input", { ...props, type, step: element.is_decimal_allowed ? "any" : null }) : h("textarea", { ...props, rows: 4 });
}

// The value of an element made by `renderElement`, or null.
export function readValue(node) {
  if (node.matches("select, input, textarea")) return node.value || null;
  const checked = [...node.querySelectorAll("input:checked")].map((input) => input.value);
  if (node.getAttribute("role") === "radiogroup") return checked[0] ?? null;
  return checked;
}

// Images of other hosts are not fetched: they are shown as links.
export function image(element) {
  const label = element.alt_text ?? element.title?.text ?? "image";
  const file = element.slack_file?.id;
  const source = file ? `/_page/files/${encodeURIComponent(file)}` : element.image_url;
  if (file || source?.startsWith(location.origin)) {
    return h("img", { src: source, alt: label, loading: "lazy" });
  }
  return safeLink(source ?? "", h("span", { class: "image-link" }, `🖼 ${label}`));
}

export const speakerOwns = (message) => message.user === here.speaker && !world.users.get(message.user)?.is_bot;
