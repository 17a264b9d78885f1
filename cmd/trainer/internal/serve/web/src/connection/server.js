// Carries requests to trainer serve.

// request answers as fetch does.
export const request = (path, options) => fetch(path, options);

// follow calls on.KIND with the data of each event of the training.
export function follow(on) {
  const source = new EventSource("api/training/events");
  for (const kind of ["hello", "state", "steps", "epoch"]) source.addEventListener(kind, (e) => on[kind](JSON.parse(e.data)));
  source.addEventListener("error", () => on.lost());
}
