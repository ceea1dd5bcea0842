// Reads pairs from stdin, a JSON line each, and prints what jsondiffpatch says of each. Its folder comes as argument.
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const { create } = await import(pathToFileURL(`${process.argv[2]}/lib/index.js`));
// By default objects in arrays match by index, at times not at all: they are to match by what they hold.
const sorted = (_, value) =>
  value && typeof value === "object" && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)))
    : value;
const engine = create({ objectHash: (value) => JSON.stringify(value, sorted) });
for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  const { old, new: other } = JSON.parse(line);
  const difference = engine.diff(JSON.parse(old), JSON.parse(other));
  console.log(JSON.stringify(difference === undefined ? "equal" : "different"));
}
