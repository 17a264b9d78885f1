// Histograms of weights, gradients and activations by layer: those of the last epoch, and those of the first as a line.

import { element, labelled } from "../dom.js";
import { keep, number, text } from "../text.js";

const kinds = ["weights", "gradients", "activations"];
const size = { width: 220, height: 60 };

// HistogramsPanel shows what the engine counted after the last epoch. app has engine and guarded.
export class HistogramsPanel {
  constructor(app) {
    this.app = app;
    this.kind = kinds.includes(keep.get("histograms")) ? keep.get("histograms") : kinds[0];
    this.data = null;
  }

  async load() {
    this.data = await this.app.engine.histograms();
    this.show();
  }

  build() {
    const choice = element("select", { id: "histogram-kind", onchange: (e) => {
      this.kind = e.target.value;
      keep.set("histograms", this.kind);
      this.show();
    } }, ...kinds.map((k) => element("option", { value: k, selected: k === this.kind }, text(`histograms.${k}`))));
    this.into = element("div", { className: "histograms", id: "histograms" });
    this.root = element("section", { className: "panel", "aria-labelledby": "histograms-title", hidden: true },
      element("h2", { id: "histograms-title" }, text("histograms")), element("p", { className: "hint" }, text("histograms.hint")),
      labelled(text("histograms.of"), choice), this.into);
    return this.root;
  }

  show() {
    if (!this.data?.last.length || !this.root) return;
    this.root.hidden = false;
    const first = new Map(this.data.first.map((h) => [h.of + h.name, h]));
    this.into.replaceChildren(...this.data.last.filter((h) => h.of === this.kind).map((h) => histogram(h, first.get(h.of + h.name))));
  }
}

// histogram draws counts as bars, and those of the first epoch as a line over the same range.
function histogram(h, first) {
  const canvas = element("canvas", { width: 2 * size.width, height: 2 * size.height });
  const context = canvas.getContext("2d");
  const style = getComputedStyle(document.documentElement);
  const low = Math.min(h.low, first?.low ?? h.low);
  const high = Math.max(h.high, first?.high ?? h.high);
  const x = (v) => ((v - low) / (high - low || 1)) * canvas.width;
  const densities = (of) => {
    const width = (of.high - of.low) / of.counts.length || 1;
    return Array.from(of.counts, (n, i) => [of.low + i * width, width, n / width / (of.count || 1)]);
  };
  const bars = densities(h);
  const line = first ? densities(first) : [];
  const most = Math.max(...bars.map((b) => b[2]), ...line.map((b) => b[2]), 1e-30);
  const y = (d) => canvas.height - Math.sqrt(d / most) * (canvas.height - 4);
  context.fillStyle = style.getPropertyValue("--accent");
  for (const [at, width, d] of bars) context.fillRect(x(at), y(d), Math.max(1, x(at + width) - x(at) - 1), canvas.height - y(d));
  context.strokeStyle = style.getPropertyValue("--mark");
  context.lineWidth = 2;
  context.beginPath();
  for (const [at, width, d] of line) context.lineTo(x(at + width / 2), y(d));
  context.stroke();
  const words = text("histograms.numbers", { mean: number(h.mean), std: number(h.std), low: number(h.low), high: number(h.high) }) + (h.not_finite ? ` ${text("histograms.broken", { n: h.not_finite })}` : "");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `${h.name}: ${words}`);
  return element("figure", { className: "histogram", "data-name": h.name }, element("h3", {}, h.name), canvas, element("figcaption", {}, words));
}
