// The engine in a worker, so that the page stays alive while it computes. It is a Go program: see
// cmd/trainer/internal/site/wasm, with which it shares the functions of the global object that are set below.

import { provide } from "./files.js";

// The files that the engine reads.
const files = ["model.safetensors", "mnist/train-images-idx3-ubyte.gz", "mnist/train-labels-idx1-ubyte.gz", "mnist/t10k-images-idx3-ubyte.gz", "mnist/t10k-labels-idx1-ubyte.gz"];

async function load(path) {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path}: ${response.status} ${response.statusText}`);
  return new Uint8Array(await response.arrayBuffer());
}

// program returns the engine. It is compressed, unless the web host has undone that.
async function program() {
  const bytes = await load("engine.wasm.gz");
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

const early = []; // messages before the engine is ready
let take = (message) => early.push(message);
addEventListener("message", (e) => take(e.data));

// What the engine calls.
globalThis.ready = () => {
  take = ({ id, path, bytes }) => globalThis.ask(id, path, bytes);
  early.forEach(take);
};
globalThis.answered = (id, status, content) => postMessage({ id, status, content }, [content.buffer]);
globalThis.told = (kind, text) => postMessage({ kind, text });
globalThis.failed = (message) => postMessage({ failed: message });

async function begin() {
  const contents = await Promise.all(files.map(async (path) => [`/site/${path}`, await load(path)]));
  provide(Object.fromEntries(contents));
  const go = new globalThis.Go();
  const { instance } = await WebAssembly.instantiate(await program(), go.importObject);
  await go.run(instance);
  globalThis.failed("the engine has ended");
}

begin().catch((e) => globalThis.failed(String(e.message ?? e)));
