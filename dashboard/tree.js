// The actors as a tree of their paths. A place in a path that is no actor itself shows the sum of what is below it.
import { keep, make, mark, say, span } from "./dom.js";
import { now } from "./state.js";
import { word } from "./words.js";

const COLUMNS = [
  ["actor", ""], ["depth", "number"], ["handled", "number"], ["rate", "number"], ["dropped", "number"], ["restarts", "number"],
  ["lastActive", ""], ["decision", ""], ["error", ""],
];
const COUNTS = ["depth", "handled", "rate", "dropped", "restarts"];

/** Folds paths into a tree: `{ path, name, level, actor, children }`. */
function grow(actors) {
  const root = { path: "", level: 0, children: new Map() };
  for (const path of [...actors.keys()].sort()) {
    let at = root;
    for (const name of path.split("/")) {
      if (!at.children.has(name)) {
        const below = at.path ? `${at.path}/${name}` : name;
        at.children.set(name, { path: below, name, level: at.level + 1, children: new Map() });
      }
      at = at.children.get(name);
    }
    at.actor = actors.get(path);
  }
  return root;
}

function sums(node) {
  const total = Object.fromEntries(COUNTS.map((c) => [c, node.actor?.[c] ?? 0]));
  total.lastHandledMs = node.actor?.lastHandledMs ?? 0;
  for (const child of node.children.values()) {
    const below = sums(child);
    for (const c of COUNTS) total[c] += below[c];
    total.lastHandledMs = Math.max(total.lastHandledMs, below.lastHandledMs);
  }
  node.total = total;
  return total;
}

export class Tree {
  constructor(table) {
    this.table = table;
    this.closed = new Set();
    this.focus = "";
    this.head();
    table.addEventListener("keydown", (event) => this.key(event));
    table.addEventListener("focusin", (event) => { this.focus = event.target.closest("tr")?.dataset.path ?? this.focus; });
  }

  head() {
    const cells = COLUMNS.map(([key, kind]) => make("th", { scope: "col", class: kind || undefined }, word(key)));
    this.table.replaceChildren(make("thead", {}, make("tr", {}, ...cells)), make("tbody"));
  }

  draw(state) {
    this.state = state;
    const root = grow(state.actors);
    sums(root);
    const lines = [];
    const walk = (node) => {
      const siblings = [...node.children.values()];
      siblings.forEach((child, i) => {
        lines.push({ node: child, place: i + 1, of: siblings.length });
        if (!this.closed.has(child.path)) walk(child);
      });
    };
    walk(root);
    this.lines = lines;
    if (!lines.some((l) => l.node.path === this.focus)) this.focus = lines[0]?.node.path ?? "";
    keep(this.table.tBodies[0], lines, (l) => l.node.path, (l) => this.line(l), (row, l) => this.update(row, l));
  }

  line({ node }) {
    const row = make("tr", { role: "row", "data-path": node.path, "aria-level": node.level });
    const twig = make("span", { class: "twig", "aria-hidden": "true" });
    twig.addEventListener("click", () => this.toggle(node.path));
    const name = make("td", { role: "gridcell", class: "name" }, "  ".repeat(node.level - 1), twig, make("span"));
    row.append(name, ...COLUMNS.slice(1).map(([key, kind]) => make("td", { role: "gridcell", class: key === "decision" || key === "error" ? "long" : kind || undefined })));
    return row;
  }

  update(row, { node, place, of }) {
    const parent = node.children.size > 0;
    const open = !this.closed.has(node.path);
    const numbers = node.actor && open ? node.actor : node.total;
    const [name, depth, handled, rate, dropped, restarts, active, decision, error] = row.cells;
    row.classList.toggle("group", !node.actor);
    mark(row, "aria-expanded", parent ? String(open) : undefined);
    mark(row, "aria-posinset", place);
    mark(row, "aria-setsize", of);
    mark(row, "tabindex", node.path === this.focus ? 0 : -1);
    say(name.children[0], parent ? (open ? "▾" : "▸") : "·");
    say(name.children[1], node.name);
    say(depth, String(numbers.depth));
    depth.classList.toggle("hot", numbers.depth > 0);
    say(handled, numbers.handled.toLocaleString("en"));
    say(rate, numbers.rate >= 0.5 ? Math.round(numbers.rate).toLocaleString("en") : "");
    say(dropped, String(numbers.dropped));
    dropped.classList.toggle("wrong", numbers.dropped > 0);
    say(restarts, String(numbers.restarts));
    restarts.classList.toggle("wrong", numbers.restarts > 0);
    const last = numbers.lastHandledMs;
    say(active, last ? word("ago", span(now(this.state) - last / 1000)) : word("never"));
    say(decision, node.actor?.lastDecision ?? "");
    say(error, node.actor?.lastError ?? "");
    error.classList.toggle("bad", Boolean(node.actor?.lastError));
  }

  toggle(path, open = this.closed.has(path)) {
    if (open) this.closed.delete(path);
    else this.closed.add(path);
    this.draw(this.state);
  }

  /** The keys of a tree grid: up and down, right opens, left closes or goes to the parent. */
  key(event) {
    const at = this.lines?.findIndex((l) => l.node.path === this.focus) ?? -1;
    if (at < 0 || event.target.closest("tbody") === null) return;
    const { node } = this.lines[at];
    const open = node.children.size > 0 && !this.closed.has(node.path);
    const parent = this.lines.findIndex((l) => node.path.startsWith(`${l.node.path}/`) && l.node.level === node.level - 1);
    const moves = {
      ArrowDown: () => this.go(at + 1), ArrowUp: () => this.go(at - 1), Home: () => this.go(0), End: () => this.go(this.lines.length - 1),
      ArrowRight: () => (open ? this.go(at + 1) : this.toggle(node.path, true)),
      ArrowLeft: () => (open ? this.toggle(node.path, false) : this.go(parent)),
      Enter: () => node.children.size > 0 && this.toggle(node.path),
    };
    if (!moves[event.key]) return;
    event.preventDefault();
    moves[event.key]();
    this.table.querySelector("tr[tabindex='0']")?.focus();
  }

  go(to) {
    const line = this.lines[to];
    if (!line) return;
    this.focus = line.node.path;
    this.draw(this.state);
  }
}
