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
