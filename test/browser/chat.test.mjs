// The chat's page as people see it: two browsers talk, one of them on polling only. PROGRAMS
// names the folder of the programs.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { openBrowser, Person, startChat } from "./lib.mjs";

let chat;
let browser;
let people = [];

before(async () => {
  browser = await openBrowser();
  chat = await startChat();
});
after(async () => {
  await browser?.close();
  await chat?.stop();
});
afterEach(async () => {
  const errors = people.flatMap((p) => p.errors);
  for (const p of people) await p.leave();
  people = [];
  assert.deepEqual(errors, [], "errors in the browser's console");
});

async function person(name, options = {}) {
  const p = await Person.enter(browser, options.url ?? chat.url, name, options);
  people.push(p);
  return p;
}

test("two people talk, one of them over polling only", async () => {
  const ada = await person("Ada", { room: "Talk" });
  const ben = await person("Ben", { room: "Talk", query: "?transport=polling", width: 390, height: 844 });
  await ada.sees("#transport", "WebSocket");
  await ben.sees("#transport", "Polling");
  await ada.sees("#count", "2");

  await ada.says("Hello, is anybody there?");
  await ada.seesTick("Hello, is anybody there?");
  await ben.sees("#log", "Hello, is anybody there?");

  await ben.types("Yes, I");
  await ada.sees("#typers", "Ben is typing");
  await ben.types(" am.");
  await ben.press("#compose button");
  await ben.seesTick("Yes, I am.");
  await ada.sees("#log", "Yes, I am.");
  await ada.sees("#typers", /^$/);
  assert.equal(await ben.text("#transport"), "Polling");
});

test("the key that is Send on a phone sends", async () => {
  const ada = await person("Ada", { room: "Phone", width: 390, height: 844 });
  assert.ok(await ada.page.evaluate(() => matchMedia("(pointer: coarse)").matches));
  await ada.page.focus("#text");
  await ada.types("sent by Enter");
  await ada.page.keyboard.press("Enter");
  await ada.seesTick("sent by Enter");
});

test("order is kept in a burst over both transports", async () => {
  const ada = await person("Ada", { room: "Burst" });
  const ben = await person("Ben", { room: "Burst", query: "?transport=polling" });
  await ada.sees("#count", "2");
  const lines = Array.from({ length: 20 }, (_, i) => `line ${i}`);
  for (const line of lines) await ada.says(line);
  await ben.sees("#log", "line 19");
  assert.deepEqual(await ben.lines(), lines);
  assert.deepEqual(await ada.lines(), lines);
});

test("a late comer gets the history, at most 50 messages", async () => {
  const ada = await person("Ada", { room: "Late" });
  for (let i = 0; i < 53; i++) await ada.says(`message ${i}`);
  await ada.seesTick("message 52");
  const eve = await person("Eve", { room: "late" });
  await eve.sees("#log", "message 52");
  const lines = await eve.lines();
  assert.equal(lines.length, 50);
  assert.equal(lines[0], "message 3");
});

test("rooms keep messages apart", async () => {
  const ada = await person("Ada", { room: "Lobby" });
  const ben = await person("Ben", { room: "Lobby" });
  await ada.sees("#count", "2");
  await ben.press('a[href="#Coffee"]');
  await ben.sees("#title", "Coffee");
  await ada.sees("#count", "1");
  await ada.says("only for the lobby");
  await ada.seesTick("only for the lobby");
  await ben.says("only for coffee");
  await ben.seesTick("only for coffee");
  assert.deepEqual(await ben.lines(), ["only for coffee"]);
  assert.deepEqual(await ada.lines(), ["only for the lobby"]);
});

test("a message is text, never markup", async () => {
  const ada = await person("Ada", { room: "Markup" });
  const text = "<img src=x onerror=alert(1)> <b>bold</b> & 🫘";
  await ada.says(text);
  await ada.seesTick(text);
  assert.deepEqual(await ada.lines(), [text]);
});

test("nobody replaces the message of another", async () => {
  const ada = await person("Ada", { room: "Forged" });
  const ben = await person("Ben", { room: "Forged" });
  await ada.says("mine");
  await ada.seesTick("mine");
  await ben.sees("#log", "mine");
  const id = await ada.page.$eval("#log .message", (e) => e.dataset.id);
  await ben.page.evaluate((id) => new Promise((done, failed) => {
    const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/socket.io/?EIO=4&transport=websocket`);
    socket.onerror = failed;
    socket.onmessage = ({ data }) => {
      if (data[0] === "0") socket.send(`40${JSON.stringify({ name: "Eve", key: "k".repeat(24) })}`);
      else if (data.startsWith("40")) socket.send('421["enter","Forged"]');
      else if (data.startsWith("431")) socket.send(`422${JSON.stringify(["message", { id, name: "Ada", text: "forged" }])}`);
      else if (data.startsWith("432")) done(socket.close());
    };
  }), id);
  for (const p of [ada, ben]) {
    await p.sees("#log", "forged");
    assert.deepEqual(await p.lines(), ["mine", "forged"]);
    assert.deepEqual(await p.page.$$eval("#log .by", (all) => all.map((e) => e.textContent)), ["Ada", "Eve"]);
  }
  assert.deepEqual(await ada.page.$$eval("#log .message", (all) => all.map((e) => e.classList.contains("mine"))), [true, false]);
});

test("a name that looks like another's is refused in its room, and welcome in another", async () => {
  await person("Ace", { room: "Names" });
  const eve = await person("\u0410\u0441\u0435", { room: "Elsewhere" }); // Cyrillic letters, all of them
  await eve.press("#leave");
  await eve.page.$eval("#room", (e) => { e.value = "Names"; });
  await eve.page.click("#join button");
  await eve.sees("#refused", "Somebody else has that name there, or one that looks like it.");
  assert.equal(await eve.visible("#chat"), false);
  await eve.page.$eval("#name", (e) => { e.value = "Eve"; });
  await eve.page.click("#join button");
  await eve.sees("#count", "2");
  assert.equal(await eve.text("#refused"), "");
});

test("who leaves is gone from the list", async () => {
  const ada = await person("Ada", { room: "Leave" });
  const ben = await person("Ben", { room: "Leave", query: "?transport=polling" });
  await ada.sees("#count", "2");
  await ben.page.close();
  await ada.sees("#count", "1", 10_000);
});

for (const query of ["", "?transport=polling"]) {
  test(`a restart of the server is shown and survived${query && " over polling"}`, async () => {
    let own = await startChat();
    const ada = await person("Ada", { room: "Restart", url: own.url, query });
    await ada.says("before");
    await ada.seesTick("before");
    assert.equal(await own.stop(), 0, "exit code of a graceful stop");
    await ada.sees("#state", "Reconnecting");
    await ada.sees("#banner", "Reconnecting");
    await ada.says("written while the server was away");
    assert.equal(await ada.tick("written while the server was away"), "sending");
    own = await startChat({ PORT: own.port });
    await ada.sees("#state", "Connected");
    await ada.seesTick("written while the server was away");
    assert.deepEqual(await ada.lines(), ["before", "written while the server was away"]);
    assert.equal(await ada.visible("#banner"), false);
    await own.stop();
  });
}

test("the page needs nothing but its server", async () => {
  const bare = await startChat();
  const ada = await person("Ada", { room: "Bare", url: bare.url, offline: true });
  const ben = await person("Ben", { room: "Bare", url: bare.url, query: "?transport=polling", offline: true });
  await ada.sees("#transport", "WebSocket");
  await ada.sees("#count", "2");
  await ada.says("hello");
  await ben.sees("#log", "hello");
  await bare.stop();
});
