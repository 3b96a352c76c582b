// What the pages of the examples share: elements, colours for a canvas, and the connection.

export const $ = (id) => document.getElementById(id);

// el makes an element; text is never read as markup.
export function el(tag, className, text) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  if (text !== undefined) e.textContent = text;
  return e;
}

// ---- the connection

const patience = 5000; // milliseconds

// loadClient returns the function that opens a socket: that of the bundle which the server has.
export async function loadClient() {
  await script("/socket.io/socket.io.min.js");
  if (typeof window.io !== "function") throw new Error("the client has not loaded");
  return window.io;
}

function script(src) {
  return new Promise((resolve, reject) => {
    const element = document.createElement("script");
    const timer = setTimeout(() => fail("too slow"), patience);
    const fail = (why) => {
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
  return all.filter((t) => t === asked || !all.includes(asked));
}

// open returns a socket that connects when asked to, and shows how it is at the top of the page. It
// returns nothing, having said so, when there is no client. Pages call it when they are loaded, and not when
// somebody joins: with the server gone by then, the client says so and goes on trying.
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
  const lost = (why) => {
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

export function banner(why) {
  $("banner").hidden = why === "";
  $("banner").textContent = why;
}

// showState shows the state of the connection and the transport in use.
export function showState(state, transport) {
  const words = { off: "Not connected", connecting: "Connecting", online: "Connected", lost: "Reconnecting" };
  $("status").dataset.state = state;
  document.body.dataset.state = state;
  $("state").textContent = words[state];
  $("transport").hidden = !transport;
  $("transport").textContent = { websocket: "WebSocket", polling: "Polling" }[transport] ?? "";
}

// showNode shows which server of a cluster answers; "" when there is only one.
export function showNode(name) {
  $("node").hidden = !name;
  $("node").textContent = name ? `on ${name}` : "";
}

// ---- a canvas

// palette returns the page's colours by name in a form that a canvas takes, and keeps them right when
// light turns to dark.
export function palette(...names) {
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

// fit gives a canvas as many points as the screen has for it, and returns its size in CSS pixels.
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
