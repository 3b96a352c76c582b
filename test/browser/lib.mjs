// What the tests share: the program, the browser, and a person in front of it.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import puppeteer from "puppeteer-core";

const patience = 8000; // milliseconds
const program = process.env.CHAT;
const checkout = fileURLToPath(new URL("../..", import.meta.url));

// startChat runs the chat and waits for the line with its address. bare starts it where no client
// bundle can be found.
export async function startChat(env = {}, { bare = false } = {}) {
  if (!program) throw new Error("CHAT must name the chat's program: use make browser");
  const child = spawn(program, {
    cwd: bare ? tmpdir() : checkout,
    env: { ...process.env, PORT: "0", HOST: "127.0.0.1", BEANPOLE_LOG_LEVEL: "warn", ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  const line = await Promise.race([
    once(createInterface({ input: child.stdout }), "line").then(([l]) => l),
    exited.then(([code]) => { throw new Error(`the chat ended with code ${code}`); }),
  ]);
  const url = /http:\S+/.exec(line)[0];
  return {
    url,
    port: new URL(url).port,
    async stop() {
      child.kill("SIGTERM");
      const [code] = await exited;
      return code;
    },
  };
}

// openBrowser starts Debian's Chromium, or the one that CHROMIUM names.
export function openBrowser() {
  return puppeteer.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking",
      "--disable-component-update", "--no-first-run"],
  });
}

// Person is one tab of its own, with its own storage.
export class Person {
  errors = [];

  static async enter(browser, url, name, { room = "Lobby", query = "", offline = false, ...view } = {}) {
    const p = new Person();
    p.context = await browser.createBrowserContext();
    p.page = await p.context.newPage();
    p.page.setDefaultTimeout(patience);
    p.page.on("pageerror", (e) => p.errors.push(String(e)));
    if (offline) {
      await p.page.setRequestInterception(true);
      p.page.on("request", (r) => (r.url().startsWith(url) ? r.continue() : r.abort()));
    }
    await p.look(view);
    await p.page.goto(`${url}${query}#${room}`);
    await p.page.type("#name", name);
    await p.page.click("#join button");
    await p.sees("#state", "Connected", offline ? 15_000 : patience);
    return p;
  }
  // look sets the size of the window and light or dark.
  async look({ width = 1180, height = 760, dark = false, scale = 1 } = {}) {
    await this.page.setViewport({ width, height, deviceScaleFactor: scale, isMobile: width < 500, hasTouch: width < 500 });
    await this.page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }]);
  }
  async sees(selector, text, timeout = patience) {
    const source = text instanceof RegExp ? text.source : text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    try {
      await this.page.waitForFunction(
        (s, t) => { const e = document.querySelector(s); return e && !e.hidden && new RegExp(t).test(e.textContent); },
        { timeout, polling: 50 }, selector, source);
    } catch (cause) {
      throw new Error(`${selector} does not show ${text}, but ${JSON.stringify(await this.text(selector))}`, { cause });
    }
  }
  text(selector) {
    return this.page.$eval(selector, (e) => e.textContent);
  }
  visible(selector) {
    return this.page.$eval(selector, (e) => !e.hidden);
  }
  types(text) {
    return this.page.type("#text", text);
  }
  press(selector) {
    return this.page.$eval(selector, (e) => e.click());
  }
  async says(text) {
    await this.page.$eval("#text", (e, t) => { e.value = t; }, text);
    await this.press("#compose button");
  }
  // lines are the messages on the page, from top to bottom.
  lines() {
    return this.page.$$eval("#log .said", (all) => all.map((e) => e.textContent));
  }
  // tick is the state of one's own message.
  tick(text) {
    return this.page.$$eval("#log .message", (all, t) =>
      all.find((e) => e.querySelector(".said").textContent === t)?.dataset.state, text);
  }
  async seesTick(text) {
    await this.page.waitForFunction(
      (t) => [...document.querySelectorAll("#log .message")]
        .some((e) => e.querySelector(".said").textContent === t && e.dataset.state === "sent"),
      { polling: 50 }, text);
  }
  async leave() {
    await this.context.close();
  }
}
