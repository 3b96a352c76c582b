// The same clients in a real browser, from a page of another origin: what CORS and cookies are about.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { after, before, describe, test } from "node:test";
import puppeteer from "puppeteer-core";
import { clients, limit, transports, wait } from "./lib/clients.mjs";
import { start } from "./lib/fixture.mjs";

const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
const bundle = (client) =>
  readFileSync(new URL(`node_modules/sioc${client.name.replace(".", "")}/dist/socket.io.js`, import.meta.url));

describe("browser", { concurrency: 3, skip: !existsSync(executablePath) && "needs Chromium" }, () => {
  let browser, fixture, site, foreign;

  // A site serves one empty page per client, with that client in it.
  async function serve() {
    const server = createServer((req, res) => {
      const client = clients.find(({ name }) => req.url.startsWith(`/${name}`));
      res.setHeader("content-type", req.url.endsWith(".js") ? "text/javascript" : "text/html");
      if (!client) res.writeHead(404).end();
      else if (req.url.endsWith(".js")) res.end(bundle(client));
      else res.end(`<!doctype html><title>${client.name}</title><script src="/${client.name}.js"></script>`);
    }).listen(0, "127.0.0.1");
    await wait(server, "listening");
    return { server, url: `http://localhost:${server.address().port}` };
  }

  before(async () => {
    [site, foreign] = await Promise.all([serve(), serve()]);
    fixture = await start(`--origin=${site.url}`);
    browser = await puppeteer.launch({
      executablePath,
      args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking", "--no-first-run"],
    });
  });
  after(async () => {
    await browser?.close();
    for (const one of [site, foreign]) (one?.server.closeAllConnections(), one?.server.close());
    await fixture?.stop();
  });

  // visit opens a page of its own with the client and resolves with what came of connecting.
  async function visit(from, client, options) {
    const context = await browser.createBrowserContext(); // cookies of its own
    try {
      const page = await context.newPage();
      await page.goto(`${from.url}/${client.name}`);
      return await page.evaluate(
        (url, options, ms) =>
          new Promise((resolve) => {
            const socket = io(url, { reconnection: false, ...options });
            const end = (outcome) => {
              resolve(outcome);
              socket.io.off("close"); // some versions close again at every close
              socket.close();
            };
            setTimeout(end, ms, "nothing");
            socket.on("connect_error", () => end("refused"));
            socket.io.on("close", () => end("closed"));
            socket.on("connect", () => {
              const bytes = new Uint8Array([1, 2, 3]).buffer; // version 2 knows no other binary here
              socket.emit("echo", "é🎉", { bytes }, (text, back) => {
                const transport = () => end([text, ...new Uint8Array(back.bytes), socket.io.engine.transport.name].join());
                const upgrades = options.transports.length > 1 && socket.io.engine.transport.name === "polling";
                if (upgrades) socket.io.engine.once("upgrade", () => setTimeout(transport));
                else transport();
              });
            });
          }),
        `http://localhost:${fixture.port}`,
        options,
        limit,
      );
    } finally {
      await context.close();
    }
  }

  for (const client of clients)
    for (const [transport, how] of Object.entries(transports)) {
      const options = { ...how, path: "/sticky/" };
      const cell = `${client.name} | ${transport}`;
      test(`browser: credentials | ${cell}`, { timeout: 2 * limit }, async () => {
        const got = await visit(site, client, { ...options, withCredentials: true });
        assert.equal(got, `é🎉,1,2,3,${transport === "polling" ? "polling" : "websocket"}`);
      });
      if (transport === "websocket") continue; // asks no leave and needs no cookie
      test(`browser: foreign origin | ${cell}`, { timeout: 2 * limit }, async () => {
        assert.equal(await visit(foreign, client, { ...options, withCredentials: true }), "refused");
      });
      // Version 2 always asks with credentials.
      test(`browser: no credentials | ${cell}`, { timeout: 2 * limit, skip: client.eio === 3 }, async () => {
        assert.match(await visit(site, client, options), /^(closed|refused)$/); // the second request fails
      });
    }
});
