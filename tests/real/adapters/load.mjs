// Callers that check every answer, each on a connection of its own: load.mjs PORT 1|2|tls CALLERS PACE PATH SHA256.
// A caller asks every PACE ms, or, if that is 0, as soon as it has its answer. Prints a line for each: when it asked
// (ms), how long it waited (µs), and `right`, `failed` or `wrong` with what it saw.

import { createHash } from "node:crypto";
import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import { setTimeout as sleep } from "node:timers/promises";

const [port, version, callers, pace, path, expected] = process.argv.slice(2);
const FAILED = new Set([502, 503, 504]);

function judge(status, hash) {
  if (FAILED.has(status)) return `failed ${status}`;
  return status === 200 && hash.digest("hex") === expected ? "right" : `wrong ${status}`;
}

function http1() {
  const { request, Agent } = version === "tls" ? https : http;
  const agent = new Agent({ keepAlive: true, maxSockets: 1, rejectUnauthorized: false });
  return () =>
    new Promise((seen) => {
      const failed = (error) => seen(`failed ${error.code}`);
      const asked = request({ host: "127.0.0.1", port, path, agent, headers: { host: "stack.example" } }, (answer) => {
        const hash = createHash("sha256");
        answer.on("data", (part) => hash.update(part));
        answer.on("end", () => seen(judge(answer.statusCode, hash)));
        answer.on("error", failed);
      });
      asked.on("error", failed).end();
    });
}

function http2WithPriorKnowledge() {
  let session;
  return () =>
    new Promise((seen) => {
      if (!session || session.closed || session.destroyed) {
        session = http2.connect(`http://127.0.0.1:${port}`).on("error", () => {});
      }
      const hash = createHash("sha256");
      const stream = session.request({ ":path": path, ":authority": "stack.example" });
      let status, error;
      stream.on("response", (headers) => (status = headers[":status"]));
      stream.on("data", (part) => hash.update(part));
      stream.on("error", (raised) => (error = raised.code));
      stream.on("close", () => seen(error || stream.rstCode ? `failed ${error ?? stream.rstCode}` : judge(status, hash)));
    });
}

let lines = [];

async function call(ask, delay) {
  await sleep(delay);
  for (;;) {
    const [asked, began] = [Date.now(), process.hrtime.bigint()];
    const seen = await ask();
    const waited = Number((process.hrtime.bigint() - began) / 1000n);
    lines.push(`${asked} ${waited} ${seen}\n`);
    const left = Number(pace) - waited / 1000;
    if (left > 0) await sleep(left);
  }
}

function print() {
  process.stdout.write(lines.join(""));
  lines = [];
}

for (let caller = 0; caller < Number(callers); caller++) {
  call(version === "2" ? http2WithPriorKnowledge() : http1(), (pace * caller) / callers);
}
setInterval(print, 50);
process.on("SIGTERM", () => {
  print();
  process.exit(0);
});
