// The auth example: a wrong password, a right one, a token that ends, and one that is renewed.
import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { openBrowser, start, Visitor } from "./lib.mjs";

let program, browser;
before(async () => {
  program = await start("auth", { AUTH_TTL: "5s" });
  browser = await openBrowser();
});
after(async () => {
  await browser?.close();
  assert.equal(await program?.stop(), 0);
});

async function enter(v, name, password) {
  await v.page.$eval("#name", (e, t) => { e.value = t; }, name);
  await v.page.$eval("#password", (e, t) => { e.value = t; }, password);
  await v.press("#login button");
}

test("a restart ends tokens, and who has theirs renewed does not notice", async (t) => {
  let own = await start("auth");
  t.after(() => own.stop());
  const restart = async () => {
    assert.equal(await own.stop(), 0);
    await v.sees("#state", /Reconnecting|Not connected/);
    own = await start("auth", { PORT: own.port });
  };
  const v = new Visitor();
  t.after(() => v.leave());
  await v.open(browser, own.url);
  await enter(v, "ada", "bean");
  await v.sees("#who", "ada");
  await restart();
  await v.sees("#banner", "The server does not take your token any more. Log in again.");
  assert.equal(await v.visible("#login"), true);

  await enter(v, "grace", "pole");
  await v.sees("#who", "grace");
  await v.press("#keep");
  await restart();
  await v.sees("#state", "Connected");
  assert.equal(await v.visible("#inside"), true);

  assert.equal(await own.stop(), 0);
  await v.sees("#state", "Reconnecting");
  await enter(v, "ada", "bean");
  await v.sees("#refused", "the server cannot be reached");
  own = await start("auth", { PORT: own.port });
  await v.sees("#state", "Connected");
  assert.deepEqual(v.errors, []);
});

test("a socket ends with its token, unless the token is renewed", async () => {
  const v = new Visitor();
  await v.open(browser, program.url);
  await enter(v, "ada", "wrong");
  await v.sees("#refused", "wrong name or password");
  await enter(v, "ada", "bean");
  await v.sees("#state", "Connected");
  await v.sees("#who", "ada");
  await v.sees("#banner", "Your token has expired.");
  assert.equal(await v.visible("#login"), true);

  await enter(v, "ada", "bean");
  await v.sees("#state", "Connected");
  await v.press("#keep");
  const first = await v.text("#left");
  await v.page.evaluate(() => { window.dropped = false; });
  await v.page.waitForFunction(() => { // longer than a token lives
    window.since ??= Date.now();
    window.dropped ||= document.getElementById("inside").hidden;
    return window.dropped || Date.now() - window.since > 7000;
  }, { polling: 50, timeout: 20_000 });
  assert.equal(await v.page.evaluate(() => window.dropped), false, `dropped after ${first}`);
  if (process.env.SCREENSHOT) await v.page.screenshot({ path: process.env.SCREENSHOT });
  await v.press("#everywhere");
  await v.sees("#banner", "You have left everywhere.");
  assert.deepEqual(v.errors, []);
  await v.leave();
});
