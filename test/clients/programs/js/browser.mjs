// Opens the page of page.mjs in Chromium and prints what it reports.
import { readFileSync } from "node:fs";
import puppeteer from "puppeteer-core";

const versionOf = (name) =>
  JSON.parse(readFileSync(new URL(`../../node_modules/${name}/package.json`, import.meta.url))).version;
const urls = { direct: process.env.DIRECT, relay: process.env.RELAY, balancer: process.env.BALANCER };
const client = `socket.io-client ${versionOf("sioc48")}, Chromium, ES modules by esbuild ${versionOf("esbuild")}`;

const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking", "--no-first-run"],
});
try {
  const page = await browser.newPage();
  page.on("pageerror", (error) => console.error(String(error)));
  await page.exposeFunction("report", (line) => console.log(JSON.stringify(line)));
  await page.goto(process.env.PAGE);
  await page.waitForFunction(() => window.start);
  await page.evaluate((client, urls) => window.start(client, urls), client, urls);
} finally {
  await browser.close();
}
