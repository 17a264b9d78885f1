// The training that runs: how far it is, how fast, and the orders that it takes.

import { element, labelled, shown } from "../dom.js";
import { bytes, count, duration, number, percent, text } from "../text.js";
import { over } from "./phase.js";

// LivePanel shows app.state and gives orders.
export class LivePanel {
  constructor(app) {
    this.app = app;
  }

  build() {
    this.phase = element("p", { className: "phase", id: "phase", "aria-live": "polite" });
    this.bar = element("progress", { max: 1, value: 0, "aria-label": text("live.progress") });
    this.numbers = element("dl", { className: "numbers" });
    this.notes = element("ul", { className: "notes" });
    this.buttons = element("p", { className: "buttons" }, ...["pause", "continue", "save", "stop"].map((action) =>
      element("button", { type: "button", id: `order-${action}`, onclick: () => this.order({ action }) }, text(`live.${action}`))));
    this.factor = element("input", { type: "number", id: "factor", min: "0", step: "any", value: "1", required: true });
    this.rate = element("form", { className: "rate", onsubmit: (e) => {
      e.preventDefault();
      this.order({ action: "rate", factor: Number(this.factor.value) });
    } }, labelled(text("live.factor"), this.factor), element("button", { type: "submit", id: "order-rate" }, text("live.rate")));
    this.changes = element("p", { className: "hint", id: "rate-changes" });
    this.root = element("section", { className: "panel", "aria-labelledby": "live-title" },
      element("h2", { id: "live-title" }, text("live")), this.phase, this.bar, this.numbers, this.buttons, this.rate, this.changes, this.notes);
    return this.root;
  }

  order(order) {
    this.app.guarded(() => this.app.engine.order(order));
  }

  // lose says that the engine doesn't answer, and why if that is known.
  lose(reason) {
    const { state, choices, shell } = this.app;
    if (state && over(state) && !choices.can_start) return; // the program has ended with its training
    shell.complain(reason ?? text(shell.engine.offline));
  }

  show() {
    if (!this.root) return;
    const s = this.app.state;
    const ended = over(s);
    for (const part of [this.bar, this.numbers, this.changes]) part.hidden = !s || !s.steps;
    for (const part of [this.buttons, this.rate]) part.hidden = ended;
    if (!s) {
      this.phase.textContent = text(this.app.choices.can_start ? "live.none" : "live.waiting");
      return;
    }
    this.root.dataset.phase = s.phase;
    const where = s.phase === "evaluating" ? ` (${s.evaluation_done} / ${s.evaluation_total})` : "";
    say(this.phase, `${s.run}: ${text(`phase.${s.phase}`)}${where}${s.problem ? ": " + s.problem : ""}`);
    this.bar.max = s.steps || 1;
    this.bar.value = s.step;
    this.showNumbers(s);
    for (const [action, off] of Object.entries({
      pause: s.phase === "preparing" || s.phase === "paused", continue: s.phase !== "paused", save: s.phase === "preparing" || s.phase === "paused", stop: false,
    })) document.getElementById(`order-${action}`)?.toggleAttribute("disabled", off);
    this.rate.hidden = ended || !s.can_steer;
    this.changes.textContent = (s.rate_changes ?? []).map((c) => text("live.change", { step: c.step, factor: number(c.factor) })).join(" · ");
    this.notes.replaceChildren(...(s.notes ?? []).map((n) => element("li", {}, n)));
  }

  showNumbers(s) {
    const rows = {
      step: [s.step, `${count(s.step)} / ${count(s.steps)}`],
      epoch: [s.epoch, `${(s.step / s.steps_per_epoch || 0).toFixed(2)} / ${number(s.epochs)}`],
      loss: [s.loss, number(s.loss)],
      accuracy: [s.accuracy, percent(s.accuracy)],
      lr: [s.learning_rate, number(s.learning_rate)],
      speed: [s.images_per_second, count(s.images_per_second)],
      left: [s.seconds_left, over(s) ? "–" : duration(s.seconds_left)],
      saved: [s.saved_step, s.saved_step < 0 ? "–" : count(s.saved_step)],
      device: [s.device, `${s.device} (${s.precision})`],
      memory: [s.memory_bytes, bytes(s.memory_bytes)],
    };
    this.numbers.replaceChildren(...Object.entries(rows).map(([key, [value, words]]) =>
      element("div", {}, element("dt", {}, text(`live.${key}`)), shown("dd", value, words, { id: `live-${key}` }))));
  }
}

// say changes a text that is read aloud only if it is another one.
function say(e, words) {
  if (e.textContent !== words) e.textContent = words;
}
