// The page of the Admin UI against Beanpole: run by adminui_test.go, which has the server.
import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { join } from "node:path";
import { openBrowser, Visitor } from "./lib.mjs";

const url = process.env.ADMINUI_URL;
const pictures = process.env.ADMINUI_SCREENSHOTS;
let browser, client;

// The page is a stranger's: it is found by the words that are on it.
class Admin extends Visitor {
  shows(text, timeout = 30_000) {
    return this.page.waitForFunction((t) => document.body.innerText.includes(t), { timeout, polling: 100 }, text)
      .catch(async (cause) => {
        throw new Error(`the page does not show ${text}, but ${await this.page.evaluate(() => document.body.innerText)}`, { cause });
      });
  }
  async types(values) {
    const inputs = await this.page.$$("form input");
    for (const [i, value] of values.entries()) {
      await inputs[i].click({ count: 3 });
      await inputs[i].type(value);
    }
  }
  go(where) {
    return this.page.evaluate((hash) => { location.hash = hash; }, where);
  }
  async picture(name) {
    if (pictures) await this.page.screenshot({ path: join(pictures, `${name}.png`) });
  }
}

before(async () => {
  browser = await openBrowser();
  client = new Visitor(); // a page with a socket, to be looked at
  await client.open(browser, `${url}/favicon.png`);
  await client.page.addScriptTag({ url: `${url}/client/socket.io.min.js` });
  await client.page.evaluate(() => new Promise((resolve) => {
    window.socket = io({ reconnection: false });
    socket.on("disconnect", (reason) => { window.reason = reason; });
    socket.on("connect", resolve);
  }));
});
after(async () => { await browser?.close(); });

test("the page logs in, shows sockets, rooms and events, and disconnects a socket", async () => {
  const id = await client.page.evaluate(() => socket.id);
  const v = new Admin();
  await v.open(browser, url, { width: 1400, height: 900 });
  await v.shows("CONNECT");
  await v.types([url, "admin", "wrong"]);
  await v.press("form button[type=submit]");
  await v.shows("Invalid credentials");
  await v.types([url, "admin", "changeit"]);
  await v.press("form button[type=submit]");
  await v.shows("Bytes received and sent");
  await v.page.waitForFunction(() => /\/\s+1\b/.test(document.body.innerText), { polling: 100 }); // sockets in "/"
  await v.picture("dashboard");

  await v.go("#/servers/");
  await v.shows("bean-1");

  await v.go("#/sockets/");
  await v.shows(id);
  await v.shows("WebSocket");
  await v.picture("sockets");

  await v.go(`#/n/${encodeURIComponent("/")}/sockets/${id}`);
  await v.shows("lobby");
  await v.shows("127.0.0.1");
  await v.picture("socket");

  await v.go("#/rooms/");
  await v.shows("lobby");
  await v.picture("rooms");

  await client.page.evaluate(() => socket.emit("hello", "from the client"));
  await v.go("#/events/");
  await v.shows("hello");
  await v.picture("events");

  await v.page.reload(); // the session spares the password
  await v.go("#/");
  await v.shows("Bytes received and sent");

  await v.go("#/sockets/");
  await v.shows(id);
  await v.page.$$eval("tr", (rows, want) => {
    const row = rows.find((r) => r.innerText.includes(want));
    [...row.querySelectorAll("button")].at(-1).click();
  }, id);
  await client.page.waitForFunction(() => window.reason, { polling: 50 });
  assert.equal(await client.page.evaluate(() => window.reason), "io server disconnect");
  assert.deepEqual(v.errors, []);
  await v.leave();
});
