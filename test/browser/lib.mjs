// What the tests share: the program, the browser, and a person in front of it.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import puppeteer from "puppeteer-core";

const patience = 30_000; // milliseconds; nothing is promised of time, so what the slowest machine needs
const programs = process.env.PROGRAMS && resolve(process.env.PROGRAMS);
const checkout = fileURLToPath(new URL("../..", import.meta.url));

export const startChat = (env, options) => start("chat", env, options);

// start runs an example, where no other file is, and waits for the line with its address; arguments go to the program.
export async function start(name, env = {}, { args = [] } = {}) {
  if (!programs) throw new Error("PROGRAMS must name the folder of the programs: use make browser");
  const child = spawn(join(programs, name), args, {
    cwd: tmpdir(),
    env: { ...process.env, PORT: "0", HOST: "127.0.0.1", BEANPOLE_LOG_LEVEL: "warn", ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  const lines = createInterface({ input: child.stdout });
  const line = await Promise.race([
    new Promise((found) => lines.on("line", (line) => {
      if (/http:/.test(line)) found(line);
    })),
    exited.then(([code]) => { throw new Error(`${name} ended with code ${code}`); }),
  ]);
  const [url] = /http:\S+/.exec(line);
  return {
    url,
    line,
    port: new URL(url).port,
    async stop() {
      child.kill("SIGTERM");
      const [code] = await exited;
      return code;
    },
  };
}

// run runs a program to its end and returns its exit code.
export async function run(name, args, env = {}) {
  const child = spawn(join(programs, name), args, { env: { ...process.env, ...env }, stdio: ["ignore", "ignore", "inherit"] });
  const [code] = await once(child, "exit");
  return code;
}

// openBrowser starts Debian's Chromium, or the one that CHROMIUM names.
export function openBrowser(options) {
  return puppeteer.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking",
      "--disable-component-update", "--no-first-run"],
    ...options,
  });
}

// Visitor is one tab of its own, with its own storage.
export class Visitor {
  errors = [];

  // open loads a page. offline lets nothing through but the server itself.
  async open(browser, url, { offline = false, ...view } = {}) {
    this.context = await browser.createBrowserContext();
    this.page = await this.context.newPage();
    this.page.setDefaultTimeout(patience);
    this.page.on("pageerror", (e) => this.errors.push(String(e)));
    if (offline) {
      await this.page.setRequestInterception(true);
      this.page.on("request", (r) => (r.url().startsWith(new URL(url).origin) ? r.continue() : r.abort()));
    }
    await this.look(view);
    await this.page.goto(url);
  }
  // look sets the size of the window, light or dark, and whether nothing on it moves.
  async look({ width = 1180, height = 760, dark = false, still = false, scale = 1 } = {}) {
    await this.page.setViewport({ width, height, deviceScaleFactor: scale, isMobile: width < 500, hasTouch: width < 500 });
    await this.page.emulateMediaFeatures([
      { name: "prefers-color-scheme", value: dark ? "dark" : "light" },
      { name: "prefers-reduced-motion", value: still ? "reduce" : "no-preference" },
    ]);
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
  press(selector) {
    return this.page.$eval(selector, (e) => e.click());
  }
  async leave() {
    await this.context.close();
  }
}

// Person is a visitor of the chat.
export class Person extends Visitor {
  static async enter(browser, url, name, { room = "Lobby", query = "", ...options } = {}) {
    const p = new Person();
    await p.open(browser, `${url}${query}#${room}`, options);
    await p.page.type("#name", name);
    await p.page.click("#join button");
    await p.sees("#state", "Connected");
    return p;
  }
  types(text) {
    return this.page.type("#text", text);
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
}
