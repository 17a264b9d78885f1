// Unfolding: UMAP of the map of the test pictures, by the worker of umap.js.

// Unfolding computes an arrangement of points [n, width] that begins at x and y. arranged is called with {x, y, done, total} now and then, the last
// time with done = total; ended is called once afterwards, with a message if it failed, or when stop ends it.
export class Unfolding {
  constructor(points, { arranged, ended }) {
    this.ended = ended;
    this.worker = new Worker("umap.js");
    this.worker.addEventListener("message", ({ data }) => {
      if (data.failed !== undefined) return this.end(data.failed);
      arranged(data);
      if (data.done === data.total) this.end();
    });
    this.worker.addEventListener("error", (e) => this.end(e.message || "umap.js"));
    this.worker.postMessage(points);
  }

  stop() {
    this.end();
  }

  end(failure) {
    if (!this.worker) return;
    this.worker.terminate();
    this.worker = null;
    this.ended(failure);
  }
}
