// A small Socket.IO client: one namespace, text events, acknowledgements with a timeout, reconnection,
// over WebSocket or polling without an upgrade. It stands in for socket.io-client where that cannot be
// had, and has of its interface what the page uses. Protocols: Engine.IO 4, Socket.IO 5.

const reconnectAfter = [300, 3000]; // milliseconds: the first delay and the longest

class Emitter {
  #listeners = new Map();
  on(event, fn) {
    this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), fn]);
    return this;
  }
  fire(event, ...args) {
    for (const fn of this.#listeners.get(event) ?? []) fn(...args);
  }
}

// Line carries Engine.IO packets until it ends, once.
class Line extends Emitter {
  open = true;
  constructor(name) {
    super();
    this.transport = { name };
  }
  end(reason) {
    if (!this.open) return;
    this.open = false;
    this.stop();
    this.fire("end", reason);
  }
}

class WebSocketLine extends Line {
  constructor(url) {
    super("websocket");
    this.socket = new WebSocket(`${url.replace(/^http/, "ws")}&transport=websocket`);
    this.socket.onmessage = (e) => this.fire("packet", e.data);
    this.socket.onclose = () => this.end("transport close");
  }
  send(packet) {
    this.socket.send(packet);
  }
  stop() {
    this.socket.close();
  }
}

class PollingLine extends Line {
  #gone = new AbortController();
  #waiting = [];
  #posting = false;
  constructor(url) {
    super("polling");
    this.url = `${url}&transport=polling`;
    this.#poll();
  }
  async #request(method, body) {
    // What has been said still goes out when the line ends; only the waiting for answers stops.
    const signal = method === "GET" ? this.#gone.signal : undefined;
    const answer = await fetch(this.url, { method, body, signal, cache: "no-store" });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    return answer.text();
  }
  async #poll() {
    try {
      while (this.open) {
        for (const packet of (await this.#request("GET")).split("\x1e")) this.fire("packet", packet);
      }
    } catch {
      this.end("transport error");
    }
  }
  async send(packet) {
    this.#waiting.push(packet);
    if (this.#posting) return;
    this.#posting = true;
    try {
      while (this.#waiting.length > 0) {
        await this.#request("POST", this.#waiting.splice(0).join("\x1e"));
      }
    } catch {
      this.end("transport error");
    }
    this.#posting = false;
  }
  named(sid) {
    this.url += `&sid=${encodeURIComponent(sid)}`;
  }
  stop() {
    this.#gone.abort();
  }
}

class Socket extends Emitter {
  connected = false;
  active = false;
  io = new Emitter();
  #options;
  #line;
  #silence;
  #retry;
  #attempts = 0;
  #acks = new Map();
  #nextAck = 0;

  constructor(options) {
    super();
    this.#options = options;
  }
  get volatile() {
    return { emit: (...args) => this.connected && this.emit(...args) };
  }
  timeout(ms) {
    return { emit: (event, ...args) => this.#emitWithAck(ms, event, args.slice(0, -1), args.at(-1)) };
  }
  emit(event, ...args) {
    if (this.connected) this.#line.send(`42${JSON.stringify([event, ...args])}`);
  }
  #emitWithAck(ms, event, args, answer) {
    if (!this.connected) return void answer(new Error("not connected"));
    const id = this.#nextAck++;
    const done = (...result) => {
      if (!this.#acks.delete(id)) return;
      clearTimeout(timer);
      answer(...result);
    };
    const timer = setTimeout(() => done(new Error("operation has timed out")), ms);
    this.#acks.set(id, done);
    this.#line.send(`42${id}${JSON.stringify([event, ...args])}`);
  }

  connect() {
    if (this.active) return;
    this.active = true;
    this.#open();
  }
  disconnect() {
    this.active = false;
    clearTimeout(this.#retry);
    if (!this.#line?.open) return;
    if (this.connected) this.#line.send("41");
    this.#line.send("1");
    this.#line.end("io client disconnect");
  }

  #open() {
    const base = `${location.origin}/socket.io/?EIO=4`;
    const polling = !this.#options.transports.includes("websocket");
    const line = polling ? new PollingLine(base) : new WebSocketLine(base);
    this.#line = this.io.engine = line;
    line.on("packet", (p) => this.#packet(p));
    line.on("end", (reason) => this.#ended(reason));
    this.#awaitPing(20_000);
  }
  // The server pings; a silence longer than it may be means that the connection is dead.
  #awaitPing(ms) {
    this.patience = ms;
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#line.end("ping timeout"), ms);
  }
  #packet(packet) {
    const rest = packet.slice(1);
    switch (packet[0]) {
      case "0": {
        const opened = JSON.parse(rest);
        this.#line.named?.(opened.sid);
        this.#awaitPing(opened.pingInterval + opened.pingTimeout);
        this.#options.auth((auth) => this.#line.send(`40${JSON.stringify(auth)}`));
        break;
      }
      case "1":
        this.#line.end("transport close");
        break;
      case "2":
        this.#line.send("3");
        this.#awaitPing(this.patience);
        break;
      case "4":
        this.#message(rest);
    }
  }
  #message(message) {
    const [, type, id, json] = /^(\d)(\d*)(.*)$/s.exec(message);
    const data = json ? JSON.parse(json) : undefined;
    switch (type) {
      case "0":
        this.connected = true;
        this.#attempts = 0;
        this.id = data.sid;
        this.fire("connect");
        break;
      case "1":
        this.active = false;
        this.#line.end("io server disconnect");
        break;
      case "2":
        this.fire(...data);
        break;
      case "3":
        this.#acks.get(Number(id))?.(null, ...data);
        break;
      case "4":
        this.active = false;
        this.fire("connect_error", new Error(data.message));
        this.#line.end("refused");
    }
  }
  #ended(reason) {
    clearTimeout(this.#silence);
    const was = this.connected;
    this.connected = false;
    for (const done of this.#acks.values()) done(new Error("disconnected"));
    if (was) this.fire("disconnect", reason);
    else if (this.active) this.fire("connect_error", new Error(reason));
    if (!this.active) return;
    const [first, longest] = reconnectAfter;
    const delay = Math.min(longest, first * 2 ** this.#attempts++) * (0.5 + Math.random());
    this.#retry = setTimeout(() => {
      this.io.fire("reconnect_attempt", this.#attempts);
      this.#open();
    }, delay);
  }
}

// io returns a socket that connects when asked to.
export function io(options) {
  return new Socket(options);
}
