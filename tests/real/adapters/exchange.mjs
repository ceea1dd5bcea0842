// A stack for exchanges of every shape, over HTTP/1.1 or HTTP/2 by Node: exchange.mjs PORT 1|2 [CERTIFICATE KEY].
// With a certificate it speaks TLS; 2 is then either version, by ALPN.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import zlib from "node:zlib";

const CHUNK = Buffer.alloc(64 * 1024, "twinread exchange ");
const ENCODINGS = { gzip: zlib.gzipSync, deflate: zlib.deflateSync, br: zlib.brotliCompressSync };
const TEXT = "the same text, many times over; ".repeat(300);
const HEADERS = {
  none: {},
  repeated: { "set-cookie": ["a=1; Path=/", "b=2; HttpOnly", "c=3"] },
  lists: { vary: "accept, accept-encoding", "cache-control": "max-age=1, private", link: "<a>; rel=x, <b>; rel=y" },
  empty: { "x-empty": "", "x-after": "1" },
  long: { "x-long": "v".repeat(7000) },
  many: Object.fromEntries(Array.from({ length: 70 }, (_, index) => [`x-many-${index}`, String(index)])),
  bytes: { "x-latin": "caf\u00e9", "x-quoted": '"a, b"; c="d\\"e"' },
  odd: { "x_underscore": "1", "x.dot": "2", "x!bang~": "3" },
  cors: { "access-control-allow-origin": "*", "access-control-expose-headers": "x-a, x-b" },
  validators: { etag: 'W/"1"', "last-modified": "Sun, 06 Nov 1994 08:49:37 GMT" },
  location: { location: "/elsewhere?a=b%20c#d" },
  auth: { "www-authenticate": 'Basic realm="a", charset="UTF-8"' },
  range: { "accept-ranges": "bytes", "content-range": "bytes 0-3/10" },
};

// What arrived, but for what every proxy changes.
const HOP = new Set(["connection", "keep-alive", "te", "transfer-encoding", "upgrade", "proxy-connection", "http2-settings", "trailer"]);

function seen(request, body) {
  const raw = request.rawHeaders;
  const headers = [];
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index].toLowerCase();
    const isOurs = name.startsWith("x-twinread") || name.startsWith(":");
    const isOfVersion = HOP.has(name) || name === "content-length" || name === "host";
    if (!isOurs && !isOfVersion) headers.push([name, raw[index + 1]]);
  }
  headers.sort();
  return {
    method: request.method,
    authority: request.headers[":authority"] ?? request.headers.host,
    url: request.url,
    headers,
    length: body.length,
    sha256: createHash("sha256").update(body).digest("hex"),
    trailers: request.trailers,
  };
}

async function read(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts);
}

// Bytes as they are taken, so that no size is held in memory.
async function pour(response, size) {
  for (let left = size; left > 0; left -= CHUNK.length) {
    if (!response.write(CHUNK.subarray(0, Math.min(left, CHUNK.length)))) {
      await new Promise((taken) => response.once("drain", taken).once("close", taken));
    }
    if (response.destroyed) return;
  }
  response.end();
}

let requests = 0;

async function answer(request, response) {
  if (request.url === "/seen") return response.end(JSON.stringify({ seen: requests }));
  requests += 1;
  const [, kind, argument] = request.url.split(/[/?]/);
  const is1 = request.httpVersionMajor === 1;
  response.sendDate = false;
  if (kind === "early") {
    response.writeHead(413, { "content-type": "text/plain", ...(is1 && { connection: "close" }) });
    return response.end("too much");
  }
  if (kind === "hints" && is1) response.writeEarlyHints({ link: "</style.css>; rel=preload" });
  if (kind === "hash") {
    // Of any size: nothing is held.
    const hash = createHash("sha256");
    let length = 0;
    for await (const part of request) {
      hash.update(part);
      length += part.length;
    }
    const text = `${length} ${hash.digest("hex")}`;
    response.writeHead(200, { "content-length": text.length });
    return response.end(text);
  }
  const body = await read(request);
  if (request.headers["content-type"] === "application/grpc") {
    // An empty message, as a collector answers.
    response.writeHead(200, { "content-type": "application/grpc" });
    response.write(Buffer.alloc(5));
    response.addTrailers({ "grpc-status": "0" });
    return response.end();
  }
  switch (kind) {
    case "status": {
      const status = Number(argument);
      const isBare = status === 204 || status === 304 || status === 205;
      response.writeHead(status, { "x-status": argument });
      return response.end(isBare ? undefined : `status ${argument}`);
    }
    case "size":
      response.writeHead(200, { "content-type": "application/octet-stream", "content-length": argument });
      return request.method === "HEAD" ? response.end() : pour(response, Number(argument));
    case "stream":
      response.writeHead(200, { "content-type": "application/octet-stream" });
      return pour(response, Number(argument));
    case "closing":
      if (is1) {
        response.useChunkedEncodingByDefault = false;
        response.shouldKeepAlive = false;
      }
      response.writeHead(200, { "content-type": "application/octet-stream" });
      return pour(response, Number(argument));
    case "headers":
      response.writeHead(200, HEADERS[argument]);
      return response.end("headers");
    case "encoded":
      response.writeHead(200, { "content-type": "text/plain", "content-encoding": argument });
      return response.end(ENCODINGS[argument](TEXT));
    case "trailers":
      response.writeHead(200, is1 ? { trailer: "x-checksum, x-second" } : {});
      response.write("a body with ");
      response.write("trailers");
      response.addTrailers({ "x-checksum": "abc", "x-second": "" });
      return response.end();
    case "events":
      response.writeHead(200, { "content-type": "text/event-stream" });
      for (let event = 0; event < 5; event++) {
        response.write(`data: ${event}\n\n`);
        await new Promise((soon) => setTimeout(soon, 5));
      }
      return response.end();
    default: {
      const json = JSON.stringify(seen(request, body));
      response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(json) });
      return response.end(json);
    }
  }
}

function guarded(request, response) {
  answer(request, response).catch(() => response.destroy?.());
}

const [port, version, certificate, key] = process.argv.slice(2);
const options = { keepAliveTimeout: 60000, maxHeaderSize: 65536, settings: { maxHeaderListSize: 65536 }, allowHTTP1: true };
const tls = certificate && { cert: readFileSync(certificate), key: readFileSync(key) };
const create = version === "2" ? (tls ? http2.createSecureServer : http2.createServer) : (tls ? https : http).createServer;
const server = create({ ...options, ...tls }, guarded);
server.on("checkContinue", (request, response) => {
  response.writeContinue();
  guarded(request, response);
});
server.listen(Number(port), "127.0.0.1");
