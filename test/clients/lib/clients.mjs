// The clients and transports under test, and what a test needs to drive them alike.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { after, before, describe, test } from "node:test";
import { start } from "./fixture.mjs";

const require = createRequire(import.meta.url);
const load = (name) => ({ name: name.replace(/^sioc(\d)(\d)$/, "$1.$2"), io: require(name) });

// has says what a client offers, so that a missing cell of the table is a fact about the client.
export const clients = [
  { ...load("sioc25"), eio: 3, has: {} },
  { ...load("sioc31"), eio: 4, has: { auth: true, any: true, msgpack: true } },
  { ...load("sioc44"), eio: 4, has: { auth: true, any: true, msgpack: true, timeout: true } },
  {
    ...load("sioc48"),
    eio: 4,
    has: { auth: true, any: true, msgpack: true, timeout: true, maxPayload: true, promises: true, recovery: true, cookies: true },
  },
];
export const newest = clients.at(-1);

export const transports = {
  polling: { transports: ["polling"] },
  websocket: { transports: ["websocket"] },
  upgrade: { transports: ["polling", "websocket"] },
};

// limit is the longest any one wait may take: what the slowest machine needs, as nothing is promised of time.
export const limit = 45_000;

// suite runs define with one fixture for all its tests, which run side by side. At the end, every
// session must be gone from the server.
export function suite(name, flags, define, concurrency = 6) {
  describe(name, { concurrency }, () => {
    const fixture = { url: "" };
    before(async () => Object.assign(fixture, await start(...flags)));
    after(async () => {
      try {
        await emptied(fixture.url);
      } finally {
        await fixture.stop();
      }
    });
    define(fixture);
  });
}

async function emptied(url) {
  for (const end = Date.now() + limit; ; await new Promise((next) => setTimeout(next, 50))) {
    const { sessions } = await (await fetch(`${url}/stats`)).json();
    if (sessions === 0) return;
    assert.ok(Date.now() < end, `${sessions} sessions are left on the server`);
  }
}

// feature defines one test for each client and transport. needs names what the client must offer.
export function feature(name, fixture, { needs = [], over = Object.keys(transports), options = {} }, run) {
  for (const client of clients) {
    for (const transport of over) {
      const skip = needs.some((what) => !client.has[what]);
      test(`${name} | ${client.name} | ${transport}`, { skip, timeout: 2 * limit }, (t) =>
        run(driver(t, fixture, client, transport, options), t),
      );
    }
  }
}

// driver is one client over one transport, bound to a test that cleans up after it.
export function driver(t, fixture, client, transport, defaults = {}) {
  const d = {
    client,
    transport,
    v2: client.eio === 3,
    // unique makes a room name no other test has.
    unique: (name) => `${name}:${client.name}:${transport}:${Math.random().toString(36).slice(2)}`,
    // open makes a socket of its own connection; it need not be connected yet.
    open(nsp = "/", options = {}) {
      const socket = client.io((options.url ?? fixture.url) + nsp, {
        forceNew: true,
        reconnectionDelay: 20,
        reconnectionDelayMax: 100,
        ...transports[transport],
        ...defaults,
        ...options,
      });
      t.after(() => (socket.io.reconnection(false), socket.close(), socket.io.engine?.close()));
      return socket;
    },
    // connect opens a socket and waits until it is connected; for "upgrade", not until upgraded.
    async connect(nsp, options) {
      const socket = d.open(nsp, options);
      await connected(socket);
      return socket;
    },
    // settled waits until the transport is the one this test is about.
    async settled(socket) {
      const engine = socket.io.engine;
      if (transport === "upgrade" && engine.transport.name !== "websocket") await wait(engine, "upgrade");
      assert.equal(engine.transport.name, transport === "polling" ? "polling" : "websocket");
    },
  };
  return d;
}

// connected resolves when socket is connected and rejects when the server refuses it.
export function connected(socket) {
  if (socket.connected) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("no connection in time")), limit);
    socket.once("connect", () => (clearTimeout(timer), resolve()));
    for (const event of ["connect_error", "error"])
      socket.once(event, (error) => (clearTimeout(timer), reject(error instanceof Error ? error : new Error(String(error)))));
  });
}

// wait resolves with the arguments of the next event. The stack it fails with is the caller's.
export function wait(emitter, event, ms = limit) {
  const late = new Error(`no "${event}" within ${ms} ms`);
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(late), ms);
    emitter.once(event, (...args) => (clearTimeout(timer), resolve(args)));
  });
}

// ask emits an event with an acknowledgement and resolves with its first argument, in every client.
export const ask = async (socket, event, ...args) => (await askAll(socket, event, ...args))[0];

// askAll is ask with every argument of the acknowledgement.
export function askAll(socket, event, ...args) {
  const late = new Error(`no acknowledgement of "${event}" within ${limit} ms`);
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(late), limit);
    socket.emit(event, ...args, (...answer) => (clearTimeout(timer), resolve(answer)));
  });
}

// plain turns every kind of bytes in a value into {bytes: [...]}, so that what a client sent and
// what came back compare equal whatever its type for binary is.
export function plain(value) {
  if (ArrayBuffer.isView(value)) return { bytes: [...new Uint8Array(value.buffer, value.byteOffset, value.byteLength)] };
  if (value instanceof ArrayBuffer) return { bytes: [...new Uint8Array(value)] };
  if (Array.isArray(value)) return value.map(plain);
  if (value && typeof value === "object")
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
  return value;
}
