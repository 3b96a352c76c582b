// Starting the fixture: the program named by FIXTURE, or Node's own server (reference.mjs).
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const reference = fileURLToPath(new URL("../reference.mjs", import.meta.url));

// againstNode is true in a run against the reference.
export const againstNode = !process.env.FIXTURE;

// start runs a fixture and waits for the port it prints. Flags are its command line.
export async function start(...flags) {
  const [command, ...args] = againstNode ? [process.execPath, reference] : [process.env.FIXTURE];
  const child = spawn(command, [...args, ...flags], { stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout });
  const [line] = await Promise.race([
    once(lines, "line"),
    once(child, "exit").then(([code]) => {
      throw new Error(`the fixture ended with code ${code} before it printed its port`);
    }),
  ]);
  const { port } = JSON.parse(line);
  const exited = once(child, "exit");
  // A fixture never keeps a finished test file alive, and ends with it: its standard input closes.
  child.unref();
  child.stdin.unref();
  child.stdout.unref();
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    kill(signal) {
      child.kill(signal);
    },
    async stop(signal = "SIGTERM") {
      child.ref();
      child.kill(signal);
      const [code, by] = await exited;
      return { code, signal: by };
    },
  };
}
