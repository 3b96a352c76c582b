// Each page in a tab of its own, and an order that one of them sends: all others are told, once.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import puppeteer from "puppeteer-core";

let browser;
before(async () => {
  browser = await puppeteer.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update", "--no-first-run"],
  });
});
after(() => browser?.close());

// open opens a page and waits until it says that it is connected.
async function open(name) {
  const page = await (await browser.createBrowserContext()).newPage(); // a window of its own: tabs behind others are not drawn
  page.setDefaultTimeout(30_000); // of the slowest machine
  const tab = { page, complaints: [], handshakes: 0 };
  page.on("pageerror", (e) => tab.complaints.push(String(e)));
  page.on("console", (m) => m.type() === "error" && tab.complaints.push(m.text()));
  page.on("request", (r) => (tab.handshakes += /EIO=4/.test(r.url()) && !/sid=/.test(r.url())));
  await page.goto(new URL(`${name}.html`, process.env.SITE));
  await says(page, "[role=status]", "Connected");
  return tab;
}

function says(page, selector, words) {
  return page.waitForFunction((s, w) => document.querySelector(s)?.textContent === w, { polling: "mutation" }, selector, words);
}

const frameworks = ["react", "vue", "svelte"];

test("what one page orders the others are told", async (t) => {
  const shop = await open("typescript");
  const tabs = {};
  for (const name of frameworks) tabs[name] = await open(name);
  for (let n = 1; n <= 2; n++) {
    await shop.page.evaluate(() => { document.querySelector("#state").textContent = ""; });
    await shop.page.$eval("form button", (e) => e.click());
    await says(shop.page, "#state", "That is 3");
    for (const name of frameworks) {
      await t.test(`${name}, order ${n}`, async () => {
        await says(tabs[name].page, "li:last-child", "beans");
        await tabs[name].page.waitForFunction((n) => document.querySelectorAll("li").length >= n, { polling: "mutation" }, n);
        const titles = await tabs[name].page.$$eval("li", (all) => all.map((e) => e.textContent));
        assert.deepEqual(titles, Array(n).fill("beans"));
      });
    }
  }
  // It is built for development, where StrictMode mounts each component twice: the first connection is given up.
  assert.ok(tabs.react.handshakes >= 2, `React opened ${tabs.react.handshakes} connections`);
  for (const [name, tab] of Object.entries({ ...tabs, shop })) assert.deepEqual(tab.complaints, [], name);
});
