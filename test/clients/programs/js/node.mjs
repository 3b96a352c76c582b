// The cells of cells.mjs for each version of socket.io-client, in Node.
import { createRequire } from "node:module";
import { run } from "./cells.mjs";
import { credentials, fetched, websocketOnly } from "./sticky.mjs";

const require = createRequire(import.meta.url);
// By its address: Node 18, which is Debian's, tries but one of those that a name has.
const balancer = process.env.BALANCER.replace("localhost", "127.0.0.1");
const urls = { direct: process.env.DIRECT, relay: process.env.RELAY, balancer };

for (const { name, ...facts } of [
  { name: "sioc48", recovers: true, jar: true },
  { name: "sioc44" },
  { name: "sioc31" },
  { name: "sioc25", v2: true },
]) {
  const { version } = require(`${name}/package.json`);
  await run({
    client: `socket.io-client ${version}, Node`,
    io: require(name),
    urls,
    sticky: (transport) => (transport === "websocket" ? websocketOnly : facts.jar ? credentials : fetched),
    report: (line) => console.log(JSON.stringify(line)),
    ...facts,
  });
}
process.exit(0); // old clients keep timers
