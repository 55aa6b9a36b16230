// DOM nodes from data. Content only ever becomes text nodes and attributes, never markup.

const PROPERTIES = new Set(["value", "checked", "disabled", "selected", "multiple", "hidden"]);

export function h(tag, props, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (PROPERTIES.has(name)) element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child != null && child !== false));
  return element;
}

export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(space, "use");
  use.setAttribute("href", `/_page/icons.svg#${name}`);
  svg.append(use);
  return svg;
}

export function iconButton(name, label, onclick, props = {}) {
  const more = { type: "button", class: "icon-button", "aria-label": label, title: label };
  return h("button", { ...more, ...props, onclick }, icon(name));
}

const kept = new WeakMap();

// Show `items` in `parent`, rebuilding only changed ones: focus, scroll and open menus stay.
// `sign` returns everything that an item's rendering depends on: a string, or an object of plain
// values.
export function keyed(parent, items, { key, sign, build }) {
  const old = kept.get(parent) ?? new Map();
  const now = new Map();
  // First what is gone: otherwise every later item would be moved past it.
  const wanted = new Set(items.map(key));
  for (const [name, entry] of old) if (!wanted.has(name)) entry.element.remove();
  let at = parent.firstChild;
  for (const item of items) {
    const name = key(item);
    const signature = sign(item);
    let entry = old.get(name);
    if (!entry || !isSame(entry.signature, signature)) {
      const element = build(item, signature);
      if (entry) {
        if (at === entry.element) at = element;
        swap(entry.element, element);
      }
      entry = { element, signature };
    }
    now.set(name, entry);
    if (entry.element === at) at = at.nextSibling;
    else parent.insertBefore(entry.element, at);
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
  kept.set(parent, now);
}

function isSame(one, other) {
  if (one === other || typeof one !== "object" || typeof other !== "object") return one === other;
  const names = Object.keys(one);
  return names.length === Object.keys(other).length && names.every((name) => one[name] === other[name]);
}

function swap(before, after) {
  const focused = before.contains(document.activeElement) ? document.activeElement : null;
  before.replaceWith(after);
  const name = focused?.dataset.focus;
  if (!name) return;
  const same = `[data-focus="${CSS.escape(name)}"]`;
  (after.matches(same) ? after : after.querySelector(same))?.focus();
}

export function replace(parent, ...children) {
  kept.delete(parent);
  parent.replaceChildren(...children.flat(Infinity).filter(Boolean));
}
