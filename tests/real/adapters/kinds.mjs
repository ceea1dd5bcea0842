// Calls of every kind by grpc-js, as kinds.py: kinds.mjs MODULES PROTO serve PORT [CERT KEY], kinds.mjs MODULES PROTO call PORT [CA].

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [modules, proto, what, port, ...tls] = process.argv.slice(2);
const load = createRequire(`${modules}/`);
const grpc = load("@grpc/grpc-js");
const { kinds } = grpc.loadPackageDefinition(load("@grpc/proto-loader").loadSync(proto, { keepCase: true, defaults: true }));
const { Kinds } = kinds.v1;

const UNLIMITED = { "grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1 };
const OF_TRANSPORT = new Set([
  "user-agent", "traceparent", "tracestate", "x-twinread", "x-twinread-hop", "content-length", "grpc-accept-encoding", "accept-encoding", "date",
]);
const BLOB = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));

const bytesOf = (size) => Buffer.alloc(size, "twinread call ");
const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

function shown(metadata) {
  if (!metadata) return null;
  const pairs = [];
  for (const name of Object.keys(metadata.getMap())) {
    if (OF_TRANSPORT.has(name)) continue;
    for (const value of metadata.get(name)) pairs.push([name, Buffer.isBuffer(value) ? value.toString("hex") : value]);
  }
  return pairs.sort();
}

function metadataOf(pairs) {
  const metadata = new grpc.Metadata();
  for (const [name, value] of pairs) metadata.add(name, value);
  return metadata;
}

const trailers = () => metadataOf([["x-reason", "a"], ["x-reason", "b"], ["x-blob-bin", BLOB]]);
const failure = (code) => ({ code, details: "not so: 100 % \u00fcber\nall", metadata: trailers() });

// The server.

let givenUp = 0;

// The copy of a read is given up as well.
function countGivenUp(call) {
  if (!call.metadata.get("x-twinread").length) call.on("cancelled", () => (givenUp += 1));
}

function begin(call) {
  call.sendMetadata(metadataOf([["x-initial", "1"], ["x-initial-bin", Buffer.from([0, 255])]]));
}

const SERVICE = {
  Unary(call, done) {
    const { what, count, payload } = call.request;
    if (what === "fail") return done(failure(count));
    if (what === "wait") return countGivenUp(call);
    begin(call);
    if (what === "seen") return done(null, { text: JSON.stringify(shown(call.metadata)) }, trailers());
    if (what === "sized" || what === "gzip") return done(null, { payload: bytesOf(count) }, trailers());
    done(null, { text: what, count, payload }, trailers());
  },
  async Down(call) {
    const { what, count, payload } = call.request;
    begin(call);
    for (let index = 0; index < count; index++) {
      if (!call.write({ text: what, count: index, payload })) await new Promise((taken) => call.once("drain", taken));
    }
    if (what === "fail") return call.emit("error", failure(10));
    if (what === "wait") return countGivenUp(call);
    call.end(trailers());
  },
  Up(call, done) {
    const hash = createHash("sha256");
    let count = 0;
    let isOver = false;
    const end = (error) => {
      if (isOver) return;
      isOver = true;
      if (error) return done(error);
      begin(call);
      done(null, { text: hash.digest("hex"), count }, trailers());
    };
    call.on("data", ({ what, payload }) => {
      if (isOver) return;
      hash.update(payload);
      count += 1;
      if (what === "fail") end(failure(9));
      if (what === "early") end();
    });
    call.on("end", () => end());
    call.on("error", () => {});
  },
  Both(call) {
    let count = 0;
    let isOver = false;
    call.on("data", ({ what, payload }) => {
      if (isOver) return;
      if (!count) begin(call);
      call.write({ text: what, count: count++, payload });
      isOver = what === "fail" || what === "early";
      if (what === "fail") call.emit("error", failure(8));
      if (what === "early") call.end(trailers());
    });
    call.on("end", () => isOver || call.end(trailers()));
    call.on("error", () => {});
  },
  GivenUp(_, done) {
    done(null, { count: givenUp });
  },
};

function serve() {
  const server = new grpc.Server(UNLIMITED);
  server.addService(Kinds.service, SERVICE);
  const files = tls.map((file) => readFileSync(file));
  const credentials = tls.length
    ? grpc.ServerCredentials.createSsl(null, [{ cert_chain: files[0], private_key: files[1] }])
    : grpc.ServerCredentials.createInsecure();
  server.bindAsync(`127.0.0.1:${port}`, credentials, (error) => {
    if (error) throw error;
  });
}

// The client.

// One line: what came, and how it ended. `send` sends what streams.
function report(name, client, method, asked, { metadata = new grpc.Metadata(), seconds = 30, send, met } = {}) {
  return new Promise((resolve) => {
    const came = [];
    let initial = null;
    // The client or the server may be the first to notice a deadline.
    const isRace = name.startsWith("a deadline");
    const options = { deadline: Date.now() + seconds * 1000 };
    const took = ({ text, count, payload }) => came.push([text, count, payload.length, sha256(payload)]);
    const { requestStream, responseStream } = Kinds.service[method];
    const answered = responseStream ? [] : [(_, message) => message && took(message)];
    const call = client[method](...(requestStream ? [] : [asked]), metadata, options, ...answered);
    call.on("metadata", (metadata) => (initial = shown(metadata)));
    call.on("data", (message) => {
      took(message);
      met?.(call, came.length);
    });
    call.on("error", () => {});
    call.on("status", ({ code, details, metadata }) => {
      const shorter = came.length > 5 ? [came.length, sha256(JSON.stringify(came))] : came;
      const line = () => JSON.stringify([name, code, ...(isRace ? [] : [details, shorter, initial, shown(metadata)])]);
      // The callback with the one message comes last.
      setImmediate(() => resolve(console.log(line())));
    });
    send?.(call);
  });
}

const all = (message, count) => async (call) => {
  for (let index = 0; index < count; index++) {
    if (!call.write(message)) await new Promise((taken) => call.once("drain", taken));
  }
  call.end();
};
const first = (message) => (call) => call.write(message);

function count(client) {
  return new Promise((resolve, reject) => client.GivenUp({}, (error, said) => (error ? reject(error) : resolve(said.count))));
}

async function seenGivenUp(name, client, giveUp) {
  const before = await count(client);
  await giveUp();
  const deadline = Date.now() + 10_000;
  let after;
  while ((after = await count(client)) === before && Date.now() < deadline) await new Promise((soon) => setTimeout(soon, 20));
  console.log(JSON.stringify([name, "the server saw given up", after - before]));
}

async function call() {
  const credentials = tls.length ? grpc.credentials.createSsl(readFileSync(tls[0])) : grpc.credentials.createInsecure();
  const client = new Kinds(`127.0.0.1:${port}`, credentials, UNLIMITED);
  const gzip = new Kinds(`127.0.0.1:${port}`, credentials, { ...UNLIMITED, "grpc.default_compression_algorithm": 2 });
  await report("unary", client, "Unary", { what: "echo", count: 7, payload: Buffer.from([0, 255]) });
  await report("nothing", client, "Unary", {});
  const sent = [["x-text", "a"], ["x-text", "b, c"], ["x-blob-bin", BLOB], ["x-empty", ""], ["cookie", "a=1; b=2"]];
  await report("metadata", client, "Unary", { what: "seen" }, { metadata: metadataOf(sent) });
  for (let code = 1; code <= 16; code++) await report(`status ${code}`, client, "Unary", { what: "fail", count: code });
  for (const size of [1, 16_378, 65_536, 1 << 20, 5 << 20]) {
    await report(`an answer of ${size} bytes`, client, "Unary", { what: "sized", count: size });
    await report(`a request of ${size} bytes`, client, "Unary", { payload: bytesOf(size) });
    await report(`gzip, ${size} bytes`, gzip, "Unary", { what: "gzip", count: size, payload: bytesOf(size) });
  }
  for (const times of [0, 1, 3, 1000]) {
    const asked = { what: "down", count: times, payload: bytesOf(2000) };
    await report(`down ${times}`, client, "Down", asked);
    await report(`both ${times}`, client, "Both", null, { send: all(asked, times) });
    await report(`up ${times}`, client, "Up", null, { send: all(asked, times) });
  }
  await report("down, then a failure", client, "Down", { what: "fail", count: 3 });
  await report("up, then a failure", client, "Up", null, { send: first({ what: "fail" }) });
  await report("up, answered early", client, "Up", null, { send: first({ what: "early", payload: Buffer.from("a") }) });
  await report("both, then a failure", client, "Both", null, { send: first({ what: "fail" }) });
  await report("both, ended early", client, "Both", null, { send: first({ what: "early" }) });
  const step = (call, index) => (index < 50 ? call.write({ what: "step", payload: bytesOf(index * 100) }) : call.end());
  await report("both in lockstep", client, "Both", null, { send: (call) => step(call, 0), met: step });
  await seenGivenUp("a deadline", client, () => report("a deadline", client, "Unary", { what: "wait" }, { seconds: 0.3 }));
  await seenGivenUp("a deadline of a stream", client, () => report("a deadline", client, "Down", { what: "wait", count: 2 }, { seconds: 0.5 }));
  await seenGivenUp("cancelled", client, () => report("cancelled", client, "Down", { what: "wait", count: 1 }, { met: (call) => call.cancel() }));
  client.close();
  gzip.close();
}

await { serve, call }[what]();
