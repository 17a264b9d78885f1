// Histograms of weights, gradients and activations by layer: those of the last epoch, and those of the first as a line.

import { element, labelled } from "../dom.js";
import { keep, number, text } from "../text.js";
import { colourOf } from "../theme.js";

const kinds = ["weights", "gradients", "activations"];
const size = { width: 220, height: 60 };

// HistogramsPanel shows what the engine counted after the last epoch of the training, and of the runs that are chosen. app has engine, state and
// runs.
export class HistogramsPanel {
  constructor(app) {
    this.app = app;
    this.kind = kinds.includes(keep.get("histograms")) ? keep.get("histograms") : kinds[0];
    this.live = null; // {run, last, first} of the training
  }

  async load() {
    const { run } = this.app.state;
    const counted = await this.app.engine.histograms();
    if (run !== this.app.state?.run) return; // another training has begun meanwhile
    this.live = { run, ...counted };
    this.show();
  }

  build() {
    const choice = element("select", { id: "histogram-kind", onchange: (e) => {
      this.kind = e.target.value;
      keep.set("histograms", this.kind);
      this.show();
    } }, ...kinds.map((k) => element("option", { value: k, selected: k === this.kind }, text(`histograms.${k}`))));
    this.missing = element("p", { className: "hint", id: "histograms-missing" });
    this.into = element("div", { id: "histograms" });
    this.root = element("section", { className: "panel", "aria-labelledby": "histograms-title", hidden: true },
      element("h2", { id: "histograms-title" }, text("histograms")), element("p", { className: "hint" }, text("histograms.hint")),
      labelled(text("histograms.of"), choice), this.missing, this.into);
    return this.root;
  }

  // shown returns the runs to show: the training, unless it has counted nothing yet, and those that are chosen.
  shown() {
    const run = this.app.state?.run;
    const live = this.live?.run === run && this.live?.last.length ? [this.live] : [];
    const chosen = this.app.runs.chosen().map((r) => ({ run: r.name, ...r.histograms })).filter((r) => r.run !== live[0]?.run);
    return [...live, ...chosen];
  }

  // show draws the histograms, those of several runs side by side and over the same range.
  show() {
    if (!this.root) return;
    const runs = this.shown();
    this.root.hidden = runs.length === 0;
    const layers = new Map(); // by name: what each run has of it
    const without = [];
    for (const { run, last, first } of runs) {
      const of = (last ?? []).filter((h) => h.of === this.kind);
      if (of.length === 0) without.push(run);
      for (const h of of) {
        const before = first.find((f) => f.of === h.of && f.name === h.name);
        if (!layers.has(h.name)) layers.set(h.name, []);
        layers.get(h.name).push({ h, before, run });
      }
    }
    this.missing.textContent = without.map((run) => text("histograms.missing", { run })).join(" ");
    const isSeveral = runs.length > 1;
    const figures = [...layers.values()].map((list) => {
      const all = list.flatMap(({ h, before }) => (before ? [h, before] : [h]));
      const range = { low: Math.min(...all.map((h) => h.low)), high: Math.max(...all.map((h) => h.high)) };
      return list.map(({ h, before, run }) => histogram(h, before, range, isSeveral ? run : ""));
    });
    this.into.replaceChildren(...(isSeveral ? figures : [figures.flat()]).map((list) => element("div", { className: "histograms" }, ...list)));
  }
}

// histogram draws counts as bars over a range, and those of the first epoch, if they are known, as a line.
function histogram(h, first, { low, high }, run) {
  const canvas = element("canvas", { width: 2 * size.width, height: 2 * size.height });
  const context = canvas.getContext("2d");
  const x = (v) => ((v - low) / (high - low || 1)) * canvas.width;
  const densities = (of) => {
    const width = (of.high - of.low) / of.counts.length || 1;
    return Array.from(of.counts, (n, i) => [of.low + i * width, width, n / width / (of.count || 1)]);
  };
  const bars = densities(h);
  const line = first ? densities(first) : [];
  const most = Math.max(...bars.map((b) => b[2]), ...line.map((b) => b[2]), 1e-30);
  const y = (d) => canvas.height - Math.sqrt(d / most) * (canvas.height - 4);
  context.fillStyle = colourOf("--accent");
  for (const [at, width, d] of bars) context.fillRect(x(at), y(d), Math.max(1, x(at + width) - x(at) - 1), canvas.height - y(d));
  context.strokeStyle = colourOf("--mark");
  context.lineWidth = 2;
  context.beginPath();
  for (const [at, width, d] of line) context.lineTo(x(at + width / 2), y(d));
  context.stroke();
  const words = text("histograms.numbers", { mean: number(h.mean), std: number(h.std), low: number(h.low), high: number(h.high) }) + (h.not_finite ? ` ${text("histograms.broken", { n: h.not_finite })}` : "");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `${h.name}${run && ", " + run}: ${words}`);
  return element("figure", { className: "histogram", "data-name": h.name, "data-of": run }, element("h3", {}, h.name, run && element("small", {}, ` ${run}`)), canvas, element("figcaption", {}, words));
}
