// Carries requests to the engine in a worker of this page: see site/worker.js.

export const offline = "offline.site";

const worker = new Worker("worker.js");
const waiting = new Map(); // functions that take answers, by the number of the request
const ears = [];
let last = 0;
let broken; // why the worker answers nothing any more

worker.addEventListener("message", ({ data }) => {
  if (data.failed !== undefined) return fail(data.failed);
  if (data.kind) return ears.forEach((on) => on[data.kind]?.(JSON.parse(data.text)));
  waiting.get(data.id)(new Response(data.content, { status: data.status }));
  waiting.delete(data.id);
});
worker.addEventListener("error", (e) => fail(e.message || "worker.js"));

// fail answers everything with what happened to the worker.
function fail(message) {
  broken = JSON.stringify({ error: message });
  for (const answer of waiting.values()) answer(refusal());
  waiting.clear();
  for (const on of ears) on.lost(message);
}

const refusal = () => new Response(broken, { status: 500 });

// request answers as fetch does.
export async function request(path, { body } = {}) {
  const bytes = new Uint8Array(await new Response(body).arrayBuffer()); // a text, bytes or a file
  if (broken) return refusal();
  const id = ++last;
  return new Promise((answer) => {
    waiting.set(id, answer);
    worker.postMessage({ id, path, bytes }, [bytes.buffer]);
  });
}

// follow calls on.KIND with the data of each event of the training.
export function follow(on) {
  ears.push(on);
  on.hello({});
}
