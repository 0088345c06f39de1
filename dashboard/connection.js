// The websocket: asks whether the token is good, connects, acknowledges messages, and comes back with growing pauses.
const PROTOCOL = "dashboard.impresario.v1";
const BEARER = "base64url.bearer.authorization.k8s.io.";
const KEPT = "impresario.token";
const FIRST_PAUSE = 0.5, LONGEST_PAUSE = 20;

/** The token of this tab: from the address (and gone from there at once), or from an earlier visit. */
export function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    history.replaceState(null, "", location.pathname + location.search);
    keepToken(given);
  }
  return sessionStorage.getItem(KEPT) ?? "";
}

export function keepToken(token) {
  if (token) sessionStorage.setItem(KEPT, token);
  else sessionStorage.removeItem(KEPT);
}

function base64url(text) {
  const binary = String.fromCharCode(...new TextEncoder().encode(text));
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** 200 when the token (or, without one, the browser's client certificate) is good; 401, 403; 0 when nobody answers. */
async function mayEnter(token) {
  try {
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    const answer = await fetch("session", { headers, cache: "no-store" });
    return answer.status;
  } catch {
    return 0;
  }
}

export class Connection {
  /** `on.message(m)`, `on.link(state, seconds)`, `on.refused(code)`. */
  constructor(on) {
    this.on = on;
    this.pause = FIRST_PAUSE;
    this.round = 0;
    document.addEventListener("visibilitychange", () => this.tellVisibility());
    addEventListener("online", () => this.retryNow());
  }

  async open(token) {
    this.close();
    const round = this.round;
    this.token = token;
    this.on.link("wait");
    const code = await mayEnter(token);
    if (round !== this.round) return;
    if (code === 401 || code === 403) this.on.refused(code);
    else if (code === 200) this.connect(round);
    else this.later(round);
  }

  close() {
    this.round += 1;
    clearTimeout(this.timer);
    clearInterval(this.countdown);
    this.socket?.close();
    this.socket = undefined;
  }

  connect(round) {
    const address = new URL("live", location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    address.hash = "";
    const protocols = this.token ? [PROTOCOL, BEARER + base64url(this.token)] : [PROTOCOL];
    const socket = new WebSocket(address, protocols);
    this.socket = socket;
    socket.onmessage = (event) => {
      if (round !== this.round) return;
      this.pause = FIRST_PAUSE;
      this.on.link("live");
      this.on.message(JSON.parse(event.data));
      socket.send("ack");
    };
    socket.onopen = () => this.tellVisibility();
    socket.onclose = () => { if (round === this.round) this.later(round); };
  }

  tellVisibility() {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(document.hidden ? "hidden" : "visible");
  }

  /** Tries again after a pause that doubles, with some chance in it so that not all browsers come at once. */
  later(round) {
    const seconds = this.pause * (0.75 + Math.random() / 2);
    this.pause = Math.min(this.pause * 2, LONGEST_PAUSE);
    let left = Math.ceil(seconds);
    this.on.link("lost", left);
    this.countdown = setInterval(() => { left -= 1; if (left > 0) this.on.link("lost", left); }, 1000);
    this.timer = setTimeout(() => { if (round === this.round) this.open(this.token); }, seconds * 1000);
  }

  retryNow() {
    if (this.socket?.readyState !== WebSocket.OPEN && this.token !== undefined) this.open(this.token);
  }
}
