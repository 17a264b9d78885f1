// Curves of loss and accuracy, of one run or of several beside each other.

import uPlot from "uplot";
import { element, labelled } from "../dom.js";
import { keep, number, text } from "../text.js";
import { colourOf, isDark } from "../theme.js";

// pause is the time between two drawings while a training runs, in milliseconds.
const pause = 300;

// Colours that colour-blind readers can tell apart (Okabe and Ito), on light and on dark ground.
const palette = {
  light: ["#0072b2", "#d55e00", "#007a5a", "#b0508c", "#8a6d00", "#3a3a3a"],
  dark: ["#56b4e9", "#ff9248", "#2fd3a4", "#f0a0cf", "#f0e442", "#dddddd"],
};

// CurvesPanel draws app.steps and app.epochs of the training, and the records of the runs that are chosen.
export class CurvesPanel {
  constructor(app) {
    this.app = app;
    this.by = keep.get("curves") === "epoch" ? "epoch" : "step";
    this.plots = [];
  }

  build() {
    const by = element("select", { id: "curves-by", onchange: (e) => {
      this.by = e.target.value;
      keep.set("curves", this.by);
      this.render();
    } }, ...["step", "epoch"].map((k) => element("option", { value: k, selected: k === this.by }, text(`curves.${k}`))));
    this.into = element("div", { className: "curves" });
    this.root = element("section", { className: "panel", "aria-labelledby": "curves-title", hidden: true },
      element("h2", { id: "curves-title" }, text("curves")), labelled(text("curves.by"), by), this.into);
    return this.root;
  }

  // changed draws what has arrived, now and then.
  changed() {
    this.waiting ??= setTimeout(() => {
      this.waiting = undefined;
      this.render();
    }, pause);
  }

  // shownRuns returns the curves to draw: those of the training, and those of chosen runs.
  shownRuns() {
    const live = this.app.state?.run;
    const records = this.app.runs.chosen().map((r) => (r.name === live ? merged(r, this.app) : r));
    if (live && !records.some((r) => r.name === live) && (this.app.steps.length > 0 || this.app.epochs.length > 0)) {
      records.unshift({ name: live, steps: this.app.steps, epoch_metrics: this.app.epochs });
    }
    return records;
  }

  render() {
    if (!this.root?.isConnected) return;
    const runs = this.shownRuns();
    this.root.hidden = runs.length === 0;
    for (const p of this.plots) p.destroy();
    this.plots = [];
    if (this.root.hidden) return;
    const figures = ["loss", "accuracy"].map((what) => element("figure", { className: "curve", id: `curve-${what}`, "data-runs": String(runs.length) }, element("figcaption", {}, text(`curves.${what}`))));
    this.into.replaceChildren(...figures);
    this.plots = ["loss", "accuracy"].flatMap((what, i) => this.plot(what, runs, figures[i]));
  }

  plot(what, runs, figure) {
    const colours = palette[isDark() ? "dark" : "light"];
    const series = [{ label: text(`curves.${this.by}`) }];
    const tables = [];
    runs.forEach((run, k) => {
      const line = (label, points, properties) => {
        if (points.length === 0) return;
        series.push({ label: `${run.name}: ${label}`, stroke: colours[k % colours.length], spanGaps: true, value: (_, v) => (v == null ? "–" : number(v)), ...properties });
        tables.push([points.map((p) => p[0]), points.map((p) => p[1])]);
      };
      const { train, tested } = this.lines(what, run);
      line(text("curves.train"), train, { width: 1, points: { show: this.by === "epoch" } });
      line(text("curves.tested"), tested, { width: 2, dash: [6, 4], points: { show: true, size: 6 } });
    });
    figure.setAttribute("role", "img");
    figure.setAttribute("aria-label", `${text(`curves.${what}`)}: ${runs.map((r) => r.name).join(", ")}`);
    if (tables.length === 0) return []; // not even a point yet
    const axis = { stroke: colourOf("--soft"), grid: { stroke: colourOf("--line"), width: 1 }, ticks: { stroke: colourOf("--line"), width: 1 } };
    const width = Math.max(200, figure.clientWidth);
    return new uPlot({ width, height: Math.min(280, Math.max(180, width / 2)), scales: { x: { time: false } }, series, axes: [{ ...axis }, { ...axis, size: 60 }], cursor: { y: false } }, uPlot.join(tables), figure);
  }

  // lines returns the points of a run: of the training images, and of the validation or test images.
  lines(what, run) {
    const x = (m) => (this.by === "step" ? m.step : m.epoch);
    const epochs = run.epoch_metrics ?? [];
    const tested = epochs.flatMap((m) => {
      if (m.val_count > 0) return [[x(m), m[`val_${what}`]]];
      return m.evaluated ? [[x(m), m[`test_${what}`]]] : [];
    });
    const train = (this.by === "step" ? run.steps ?? [] : epochs).map((m) => [x(m), m[`train_${what}`]]);
    return { train, tested };
  }
}

// merged returns a run's record with what the training has done since.
function merged(record, live) {
  const add = (old, list, key) => [...old.filter((m) => list.length === 0 || m[key] < list[0][key]), ...list];
  return { ...record, steps: add(record.steps ?? [], live.steps, "step"), epoch_metrics: add(record.epoch_metrics ?? [], live.epochs, "epoch") };
}
