// UMAP in a worker, so that the page stays alive: it arranges many points in two dimensions such that near ones stay near (McInnes, Healy and
// Melville, "UMAP: Uniform Manifold Approximation and Projection for Dimension Reduction", 2018). The message that begins it is
//
//	{values, width, x, y}   the points [n, width], and where they lie at first: near the end result if it is their PCA
//
// and the answers are {x, y, done, total}, the last one with done = total, or {failed} with what went wrong.

import { UMAP } from "umap-js";

const neighbours = 15; // to which each point is drawn
const beat = 100; // milliseconds between two answers
const side = 10; // the largest coordinate at first, as UMAP begins by itself

// randomNumbers returns a function that returns numbers from 0 to below 1, always the same ones (Mulberry32).
function randomNumbers() {
  let state = 1;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

// begin moves the points of an arrangement to coordinates. Points in one place would stay together: they keep their own.
function begin(arrangement, x, y) {
  const largest = Math.max(...x.map(Math.abs), ...y.map(Math.abs));
  if (!(largest > 0)) return;
  arrangement.forEach((point, i) => {
    point[0] = (side * x[i]) / largest + 1e-3 * point[0];
    point[1] = (side * y[i]) / largest + 1e-3 * point[1];
  });
}

function arrange({ values, width, x, y }) {
  const points = Array.from(x, (_, i) => values.subarray(i * width, (i + 1) * width));
  const umap = new UMAP({ nNeighbors: Math.min(neighbours, points.length - 1), random: randomNumbers() });
  const total = umap.initializeFit(points);
  const arrangement = umap.getEmbedding();
  begin(arrangement, x, y);
  const tell = (done) => postMessage({ x: Float32Array.from(arrangement, (p) => p[0]), y: Float32Array.from(arrangement, (p) => p[1]), done, total });
  let told = performance.now();
  for (let done = 1; done < total; done++) {
    umap.step();
    if (performance.now() - told < beat) continue;
    tell(done);
    told = performance.now();
  }
  umap.step();
  tell(total);
}

addEventListener("message", ({ data }) => {
  try {
    arrange(data);
  } catch (e) {
    postMessage({ failed: String(e.message ?? e) });
  }
});
