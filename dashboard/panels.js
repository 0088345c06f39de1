// The summary, the tables and the feed of events, drawn from the state.
import { bytes, clear, keep, make, mark, say, span } from "./dom.js";
import { cell, now } from "./state.js";
import { word } from "./words.js";

/** Rows drawn at first; more when asked for. */
const PAGE = 300;
const PHASES = [["Running", "good"], ["Pending", "wait"], ["Succeeded", "calm"], ["Failed", "bad"], ["Unknown", "dim"]];

/** How a status is coloured. The words are Kubernetes' own. */
export function mood(status) {
  const text = status.replace(/^Init:/, "");
  if (/^(Running|Ready|Active|Bound)$/.test(text)) return "good";
  if (/^(Completed|Succeeded)$/.test(text)) return "calm";
  if (/Error|BackOff|Failed|Invalid|NotReady|Unknown|OOM|Evicted|Lost|ExitCode|Signal|NeverPull/.test(text)) return "bad";
  return "wait";
}

export function drawSummary(at, state) {
  const s = state.summary;
  if (!s) return;
  const cards = [
    { key: "nodesReady", much: String(s.nodes.ready), small: ` / ${s.nodes.total}`, bad: s.nodes.ready < s.nodes.total },
    { key: "podsByPhase", much: String(s.pods.total), phases: s.pods.phases, wide: true },
    { key: "namespaces", much: String(s.namespaces) },
    { key: "servicesCard", much: String(s.services) },
    { key: "eventsCard", much: String(s.events) },
    { key: "revision", much: s.revision.toLocaleString("en") },
  ];
  keep(at, cards, (c) => c.key, (c) => {
    const card = make("div", { class: c.wide ? "card wide" : "card", id: `card-${c.key}` });
    card.append(make("div", { class: "what" }), make("div", { class: "much" }, make("span"), make("small")));
    if (c.phases) card.append(shares(), make("div", { class: "legend" }));
    return card;
  }, (card, c) => {
    const [what, much] = card.children;
    say(what, word(c.key));
    say(much.firstElementChild, c.much);
    say(much.lastElementChild, c.small ?? "");
    much.classList.toggle("bad", Boolean(c.bad));
    if (c.phases) drawPhases(card, c.phases);
  });
}

const SVG = "http://www.w3.org/2000/svg";

function shares() {
  const svg = document.createElementNS(SVG, "svg");
  for (const [name, value] of [["class", "share"], ["viewBox", "0 0 100 1"], ["preserveAspectRatio", "none"], ["aria-hidden", "true"]]) svg.setAttribute(name, value);
  for (const [, tone] of PHASES) {
    const rect = document.createElementNS(SVG, "rect");
    rect.setAttribute("height", "1");
    rect.setAttribute("class", `fill-${tone}`);
    svg.append(rect);
  }
  return svg;
}

function drawPhases(card, phases) {
  const total = Math.max(1, Object.values(phases).reduce((a, b) => a + b, 0));
  let x = 0;
  PHASES.forEach(([phase], i) => {
    const width = (100 * phases[phase]) / total;
    const rect = card.querySelector("svg").children[i];
    mark(rect, "x", x.toFixed(3));
    mark(rect, "width", width.toFixed(3));
    x += width;
  });
  const shown = PHASES.filter(([phase]) => phases[phase] > 0 || phase === "Running");
  keep(card.lastElementChild, shown, ([phase]) => phase, ([, tone]) => make("span", { class: `state ${tone}` }),
    (element, [phase]) => say(element, `${phase} ${phases[phase]}`));
}

/**
 * A sortable table. `columns`: `{ key, title, text(row), value?(row), class?, tone?(row) }`; `title` overrides the
 * translated key, `value` is what is sorted by.
 */
export class Grid {
  constructor(table, columns, sort = "") {
    this.table = table;
    this.columns = columns;
    this.sort = sort;
    this.down = false;
    this.limit = PAGE;
    this.seen = false;
    this.head();
  }

  /** Makes the head again: other columns, or another language. */
  head() {
    const cells = this.columns.map((column) => {
      const button = make("button", { type: "button" }, column.title ?? word(column.key));
      button.addEventListener("click", () => this.sortBy(column.key));
      return make("th", { scope: "col", class: column.class === "number" ? "number" : undefined }, button);
    });
    clear(this.table);
    this.body = make("tbody");
    this.note = make("p", { class: "empty", hidden: true });
    this.button = make("button", { type: "button", class: "more", hidden: true });
    this.button.addEventListener("click", () => { this.limit *= 4; this.draw(this.rows, this.none); });
    this.table.append(make("thead", {}, make("tr", {}, ...cells)), this.body);
    for (const old of this.table.parentElement.querySelectorAll(":scope > .empty, :scope > .more")) old.remove();
    this.table.after(this.note, this.button);
    this.seen = false;
  }

  sortBy(key) {
    this.down = this.sort === key && !this.down;
    this.sort = key;
    this.draw(this.rows, this.none);
  }

  draw(rows, none = "nothing") {
    this.rows = rows;
    this.none = none;
    const sorted = this.sorted(rows);
    const shown = sorted.slice(0, this.limit);
    const fresh = keep(this.body, shown, (row) => row.key, (row) => this.line(row), (line, row) => this.update(line, row));
    if (this.seen) for (const line of fresh) line.classList.add("new");
    this.seen = true;
    this.columns.forEach((column, i) => {
      const order = column.key === this.sort ? (this.down ? "descending" : "ascending") : undefined;
      mark(this.table.tHead.rows[0].cells[i], "aria-sort", order);
    });
    this.note.hidden = rows.length > 0;
    say(this.note, word(none));
    this.button.hidden = sorted.length <= shown.length;
    say(this.button, word("more", sorted.length - shown.length));
  }

  sorted(rows) {
    const column = this.columns.find((c) => c.key === this.sort);
    if (!column) return rows;
    const value = column.value ?? column.text;
    const sign = this.down ? -1 : 1;
    return [...rows].sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      const order = typeof x === "number" ? x - y : String(x).localeCompare(String(y), "en", { numeric: true });
      return sign * order || a.key.localeCompare(b.key);
    });
  }

  line(row) {
    const cells = this.columns.map((c) => make("td", { class: c.class }, c.tone ? make("span") : undefined));
    return make("tr", { "data-key": row.key }, ...cells);
  }

  update(line, row) {
    this.columns.forEach((column, i) => {
      const td = line.cells[i];
      const text = column.text(row);
      if (!column.tone) return say(td, text);
      say(td.firstElementChild, text);
      mark(td.firstElementChild, "class", `state ${column.tone(row)}`);
    });
  }
}

/** Columns out of the table that the server sends. */
const given = (table, name) => (row) => cell(table(), row, name);
const ageOf = (state) => ({ key: "age", text: (row) => span(now(state) - row.created), value: (row) => -row.created });

export function nodeColumns(state) {
  const table = () => state.tables.get("nodes");
  const status = given(table, "Status");
  return [
    { key: "name", class: "name", text: (row) => row.name },
    { key: "status", text: status, tone: (row) => (/^Ready/.test(status(row)) ? "good" : "bad") },
    { key: "mesh", text: (row) => (state.peers[row.name] ? `${word("connected")} · ${state.peers[row.name]}` : word("away")), tone: (row) => (state.peers[row.name] ? "good" : "dim") },
    { key: "roles", text: given(table, "Roles") },
    { key: "pods", class: "number", text: (row) => `${podsOn(state, row.name)} / ${row.more?.pods ?? 0}`, value: (row) => podsOn(state, row.name) },
    { key: "cpu", class: "number", text: (row) => String((row.more?.cpuMilli ?? 0) / 1000), value: (row) => row.more?.cpuMilli ?? 0 },
    { key: "memory", class: "number", text: (row) => bytes(row.more?.memory ?? 0), value: (row) => row.more?.memory ?? 0 },
    { key: "address", text: given(table, "Internal-IP") },
    { key: "podCidr", text: (row) => row.more?.cidr || "—" },
    { key: "version", text: given(table, "Version") },
    ageOf(state),
  ];
}

/** Unfinished pods by node, counted once per drawing. */
export function countPods(state) {
  state.podsByNode = new Map();
  for (const row of state.tables.get("pods")?.rows.values() ?? []) {
    const { node, phase } = row.more ?? {};
    if (node && phase !== "Succeeded" && phase !== "Failed") state.podsByNode.set(node, (state.podsByNode.get(node) ?? 0) + 1);
  }
}

const podsOn = (state, node) => state.podsByNode?.get(node) ?? 0;

export function podColumns(state) {
  const table = () => state.tables.get("pods");
  const status = given(table, "Status");
  return [
    { key: "namespace", text: (row) => row.namespace },
    { key: "name", class: "name", text: (row) => row.name },
    { key: "ready", text: given(table, "Ready") },
    { key: "status", text: status, tone: (row) => (status(row) === "Running" && row.more?.ready === false ? "wait" : mood(status(row))) },
    { key: "restarts", text: given(table, "Restarts") },
    { key: "ip", text: given(table, "IP") },
    { key: "node", text: given(table, "Node") },
    ageOf(state),
  ];
}

/** The rows of pods that pass both filters. */
export function filterPods(state, namespace, text) {
  const table = state.tables.get("pods");
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return [...(table?.rows.values() ?? [])].filter((row) => {
    if (namespace && row.namespace !== namespace) return false;
    const all = `${row.namespace} ${row.cells.join(" ")}`.toLowerCase();
    return words.every((w) => all.includes(w));
  });
}

/** Any other kind: namespace, and the columns that kubectl shows without `-o wide`. */
export function plainColumns(state, name, wanted) {
  const table = () => state.tables.get(name);
  const column = (title) => ({ key: title, title, text: given(table, title) });
  return [
    { key: "namespace", text: (row) => row.namespace },
    { key: "name", class: "name", text: (row) => row.name },
    ...wanted.map(column),
    ageOf(state),
  ];
}

export function drawEvents(list, state, warningsOnly) {
  const table = state.tables.get("events");
  if (!table) return;
  const rows = [...table.rows.values()].filter((row) => !warningsOnly || cell(table, row, "Type") === "Warning");
  rows.sort((a, b) => b.more.seen - a.more.seen || b.key.localeCompare(a.key));
  const fresh = keep(list, rows, (row) => row.key, () => {
    const head = make("div", { class: "head" }, make("b"), make("span", { class: "muted" }));
    return make("li", {}, head, make("div", { class: "who" }), make("div", { class: "text" }));
  }, (item, row) => {
    const [head, who, text] = item.children;
    const count = Number(cell(table, row, "Count")) || 1;
    item.classList.toggle("warning", cell(table, row, "Type") === "Warning");
    say(head.firstElementChild, cell(table, row, "Reason"));
    say(head.lastElementChild, (count > 1 ? `×${count} · ` : "") + word("ago", span(now(state) - row.more.seen)));
    say(who, [row.namespace, cell(table, row, "Object")].filter(Boolean).join(" · "));
    say(text, cell(table, row, "Message"));
  });
  if (list.seen) for (const item of fresh) item.classList.add("new");
  list.seen = true;
}

/** The causal log, newest first: who decided what about which object, and what moved them. */
export function drawDecisions(list, state, wanted) {
  const needle = wanted.trim().toLowerCase();
  const rows = [...state.decisions.values()].reverse().filter((row) => !needle || row.text.includes(needle));
  const fresh = keep(list, rows, (row) => row.key, () => {
    const head = make("div", { class: "head" }, make("b"), make("span", { class: "muted" }));
    return make("li", {}, head, make("div", { class: "who" }), make("div", { class: "text" }));
  }, (item, row) => {
    const [head, who, text] = item.children;
    item.classList.toggle("warning", Boolean(row.failure));
    say(head.firstElementChild, row.about);
    say(head.lastElementChild, word("ago", span(now(state) - row.at)));
    say(who, [row.controller, row.namespace, row.cause && word("because", row.cause), row.done].filter(Boolean).join(" · "));
    say(text, row.failure ? `${row.why} · ${word("but", row.failure)}` : row.why);
  });
  if (list.seen) for (const item of fresh) item.classList.add("new");
  list.seen = true;
}
