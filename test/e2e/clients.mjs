// Many clients in one process. Arguments: URL, number, transports (polling | websocket | both | half).
// Writes one line of JSON for each thing that a client sees; ends with its standard input.
import { io } from "socket.io-client";

const [url, number, transports, room = "all", cookies = "yes"] = process.argv.slice(2);
const tell = (line) => process.stdout.write(JSON.stringify({ t: Date.now(), ...line }) + "\n");

const ways = {
  polling: () => ["polling"],
  websocket: () => ["websocket"],
  both: () => ["polling", "websocket"],
  half: (i) => (i % 2 ? ["websocket"] : ["polling"]),
}[transports];

const sockets = [];
for (let c = 0; c < Number(number); c++) {
  const socket = io(url, { transports: ways(c), withCredentials: cookies === "yes", forceNew: true, rejectUnauthorized: false });
  sockets.push(socket);
  let joined = false;
  socket.on("connect", () => {
    const recovered = socket.recovered;
    tell({ c, e: "connect", recovered, via: socket.io.engine.transport.name });
    if (recovered && joined) return;
    socket.emit("join", room, (instance) => {
      joined = true;
      tell({ c, e: "joined", instance });
    });
  });
  socket.io.on("open", () => socket.io.engine.once("upgrade", (t) => tell({ c, e: "upgrade", via: t.name })));
  socket.on("said", (n) => tell({ c, e: "said", n }));
  socket.on("disconnect", (reason) => tell({ c, e: "disconnect", reason }));
  socket.io.on("error", (err) => tell({ c, e: "error", reason: String(err.message), code: err.context?.status ?? err.description }));
}
// Take leave, so that the server does not wait for clients that are gone.
process.stdin.on("end", () => {
  process.stdout.on("error", () => {});
  for (const socket of sockets) socket.disconnect();
  setTimeout(() => process.exit(0), 1000);
}).resume();
