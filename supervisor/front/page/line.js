// The line to the gateway: one socket at a time. It is opened again when it breaks, ever later, and at once
// when the browser is online again or somebody looks.

const FIRST_MS = 500;
const LONGEST_MS = 30_000;
const QUIET_MS = 30_000; // After so long without a frame the gateway is asked whether it is there,
const PONG_MS = 10_000; // and after so long without an answer it is not.

export class Line {
  #url;
  #on;
  #socket = null;
  #tries = 0;
  #again = 0;
  #watch = 0;
  #ended = false;

  /** `on.hello()` gives the first frame; `on.frame` and `on.state` are told. */
  constructor(url, on) {
    this.#url = url;
    this.#on = on;
    addEventListener("online", () => this.#now());
    document.addEventListener("visibilitychange", () => document.hidden || this.#now());
  }

  open() {
    clearTimeout(this.#again);
    if (this.#ended || this.#socket) return;
    this.#on.state("connecting");
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    socket.onopen = () => {
      socket.send(JSON.stringify(this.#on.hello()));
      this.#listen();
    };
    socket.onmessage = ({ data }) => {
      this.#listen();
      const frame = JSON.parse(data);
      if (frame.type === "ready") this.#tries = 0;
      if (frame.type !== "pong") this.#on.frame(frame);
    };
    socket.onclose = () => this.#lost(socket);
  }

  /** Whether it was said; where it was not, it is to be said again when the line is ready. */
  say(frame) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  /** Opens another one now. */
  anew() {
    const socket = this.#socket;
    this.#socket = null;
    this.#tries = 0;
    this.#ended = false;
    clearTimeout(this.#watch);
    socket?.close();
    this.open();
  }

  /** Opens none any more. */
  end() {
    this.#ended = true;
    clearTimeout(this.#again);
    this.#socket?.close();
  }

  /** The next one that is opened is opened as late as any. */
  later() {
    this.#tries = 20;
  }

  #now() {
    if (!this.#socket && !this.#ended) this.open();
  }

  #listen() {
    clearTimeout(this.#watch);
    this.#watch = setTimeout(() => {
      const socket = this.#socket;
      if (!this.say({ type: "ping" })) return;
      this.#watch = setTimeout(() => this.#lost(socket), PONG_MS);
    }, QUIET_MS);
  }

  #lost(socket) {
    if (socket !== this.#socket) return;
    this.#socket = null;
    clearTimeout(this.#watch);
    socket.onmessage = null;
    socket.close();
    if (this.#ended) return;
    this.#on.state("waiting");
    const step = Math.min(LONGEST_MS, FIRST_MS * 2 ** this.#tries);
    this.#tries = Math.min(this.#tries + 1, 20);
    // Each at another time, so that not all come back at once.
    this.#again = setTimeout(() => this.open(), step * (0.5 + Math.random() / 2));
  }
}
