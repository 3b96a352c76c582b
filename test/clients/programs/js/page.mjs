// The cells of cells.mjs in a browser: bundled with the ES modules of the client, as an application's own
// page is. The page is of another origin than the servers.
import { io } from "socket.io-client";
import { run } from "./cells.mjs";
import { credentials, websocketOnly } from "./sticky.mjs";

// start is called by browser.mjs. report is its function.
window.start = (client, urls) =>
  run({
    client,
    io,
    urls,
    recovers: true,
    sticky: (transport) => (transport === "websocket" ? websocketOnly : credentials),
    report: (line) => window.report(line),
  });
