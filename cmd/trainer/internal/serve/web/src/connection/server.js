// Carries requests to trainer serve.

// pause is the time until the events are asked for again after a refusal, in milliseconds. After a connection that breaks, browsers ask again themselves.
const pause = 5000;

export const offline = "offline";

// request answers as fetch does.
export const request = (path, options) => fetch(path, options);

// follow calls on.KIND with the data of each event of the training.
export function follow(on) {
  const source = new EventSource("api/training/events");
  for (const kind of ["hello", "state", "steps", "epoch"]) source.addEventListener(kind, (e) => on[kind](JSON.parse(e.data)));
  source.addEventListener("error", () => {
    on.lost();
    if (source.readyState === EventSource.CLOSED) setTimeout(() => follow(on), pause);
  });
}
