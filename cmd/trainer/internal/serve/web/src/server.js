// The engine of the page, behind requests. The module "connection" carries them: connection/server.js to trainer serve, or
// connection/worker.js to the engine in the browser itself (make site). Tensors arrive as bytes: see reply.go.

import * as connection from "connection";

// Refused is an answer that says why there is none.
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

// Unreachable is no answer at all. offline is the name of the text about it.
export class Unreachable extends Error {}

export const { offline } = connection;

// unreachable makes an error of fetch, whose message each browser words otherwise, an Unreachable.
function unreachable(e) {
  throw new Unreachable(e.message);
}

// request returns an answer, or throws Refused or Unreachable.
async function request(path, options) {
  const response = await connection.request(path, options).catch(unreachable);
  if (response.ok) return new Response(await response.arrayBuffer().catch(unreachable));
  let message = `${response.status} ${response.statusText}`;
  try {
    message = (await response.json()).error ?? message;
  } catch {
    // The status says enough.
  }
  throw new Refused(response.status, message);
}

const post = (path, body) => request(path, { method: "POST", body });
const postJSON = (path, value) => post(path, JSON.stringify(value));

// bytesOf returns the bytes of a text in base64, as JSON has them.
export const bytesOf = (base64) => Uint8Array.from(atob(base64 ?? ""), (c) => c.charCodeAt(0));

export const networks = async () => (await request("api/networks")).json();

export async function samples(network, from, count) {
  const list = await (await request(`api/networks/${encodeURIComponent(network)}/samples?from=${from}&count=${count}`)).json();
  const bytes = bytesOf(list.pixels);
  const size = bytes.length / Math.max(1, list.labels.length);
  return { total: list.total, pictures: list.labels.map((label, i) => ({ label, number: from + i, pixels: bytes.slice(i * size, (i + 1) * size) })) };
}

// file returns a text that belongs to the page.
export async function file(path) {
  const response = await fetch(path).catch(unreachable);
  if (!response.ok) throw new Refused(response.status, `${path}: ${response.status} ${response.statusText}`);
  return response.text().catch(unreachable);
}

// tensors returns the arrays of an answer, and what belongs to them.
async function tensors(response) {
  const bytes = await (await response).arrayBuffer();
  const length = new DataView(bytes).getUint32(0, true);
  const { lengths, info } = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, length)));
  let at = 4 + length;
  const arrays = lengths.map((n) => {
    const array = new Float32Array(bytes, at, n);
    at += 4 * n;
    return array;
  });
  return { arrays, info };
}

let pending = 0;

// count adds to the number of requests of sessions that are under way, which the page's data-busy has.
function count(more) {
  pending += more;
  document.body.dataset.busy = String(pending);
}

// Session is a network with weights of its own. Its requests run one after the other, because each is about the state
// that the one before left.
export class Session {
  static async open(network) {
    const s = new Session();
    s.network = network;
    s.last = Promise.resolve();
    await s.reopen();
    return s;
  }

  async reopen() {
    const opened = await (await postJSON("api/sessions", { network: this.network })).json();
    this.id = opened.id;
    this.places = opened.places;
    this.rules = opened.rules;
  }

  // run calls f when the requests before it are done.
  run(f) {
    count(1);
    const result = this.last.then(f);
    this.last = result.catch(() => {}).then(() => setTimeout(() => count(-1)));
    return result;
  }

  path(action) {
    return `api/sessions/${this.id}/${action}`;
  }

  // pass takes the values of the places from the front of arrays.
  pass(arrays, info) {
    return { values: arrays.slice(0, this.places.length), answer: info.answer };
  }

  gradients(arrays, info) {
    const places = this.places.length;
    const weights = Object.fromEntries(info.weights.map((name, i) => [name, arrays[places + i]]));
    return { values: arrays.slice(0, places), weights, loss: info.loss, label: info.label };
  }

  // passes returns the forward pass of a picture and, for a label, the backward pass: back is null without. No step comes between them.
  passes(pixels, label) {
    return this.run(async () => {
      const forward = await tensors(post(this.path("forward"), pixels));
      const pass = this.pass(forward.arrays, forward.info);
      if (label === undefined) return { pass, back: null };
      const backward = await tensors(postJSON(this.path("backward"), { label }));
      return { pass, back: this.gradients(backward.arrays, backward.info) };
    });
  }

  // both returns the passes after a step or an undo.
  both(action, body) {
    return this.run(async () => {
      const { arrays, info } = await tensors(postJSON(this.path(action), body));
      return { pass: this.pass(arrays, info), back: this.gradients(arrays.slice(this.places.length), info), step: info.step };
    });
  }

  step(rule, lr) {
    return this.both("step", { rule, lr });
  }

  undo() {
    return this.both("undo", {});
  }

  explain(question) {
    return this.run(async () => (await postJSON(this.path("explain"), question)).json());
  }

  weights(tensor) {
    return this.run(async () => (await tensors(postJSON(this.path("weights"), { tensor }))).arrays[0]);
  }

  check(tensor, index) {
    return this.run(async () => (await postJSON(this.path("check"), { tensor, index })).json());
  }

  attention(kind, label) {
    return this.run(async () => {
      const { arrays, info } = await tensors(postJSON(this.path("attention"), { kind, class: label }));
      return { ...info, values: arrays[0] };
    });
  }

  maximum(place, channel) {
    return this.run(async () => {
      const { arrays, info } = await tensors(postJSON(this.path("maximum"), { place, channel }));
      return { ...info, pixels: bytesOf(info.pixels), values: arrays[0] };
    });
  }

  // features adds pictures to the map of features, and returns the whole map so far.
  features(from, count) {
    return this.run(async () => {
      const { arrays, info } = await tensors(postJSON(this.path("features"), { from, count }));
      return { ...info, x: arrays[0], y: arrays[1] };
    });
  }

  // featureValues returns the features of the pictures on the map, [pictures, width].
  featureValues() {
    return this.run(async () => {
      const { arrays, info } = await tensors(postJSON(this.path("feature-values"), {}));
      return { values: arrays[0], width: info.width };
    });
  }

  async picture(file) {
    return new Uint8Array(await (await post(this.path("picture"), file)).arrayBuffer());
  }
}

const get = async (path) => (await request(path)).json();
const tell = async (path, value) => (await postJSON(path, value)).json();
const ofRun = (name, action = "") => `api/runs/${encodeURIComponent(name)}${action && "/" + action}`;

// histogramsOf returns the histograms of an answer: those after the last epoch, and those after the first.
async function histogramsOf(response) {
  const { arrays, info } = await tensors(response);
  const last = info.last ?? [];
  const withCounts = (list, from) => list.map((h, i) => ({ ...h, counts: arrays[from + i] }));
  return { last: withCounts(last, 0), first: withCounts(info.first ?? [], last.length) };
}

// training is what the Train part asks for. choices is null for an engine that can't train.
export const training = {
  async choices() {
    try {
      return await get("api/train/choices");
    } catch (e) {
      if (e instanceof Refused && e.status === 404) return null;
      throw e;
    }
  },
  recipe: async (name) => (await get(`api/train/recipes/${encodeURIComponent(name)}`)).recipe,
  check: async (recipe) => (await tell("api/train/check", { recipe })).mistakes,
  preview: (plan) => tell("api/train/preview", plan),
  start: async (plan) => (await tell("api/train/start", plan)).run,
  runs: () => get("api/runs"),
  run: (name) => get(ofRun(name)),
  learn: (name) => tell(ofRun(name, "learn"), {}),
  resume: (name) => tell(ofRun(name, "resume"), {}),
  rename: (name, to) => tell(ofRun(name, "rename"), { name: to }),
  remove: (name) => tell(ofRun(name, "delete"), {}),
  current: () => get("api/training"),
  order: (order) => tell("api/training/order", order),
  answers: () => get("api/training/answers"),

  histograms: () => histogramsOf(request("api/training/histograms")),
  runHistograms: (name) => histogramsOf(request(ofRun(name, "histograms"))),

  // follow calls on.KIND with the data of each event: hello when the events begin or begin again, then state, steps and
  // epoch, and lost when the engine doesn't answer, with the reason if it is known.
  follow: (on) => connection.follow(on),
};
