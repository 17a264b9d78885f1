// Curves of loss and accuracy, of one run or of several beside each other.

import uPlot from "uplot";
import { element, labelled } from "../dom.js";
import { count, keep, number, text } from "../text.js";
import { colourOf, isDark } from "../theme.js";

// pause is the time between two drawings while a training runs, in milliseconds.
const pause = 300;

// Colours that colour-blind readers can tell apart (Okabe and Ito), on light and on dark ground.
const palette = {
  light: ["#0072b2", "#d55e00", "#007a5a", "#b0508c", "#8a6d00", "#3a3a3a"],
  dark: ["#56b4e9", "#ff9248", "#2fd3a4", "#f0a0cf", "#f0e442", "#dddddd"],
};

const kinds = ["loss", "accuracy"];

// CurvesPanel draws app.steps and app.epochs of the training, and the records of the runs that are chosen.
export class CurvesPanel {
  constructor(app) {
    this.app = app;
    this.by = keep.get("curves") === "epoch" ? "epoch" : "step";
    this.plots = [];
    this.looks = ""; // what the plots look like, except for their points
  }

  build() {
    const by = element("select", { id: "curves-by", onchange: (e) => {
      this.by = e.target.value;
      keep.set("curves", this.by);
      this.render();
    } }, ...["step", "epoch"].map((k) => element("option", { value: k, selected: k === this.by }, text(`curves.${k}`))));
    this.into = element("div", { className: "curves" });
    this.looks = "";
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

  // render draws the curves. What the reader has zoomed into or hidden stays while only points are added.
  render() {
    if (!this.root?.isConnected) return;
    const runs = this.shownRuns();
    this.root.hidden = runs.length === 0;
    const charts = kinds.map((what) => ({ what, curves: this.curves(what, runs) }));
    const looks = JSON.stringify([runs.length, this.by, document.documentElement.lang, isDark(), this.into.clientWidth, charts.map((c) => c.curves.map((k) => k.label))]);
    const drawn = charts.filter((c) => c.curves.length > 0); // the others have not even a point yet
    if (looks === this.looks) drawn.forEach(({ curves }, i) => update(this.plots[i], tableOf(curves)));
    else this.begin(charts, runs.length);
    this.looks = looks;
    for (const { what, curves } of charts) {
      const last = curves.map((k) => `${k.label} ${read(k.points.at(-1)[1])}`);
      document.getElementById(`curve-${what}`).setAttribute("aria-label", `${text(`curves.${what}`)}: ${last.join(", ")}`);
    }
  }

  // begin makes the charts anew.
  begin(charts, runs) {
    const zooms = this.plots.map((p) => (isZoomed(p) && p.series[0].label === text(`curves.${this.by}`) ? p.scales.x : null));
    for (const p of this.plots) p.destroy();
    const figures = charts.map(({ what }) => element("figure", { className: "curve", id: `curve-${what}`, role: "img", "data-runs": String(runs) }, element("figcaption", {}, text(`curves.${what}`))));
    this.into.replaceChildren(...figures);
    this.plots = charts.flatMap(({ curves }, i) => (curves.length > 0 ? this.plot(curves, figures[i]) : []));
    this.plots.forEach((p, i) => zooms[i] && p.setScale("x", { min: zooms[i].min, max: zooms[i].max }));
  }

  // curves returns what a chart shows: {label, points, stroke and so on} of each curve.
  curves(what, runs) {
    const colours = palette[isDark() ? "dark" : "light"];
    return runs.flatMap((run, k) => {
      const { train, tested } = this.lines(what, run);
      const stroke = colours[k % colours.length];
      return [
        { label: `${run.name}: ${text("curves.train")}`, points: train, stroke, width: 1, dots: { show: this.by === "epoch" } },
        { label: `${run.name}: ${text("curves.tested")}`, points: tested, stroke, width: 2, dash: [6, 4], dots: { show: true, size: 6 } },
      ].filter((c) => c.points.length > 0);
    });
  }

  plot(curves, figure) {
    const series = curves.map(({ label, stroke, width, dash, dots }) => ({ label, stroke, width, dash, points: dots, spanGaps: true, value: (_, v) => read(v) }));
    const axis = {
      stroke: colourOf("--soft"), grid: { stroke: colourOf("--line"), width: 1 }, ticks: { stroke: colourOf("--line"), width: 1 },
      values: (_, ticks) => ticks.map((v) => (Number.isInteger(v) ? count(v) : number(v))),
    };
    const width = Math.max(200, figure.clientWidth);
    const plot = new uPlot({
      width, height: Math.min(280, Math.max(180, width / 2)), scales: { x: { time: false } }, cursor: { y: false },
      series: [{ label: text(`curves.${this.by}`) }, ...series], axes: [{ ...axis }, { ...axis, size: 60 }],
    }, tableOf(curves), figure);
    figure.plot = plot; // for tests and for the console
    return plot;
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

// read returns a number of a curve, which may be missing.
const read = (v) => (v == null ? "–" : number(v));

// tableOf returns the points of curves as uPlot takes them.
const tableOf = (curves) => uPlot.join(curves.map(({ points }) => [points.map((p) => p[0]), points.map((p) => p[1])]));

// isZoomed reports whether the reader has chosen a part of a plot.
function isZoomed(plot) {
  const [x] = plot.data;
  const { min, max } = plot.scales.x;
  return min > x[0] || max < x.at(-1);
}

// update shows other points. A part that the reader has chosen stays.
const update = (plot, table) => plot.setData(table, !isZoomed(plot));

// merged returns a run's record with what the training has done since.
function merged(record, live) {
  const add = (old, list, key) => [...old.filter((m) => list.length === 0 || m[key] < list[0][key]), ...list];
  return { ...record, steps: add(record.steps ?? [], live.steps, "step"), epoch_metrics: add(record.epoch_metrics ?? [], live.epochs, "epoch") };
}
