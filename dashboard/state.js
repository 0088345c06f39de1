// What the page knows: the server's first message, with every later one applied to it.

/** The page keeps at most this many events. */
const MOST_EVENTS = 300;
/** And this many decisions. */
const MOST_DECISIONS = 300;

export function empty() {
  return { tables: new Map(), actors: new Map(), actorsTotal: 0, decisions: new Map(), summary: null, peers: {}, server: {}, offset: 0 };
}

/** Applies a message; answers which parts changed: names of tables, `summary`, `peers`, `actors`, `decisions`. */
export function apply(state, message) {
  if (message.type === "state") return begin(state, message);
  if (message.type === "change") return change(state, message);
  if (message.type === "vital") return vital(state, message);
  if (message.type === "decisions") return decisions(state, message);
  return [];
}

/** Seconds since the epoch by the server's clock. */
export const now = (state) => Date.now() / 1000 + state.offset;

function begin(state, message) {
  Object.assign(state, empty());
  state.server = message.server;
  state.offset = message.server.now - Date.now() / 1000;
  for (const table of message.tables) {
    const rows = new Map(table.rows.map((row) => [row.key, row]));
    const columns = new Map(table.columns.map((name, place) => [name, place]));
    state.tables.set(table.name, { columns, rows });
  }
  return [...state.tables.keys(), ...vital(state, message), ...decisions(state, message)];
}

function change(state, message) {
  const table = state.tables.get(message.table);
  if (!table) return [];
  for (const row of message.put) table.rows.set(row.key, row);
  for (const key of message.drop) table.rows.delete(key);
  if (message.table === "events") forgetOldest(table.rows);
  return [message.table];
}

function forgetOldest(rows) {
  if (rows.size <= MOST_EVENTS) return;
  const oldest = [...rows.values()].sort((a, b) => a.more.seen - b.more.seen).slice(0, rows.size - MOST_EVENTS);
  for (const row of oldest) rows.delete(row.key);
}

function decisions(state, message) {
  for (const row of message.decisions ?? []) state.decisions.set(row.key, row);
  // They come in order, so the first ones are the oldest.
  for (const key of state.decisions.keys()) {
    if (state.decisions.size <= MOST_DECISIONS) break;
    state.decisions.delete(key);
  }
  return ["decisions"];
}

function vital(state, message) {
  const changed = [];
  if (message.summary) { state.summary = message.summary; changed.push("summary"); }
  if (message.peers) { state.peers = message.peers; changed.push("peers"); }
  if (message.actors) { actors(state, message.actors); changed.push("actors"); }
  return changed;
}

function actors(state, { put, drop, total }) {
  const at = Date.now();
  for (const actor of put) {
    const before = state.actors.get(actor.path);
    const seconds = before ? (at - before.at) / 1000 : 0;
    actor.at = at;
    actor.rate = seconds > 0.2 ? Math.max(0, (actor.handled - before.handled) / seconds) : 0;
    state.actors.set(actor.path, actor);
  }
  for (const path of drop) state.actors.delete(path);
  // An actor that isn't reported has done nothing since the last report.
  for (const actor of state.actors.values()) if (actor.at !== at) { actor.rate = 0; actor.at = at; }
  state.actorsTotal = total;
}

/** The cell of a row under a column's name, as text. */
export function cell(table, row, column) {
  const place = table.columns.get(column);
  const value = place === undefined ? "" : row.cells[place];
  return value === null || value === undefined ? "" : String(value);
}
