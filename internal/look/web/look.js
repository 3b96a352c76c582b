// What the pages of the examples share: elements, colours for a canvas, and the connection.

/** @param {string} id @returns {any} an element of whatever kind the page has there */
export const $ = (id) => document.getElementById(id);

/**
 * el makes an element; text is never read as markup.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag @param {string} [className] @param {string | number} [text]
 */
export function el(tag, className, text) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  if (text !== undefined) e.textContent = String(text);
  return e;
}

// ---- the connection

const patience = 5000; // milliseconds

/**
 * loadClient returns the function that opens a socket: that of the bundle which the server has.
 * @returns {Promise<typeof import("socket.io-client").io>}
 */
export async function loadClient() {
  await script("/socket.io/socket.io.min.js");
  const { io } = /** @type {any} */ (window);
  if (typeof io !== "function") throw new Error("the client has not loaded");
  return io;
}

/** @param {string} src @returns {Promise<void>} */
function script(src) {
  return new Promise((resolve, reject) => {
    const element = document.createElement("script");
    const timer = setTimeout(() => fail("too slow"), patience);
    const fail = (/** @type {string} */ why) => {
      clearTimeout(timer);
      element.remove();
      reject(new Error(`${src}: ${why}`));
    };
    element.src = src;
    element.onload = () => {
      clearTimeout(timer);
      resolve();
    };
    element.onerror = () => fail("not loaded");
    document.head.append(element);
  });
}

// transports returns those the page may use: ?transport=polling in its address leaves only that one.
export function transports() {
  const all = ["polling", "websocket"];
  const asked = new URLSearchParams(location.search).get("transport");
  return all.filter((t) => t === asked || !asked || !all.includes(asked));
}

/**
 * open returns a socket that connects when asked to, and shows how it is at the top of the page. It
 * returns nothing, having said so, when there is no client. Pages call it when they are loaded, and not when
 * somebody joins: with the server gone by then, the client says so and goes on trying. The page says what type the
 * events have.
 * @param {Partial<import("socket.io-client").ManagerOptions & import("socket.io-client").SocketOptions>} [options]
 * @returns {Promise<import("socket.io-client").Socket<any, any> | undefined>}
 */
export async function open(options) {
  let io;
  try {
    io = await loadClient();
  } catch {
    showState("off");
    banner("The Socket.IO client could not be loaded. Is the server still there?");
    return undefined;
  }
  const socket = io({
    transports: transports(), reconnectionDelay: 300, reconnectionDelayMax: 3000, autoConnect: false, ...options,
  });
  socket.on("connect", () => {
    showState("online", socket.io.engine.transport.name);
    socket.io.engine.on("upgrade", (t) => showState("online", t.name));
    banner("");
  });
  const lost = (/** @type {string} */ why) => {
    showState("lost");
    banner(why);
  };
  socket.on("connect_error", (error) => {
    if (socket.active) return lost("The server cannot be reached. Trying again…");
    showState("off");
    banner(error.message);
  });
  socket.on("disconnect", () => {
    if (socket.active) return lost("Connection lost. Reconnecting…");
    showState("off");
    banner("The server has ended the connection.");
  });
  socket.io.on("reconnect_attempt", () => showState("lost"));
  return socket;
}

/** @param {string} why */
export function banner(why) {
  $("banner").hidden = why === "";
  $("banner").textContent = why;
}

/**
 * showState shows the state of the connection and the transport in use.
 * @param {"off" | "connecting" | "online" | "lost"} state @param {string} [transport]
 */
export function showState(state, transport) {
  const words = { off: "Not connected", connecting: "Connecting", online: "Connected", lost: "Reconnecting" };
  $("status").dataset.state = state;
  document.body.dataset.state = state;
  $("state").textContent = words[state];
  $("transport").hidden = !transport;
  $("transport").textContent = transport === "websocket" ? "WebSocket" : transport === "polling" ? "Polling" : "";
}

/**
 * showNode shows which server of a cluster answers; nothing when there is only one.
 * @param {string} [name]
 */
export function showNode(name) {
  $("node").hidden = !name;
  $("node").textContent = name ? `on ${name}` : "";
}

// ---- a canvas

/**
 * palette returns the page's colours by name in a form that a canvas takes, and keeps them right when
 * light turns to dark.
 * @param {string[]} names
 */
export function palette(...names) {
  /** @type {Record<string, string>} */
  const colours = {};
  const probe = el("span", "hidden");
  document.body.append(probe);
  const read = () => {
    for (const name of names) {
      probe.style.color = `var(--${name})`;
      colours[name] = getComputedStyle(probe).color;
    }
  };
  read();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", read);
  return colours;
}

/**
 * fit gives a canvas as many points as the screen has for it, and returns its size in CSS pixels.
 * @param {HTMLCanvasElement} canvas @param {CanvasRenderingContext2D} ctx
 */
export function fit(canvas, ctx) {
  const { clientWidth: width, clientHeight: height } = canvas;
  const scale = Math.min(window.devicePixelRatio || 1, 2);
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
  }
  ctx.setTransform(scale, 0, 0, scale, 0, 0);
  return { width, height };
}
