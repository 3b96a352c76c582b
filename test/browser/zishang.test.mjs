// The page of the chat that is written for another library: two people, one of them on polling.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { openBrowser, start, Visitor } from "./lib.mjs";

let chat;
let browser;

before(async () => {
  browser = await openBrowser();
  chat = await start("zishang");
});
after(async () => {
  await browser?.close();
  assert.equal(await chat?.stop(), 0);
});

async function enter(t, name, query, view) {
  const v = new Visitor();
  await v.open(browser, chat.url + query, view);
  t.after(async () => {
    await v.leave();
    assert.deepEqual(v.errors, [], "errors in the browser's console");
  });
  await v.page.type("#name", name);
  await v.page.keyboard.press("Enter");
  return v;
}

const lines = (v) => v.page.$$eval("#lines .line", (all) => all.map((e) => e.textContent));

test("two people talk, over WebSocket and polling", async (t) => {
  const ada = await enter(t, "Ada", "");
  await ada.sees("#transport", "WebSocket");
  const ben = await enter(t, "Ben", "?transport=polling", { width: 390, height: 844, dark: true });
  await ben.sees("#transport", "Polling");
  await ada.sees("#people", "Ada, Ben");

  await ada.page.type("#text", "<b>Hello</b>, is it Polling?");
  await ben.sees("#typing", "Ada is typing");
  await ada.page.keyboard.press("Enter");
  await ben.sees("#lines", "Polling?");
  await ada.sees("#lines", "Polling?");
  await ben.page.type("#text", "It is.");
  await ben.page.keyboard.press("Enter");
  await ada.sees("#lines", "It is.");
  await ben.sees("#lines", "It is.");
  assert.deepEqual(await lines(ada), ["Ada<b>Hello</b>, is it Polling?", "BenIt is."]);
  assert.deepEqual(await lines(ben), await lines(ada));
});

test("two people with one name are two", async (t) => {
  const one = await enter(t, "Eve", "");
  await one.sees("#people", "Eve");
  const two = await enter(t, "Eve", "");
  await two.sees("#people", "Eve (");
  await two.page.type("#text", "I am the other.");
  await two.page.keyboard.press("Enter");
  await one.sees("#lines", "I am the other.");
  const names = (await one.page.$eval("#people", (e) => e.textContent)).match(/Eve \(.{4}\)/g);
  assert.equal(new Set(names).size, 2);
  assert.ok(names.includes(await one.page.$eval("#lines .line:last-child b", (e) => e.textContent)));
});

test("a name that the middleware refuses", async (t) => {
  const v = await enter(t, "Ada", "");
  await v.sees("#people", "Ada");
  const refused = new Visitor();
  await refused.open(browser, chat.url);
  t.after(() => refused.leave());
  await refused.page.$eval("#name", (e) => { e.removeAttribute("maxlength"); e.value = "x".repeat(25); });
  await refused.press("#join button");
  await refused.sees("#refused", "a name has 1 to 24 characters");
  assert.equal(await refused.visible("#chat"), false);
});
