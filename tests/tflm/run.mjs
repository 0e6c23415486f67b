// node run.mjs tflm.js: TensorFlow Lite Micro's generic benchmark (WebAssembly), on rows of ours.
//
// Reads JSON lines {"model": base64, "own": [base64 of each input], "rows": [[base64 of each input]],
// "sizes": [bytes of each output]} and answers each with a line: for every row {"lines": [what it
// printed], "places": [of each input], "outputs": [hex]}.
//
// The benchmark fills its inputs itself and prints checksums only. So its memory is looked at: before
// the first operator runs, an input lies where its `own` known bytes are, and is overwritten with the
// row once its own checksum is printed; at the end an output lies where bytes have the CRC it printed.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const factory = createRequire(import.meta.url)(process.argv[2]);
const ALIGNMENT = 16; // the arena and its tensors start on 16 bytes
const NEAR = 1 << 16; // most outputs lie not far behind the input

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1;
  return n;
});
const zeroByte = (state) => TABLE[state & 255] ^ (state >>> 8);

// state -> state after n zero bytes, which is linear: one table for each of the state's four bytes
function afterZeros(n) {
  const basis = Array.from({ length: 32 }, (_, bit) => {
    let state = (1 << bit) >>> 0;
    for (let i = 0; i < n; i++) state = zeroByte(state);
    return state;
  });
  const tables = [0, 8, 16, 24].map((low) =>
    Uint32Array.from({ length: 256 }, (_, value) => {
      let state = 0;
      for (let bit = 0; bit < 8; bit++) if (value & (1 << bit)) state ^= basis[low + bit];
      return state;
    }),
  );
  return (s) =>
    tables[0][s & 255] ^ tables[1][(s >>> 8) & 255] ^ tables[2][(s >>> 16) & 255] ^ tables[3][s >>> 24];
}

// The places where `length` bytes have the wanted CRC: a window's CRC follows from the CRC states
// before and after it.
function withCrc(states, length, wanted) {
  const shift = afterZeros(length);
  const target = (wanted ^ 0xffffffff ^ shift(0xffffffff)) >>> 0;
  for (let at = 0; at + length < states.length; at += ALIGNMENT)
    if ((states[at + length] ^ shift(states[at])) >>> 0 === target) return at;
  return -1;
}

function crcStates(bytes) {
  const states = new Uint32Array(bytes.length + 1);
  for (let i = 0; i < bytes.length; i++)
    states[i + 1] = TABLE[(states[i] ^ bytes[i]) & 255] ^ (states[i] >>> 8);
  return states;
}

function outputsIn(bytes, sizes, crcs) {
  const states = crcStates(bytes);
  return crcs.map((crc, i) => {
    const at = withCrc(states, sizes[i], crc);
    return at < 0 ? null : bytes.toString("hex", at, at + sizes[i]);
  });
}

// One compilation serves all rows; the instance is kept for its memory.
let compiled, instance;
const compile = WebAssembly.compile.bind(WebAssembly);
const instantiate = WebAssembly.instantiate.bind(WebAssembly);
WebAssembly.instantiate = async (binary, imports) => {
  compiled ??= await compile(binary);
  instance = await instantiate(compiled, imports);
  return { module: compiled, instance };
};

function memory() {
  const exports = Object.values(instance.exports);
  return Buffer.from(exports.find((e) => e instanceof WebAssembly.Memory).buffer);
}

// The one aligned place of its own input; -1 when there is none, -2 when there are more.
function inputPlace(own) {
  const places = [];
  for (let at = -1; (at = memory().indexOf(own, at + 1)) >= 0; )
    if (at % ALIGNMENT === 0) places.push(at);
  return places.length === 1 ? places[0] : places.length ? -2 : -1;
}

async function runRow(model, own, row, sizes) {
  const lines = [];
  const places = [];
  const hear = (line) => {
    lines.push(line);
    if (!line.startsWith("Input CRC32") || places.length === own.length) return;
    const input = places.length;
    places.push(inputPlace(own[input]));
    if (places[input] >= 0) memory().set(row[input], places[input]);
  };
  const module = await factory({ print: hear, printErr: hear });
  module.FS.writeFile("/model.tflite", model);
  try {
    module.callMain(["/model.tflite"]);
  } catch (error) {
    if (error.name !== "ExitStatus") lines.push(String(error));
  }
  const found = lines.map((line) => /^Output CRC32: 0x([0-9A-Fa-f]+)/.exec(line)).filter(Boolean);
  const crcs = found.slice(0, sizes.length).map((crc) => parseInt(crc[1], 16));
  const place = Math.max(places[0] ?? 0, 0);
  const near = memory().subarray(Math.max(place - NEAR, 0), place + 8 * NEAR);
  let outputs = outputsIn(near, sizes, crcs);
  if (outputs.includes(null)) outputs = outputsIn(memory(), sizes, crcs);
  return { lines, places, outputs };
}

const bytes = (text) => Buffer.from(text, "base64");

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  const said = [];
  for (const row of asked.rows)
    said.push(await runRow(bytes(asked.model), asked.own.map(bytes), row.map(bytes), asked.sizes));
  process.stdout.write(JSON.stringify(said) + "\n");
}
process.exitCode = 0; // the benchmark's own codes stand in its words
