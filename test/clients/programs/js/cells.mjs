// What one JavaScript client can do, cell by cell: run by node.mjs for every version, and, bundled with the
// client's ES modules, in a browser by page.mjs. It uses nothing that only one of them has.

const limit = 15_000; // the longest any one wait may take, in milliseconds
const kinds = { polling: ["polling"], websocket: ["websocket"], upgrade: ["polling", "websocket"] };

// run reports a result for every cell of one client. sticky(transport) returns how docs/clients.md opens a
// socket behind a balancer: a function of (io, url), where io adds what the cell asks for.
export async function run({ client, io, v2 = false, recovers = false, urls, sticky, report }) {
  await Promise.all(Object.keys(kinds).map(async (transport) => {
    for (const [capability, cell] of Object.entries(cells)) {
      const opened = [];
      // open is io with the options of the cell, remembered to be closed.
      const open = (url, options = {}) => {
        const socket = io(url, {
          forceNew: true, transports: kinds[transport], reconnectionDelay: 20, reconnectionDelayMax: 100, ...options,
        });
        opened.push(socket);
        return socket;
      };
      const tag = `${client}-${transport}-${capability}-${Math.random()}`.replace(/[^\w.-]/g, "_");
      const line = { client, transport, capability, result: "ok" };
      try {
        const na = await cell({ open, transport, v2, recovers, urls, sticky, tag });
        if (na) Object.assign(line, { result: "n.a.", note: na });
      } catch (error) {
        Object.assign(line, { result: "failed", note: String(error?.message ?? error) });
      }
      for (const socket of opened) (socket.io.reconnection(false), socket.close());
      report(line);
    }
  }));
}

const cells = {
  async connect({ open, urls, transport }) {
    const socket = open(urls.direct);
    const [hello] = await wait(socket, "welcome");
    equal(hello.id, socket.id);
    await settled(socket, transport);
  },

  async auth({ open, urls, v2 }) {
    const attempt = (token) =>
      v2 ? open(`${urls.direct}/private?token=${token}`) : open(`${urls.direct}/private`, { auth: { token } });
    const [refused] = await wait(attempt("wrong"), v2 ? "error" : "connect_error");
    equal(v2 ? refused.code : refused.data.code, "E401");
    equal((await wait(attempt("secret"), "welcome"))[0].nsp, "/private");
  },

  async ack({ open, urls, transport }) {
    const socket = open(urls.direct);
    equal(await ask(socket, "echo", 1), 1);
    await settled(socket, transport);
    equal(await ask(socket, "echo", { a: [1, "é🎉", null] }), { a: [1, "é🎉", null] });
  },

  async answer({ open, urls, transport }) {
    const socket = open(urls.direct);
    socket.on("answer-me", (value, ack) => ack({ got: value }));
    equal(await ask(socket, "question", [1, "two"]), { got: [1, "two"] });
    await settled(socket, transport);
    equal(await ask(socket, "question", "again"), { got: "again" });
  },

  async binary({ open, urls, transport }) {
    const socket = open(urls.direct);
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i).buffer;
    const check = (back) => {
      equal([...new Uint8Array(back.bytes)], [...new Uint8Array(bytes)]);
      equal(back.text, "é");
    };
    const echo = wait(socket, "echo");
    socket.emit("echo", { bytes, text: "é" });
    check((await echo)[0]);
    await settled(socket, transport);
    check(await ask(socket, "echo", { bytes, text: "é" }));
  },

  async namespaces({ open, urls }) {
    const socket = open(urls.direct);
    await wait(socket, "welcome");
    const admin = socket.io.socket("/admin");
    equal((await wait(admin, "welcome"))[0].nsp, "/admin");
    equal([await ask(socket, "echo", 1), await ask(admin, "echo", 2)], [1, 2]);
    admin.close();
    equal(await ask(socket, "echo", "still"), "still");
  },

  async reconnect({ open, urls, transport, tag }) {
    const socket = open(urls.relay, { query: { tag } });
    const [before] = await wait(socket, "welcome");
    await settled(socket, transport);
    const back = wait(socket, "welcome");
    await cut(urls, tag);
    equal((await back)[0].id === before.id, false);
    equal(await ask(socket, "echo", "back"), "back");
  },

  async recovery({ open, urls, transport, tag, recovers }) {
    if (!recovers) return "the client knows no recovery: new in 4.6";
    const observer = open(`${urls.direct}/dyn-1`, { path: "/recovery/" });
    const socket = open(`${urls.relay}/dyn-1`, { path: "/recovery/", query: { tag }, reconnection: false });
    const [{ id }] = await wait(socket, "welcome");
    const news = [];
    socket.on("news", (n) => news.push(n));
    await ask(socket, "join", tag);
    await ask(observer, "all", { rooms: [tag] }, "news", 0); // the first gives the place to resume from
    await settled(socket, transport);

    const gone = wait(socket, "disconnect");
    await cut(urls, tag);
    await gone;
    await ask(observer, "watch", id);
    for (const n of [1, 2]) await ask(observer, "all", { rooms: [tag] }, "news", n);
    const back = wait(socket, "connect");
    socket.connect();
    await back;
    equal(await ask(socket, "echo", 0), 0);
    equal({ recovered: socket.recovered, id: socket.id, news }, { recovered: true, id, news: [0, 1, 2] });
  },

  async sticky({ open, urls, transport, sticky, tag }) {
    const socket = await sticky(transport)((url, options = {}) => open(url, { ...options, query: { tag } }), urls.balancer);
    await wait(socket, "welcome");
    await settled(socket, transport);
    equal(await ask(socket, "echo", 1), 1);
    const back = wait(socket, "welcome"); // a new session, with the cookies there are now
    await cut({ relay: urls.balancer }, tag);
    await back;
    await settled(socket, transport);
    equal(await ask(socket, "echo", 2), 2);
  },
};

// cut ends the connections of tag as a network does that goes away.
const cut = (urls, tag) => fetch(`${urls.relay}/cut?tag=${tag}`, { mode: "no-cors" });

// settled waits until the server too has the transport that the cell is about.
async function settled(socket, transport) {
  const want = transport === "polling" ? "polling" : "websocket";
  for (const end = Date.now() + limit; (await ask(socket, "transport")) !== want; )
    if (Date.now() > end) throw new Error(`the transport is not ${want}`);
}

// wait resolves with the arguments of the next event.
function wait(emitter, event) {
  const late = new Error(`no "${event}" within ${limit} ms`);
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(late), limit);
    emitter.once(event, (...args) => (clearTimeout(timer), resolve(args)));
  });
}

// ask emits an event and resolves with the first argument of its acknowledgement.
function ask(socket, event, ...args) {
  const late = new Error(`no acknowledgement of "${event}" within ${limit} ms`);
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(late), limit);
    socket.emit(event, ...args, (answer) => (clearTimeout(timer), resolve(answer)));
  });
}

function equal(got, want) {
  const [a, b] = [JSON.stringify(got), JSON.stringify(want)];
  if (a !== b) throw new Error(`got ${a}, want ${b}`);
}
