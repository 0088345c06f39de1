// The page: state in, drawing out. Messages only mark what changed; drawing happens once per frame.
import { Connection, keepToken, takeToken } from "./connection.js";
import { make, say } from "./dom.js";
import { Grid, countPods, drawDecisions, drawEvents, drawSummary, filterPods, nodeColumns, plainColumns, podColumns } from "./panels.js";
import { apply, empty } from "./state.js";
import { Tree } from "./tree.js";
import { choose, current, translate, word } from "./words.js";

const find = (selector) => document.querySelector(selector);
const state = empty();
const dirty = new Set();
let frame = 0;
let link = ["wait", 0];

const nodes = new Grid(find("#nodes table"), nodeColumns(state), "name");
const pods = new Grid(find("#pods table"), podColumns(state), "namespace");
const PLAIN = [
  ["replicationcontrollers", ["Desired", "Current", "Ready"]],
  ["replicasets.apps", ["Desired", "Current", "Ready"]],
  ["services", ["Type", "Cluster-IP", "Port(s)"]],
];
const plain = new Map(PLAIN.map(([name, wanted]) => [name, new Grid(find(`table[data-table="${name}"]`), plainColumns(state, name, wanted), "namespace")]));
const tree = new Tree(find("#actors table"));

const rowsOf = (name) => [...(state.tables.get(name)?.rows.values() ?? [])];
const count = (section, text) => say(find(`#${section} .count`), String(text));

function draw() {
  frame = 0;
  const has = (...names) => names.some((name) => dirty.has(name));
  if (has("summary")) drawSummary(find("#summary"), state);
  if (has("pods", "namespaces", "filter", "time")) drawPods();
  if (has("nodes", "peers", "pods", "time")) { countPods(state); nodes.draw(rowsOf("nodes")); count("nodes", rowsOf("nodes").length); }
  if (has("events", "filter", "time")) { drawEvents(find("#events .feed"), state, find("#warnings").checked); count("events", state.summary?.events ?? 0); }
  if (has("decisions", "filter", "time")) { drawDecisions(find("#decisions .feed"), state, find("#object").value); count("decisions", state.decisions.size); }
  for (const [name, grid] of plain) if (has(name, "time")) grid.draw(rowsOf(name));
  count("workloads", PLAIN.reduce((sum, [name]) => sum + rowsOf(name).length, 0));
  if (has("actors", "time")) { tree.draw(state); count("actors", state.actorsTotal); }
  dirty.clear();
}

function drawPods() {
  const pick = find("#namespace");
  const names = ["", ...rowsOf("namespaces").map((row) => row.name)];
  if (names.join("/") !== [...pick.options].map((o) => o.value).join("/") || pick.dataset.language !== current()) {
    const chosen = pick.value;
    pick.replaceChildren(...names.map((name) => make("option", { value: name }, name || word("allNamespaces"))));
    pick.value = names.includes(chosen) ? chosen : "";
    pick.dataset.language = current();
  }
  const all = state.summary?.pods.total ?? 0;
  const rows = filterPods(state, pick.value, find("#filter").value);
  pods.draw(rows, all > 0 ? "nothingMatches" : "nothing");
  count("pods", rows.length === all ? all : word("of", rows.length, all));
}

function soon(...parts) {
  for (const part of parts) dirty.add(part);
  if (!frame) frame = document.hidden ? setTimeout(draw, 250) : requestAnimationFrame(draw);
}

const everything = () => soon("summary", "filter", "time");

function showLink(name, seconds = 0) {
  link = [name, seconds];
  find("#link").dataset.state = name;
  const text = { live: () => word("live"), wait: () => word("connecting"), lost: () => word("lost", seconds), idle: () => "" };
  say(find("#link-text"), text[name]());
}

/** The board, or the form that asks for a token. */
function show(board, refusal = "") {
  find("#board").hidden = !board;
  find("#login").hidden = board;
  find("#leave").hidden = !board;
  find("header nav").hidden = !board;
  find("#refused").hidden = !refusal;
  find("#refused").dataset.word = refusal;
  if (refusal) say(find("#refused"), word(refusal));
  if (!board) find("#token").focus();
}

let token = takeToken();
const connection = new Connection({
  link: showLink,
  refused(code) {
    const asked = token !== "";
    keepToken("");
    token = "";
    showLink("idle");
    show(false, !asked ? "" : code === 403 ? "noRight" : "wrongToken");
  },
  message(message) {
    if (message.type === "state") {
      show(true);
      for (const feed of document.querySelectorAll(".feed")) feed.seen = false;
      for (const grid of [nodes, pods, ...plain.values()]) grid.seen = false;
      say(find("#version"), message.server.version);
    }
    const parts = apply(state, message);
    soon(...parts, ...(message.type === "state" ? ["time", "filter"] : []));
  },
});

find("#login").addEventListener("submit", (event) => {
  event.preventDefault();
  token = find("#token").value.trim();
  find("#token").value = "";
  keepToken(token);
  connection.open(token);
});
find("#leave").addEventListener("click", () => {
  keepToken("");
  token = "";
  connection.close();
  Object.assign(state, empty());
  showLink("idle");
  show(false);
});
find("#language").addEventListener("change", (event) => {
  choose(event.target.value);
  for (const grid of [nodes, pods, ...plain.values()]) grid.head();
  tree.head();
  tree.table.tBodies[0].kept = undefined;
  showLink(...link);
  everything();
});
for (const id of ["#namespace", "#filter", "#warnings", "#object"]) find(id).addEventListener("input", () => soon("filter"));
addEventListener("hashchange", () => { if (location.hash.startsWith("#token=")) connection.open((token = takeToken())); });
document.addEventListener("visibilitychange", () => { if (!document.hidden) everything(); });
// Ages grow by themselves; nobody looks at a hidden page.
setInterval(() => { if (!document.hidden && !find("#board").hidden) soon("time"); }, 1000);

find("#language").value = current();
translate();
showLink("wait");
connection.open(token);
