// Asks a stack through undici as clients.py does: undici.mjs FOLDER-OF-UNDICI VERSION URL.

import { createHash } from "node:crypto";
import { createRequire } from "node:module";

const [folder, version, url] = process.argv.slice(2);
const { Client } = createRequire(import.meta.url)(folder);
const ASKED = [
  ["GET", "/echo?a=b%20c&d"],
  ["HEAD", "/size/4096"],
  ["POST", "/echo", '{"a": 1}'],
  ["PUT", "/hash", Buffer.alloc(160_000, "twinread exchange ")],
  ["GET", "/status/404"],
  ["GET", "/headers/repeated"],
  ["GET", "/encoded/gzip"],
  ["GET", "/size/300000"],
  ["GET", "/stream/300000"],
  ["GET", "/trailers"],
  ["GET", "/events"],
];
const DROPPED = new Set(["connection", "keep-alive", "transfer-encoding", "date", "trailer"]);

const client = new Client(url, version === "2" ? { allowH2: true, useH2c: true } : {});
for (const [method, path, body] of ASKED) {
  const headers = { host: "stack.example" };
  const answer = await client.request({ method, path, headers, body });
  const bytes = Buffer.from(await answer.body.arrayBuffer());
  const kept = Object.entries(answer.headers).filter(([name]) => !DROPPED.has(name));
  const hash = createHash("sha256").update(bytes).digest("hex");
  console.log(JSON.stringify([method, path, answer.statusCode, kept.sort(), bytes.length, hash, answer.trailers]));
}
await client.close();
