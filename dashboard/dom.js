// Small ways to make and keep elements. Text only ever becomes text: nothing from the cluster is read as HTML.

/** `make("td", { class: "name" }, "text", child)` */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((c) => c !== undefined && c !== null));
  return element;
}

/** Sets an element's text if it is another one; leaves selections and screen readers alone otherwise. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function mark(element, name, value) {
  if (value === undefined || value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

/**
 * Makes `parent`'s children the elements of `items`, in order, keyed: an element stays the same as long as its key is
 * there. `create(item)` makes one, `update(element, item)` brings it up to date. Returns the elements that are new.
 */
export function keep(parent, items, keyOf, create, update) {
  const held = parent.kept ?? (parent.kept = new Map());
  const fresh = [];
  const wanted = new Set();
  let place = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    wanted.add(key);
    let element = held.get(key);
    if (!element) {
      element = create(item);
      held.set(key, element);
      fresh.push(element);
    }
    update(element, item);
    if (element === place) place = place.nextElementSibling;
    else parent.insertBefore(element, place);
  }
  for (const [key, element] of held) {
    if (!wanted.has(key)) {
      held.delete(key);
      element.remove();
    }
  }
  return fresh;
}

/** Forgets what `keep` made, for instance because the columns have other names now. */
export function clear(parent) {
  parent.replaceChildren();
  parent.kept = undefined;
}

/** A length of time as kubectl prints it: `45s`, `3m12s`, `5h`, `12d`. */
export function span(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  const m = Math.floor(s / 60), h = Math.floor(s / 3600), d = Math.floor(s / 86400);
  if (s < 120) return `${s}s`;
  if (m < 10) return s % 60 ? `${m}m${s % 60}s` : `${m}m`;
  if (m < 180) return `${m}m`;
  if (h < 8) return m % 60 ? `${h}h${m % 60}m` : `${h}h`;
  if (h < 48) return `${h}h`;
  if (d < 8) return h % 24 ? `${d}d${h % 24}h` : `${d}d`;
  if (d < 730) return `${d}d`;
  return `${Math.floor(d / 365)}y`;
}

export function bytes(count) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = count, unit = 0;
  while (value >= 1024 && unit < units.length - 1) { value /= 1024; unit += 1; }
  return `${value >= 100 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}
