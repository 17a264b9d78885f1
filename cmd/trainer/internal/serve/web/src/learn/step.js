// One step: the weights are updated with the present picture, and the step is taken back.

import { element, labelled, shown } from "../dom.js";
import { number, text } from "../text.js";

// StepPanel makes steps and undoes them. app has session, slow, guarded and changed().
export class StepPanel {
  constructor(app) {
    this.app = app;
    this.steps = 0;
    this.last = null; // the last step, unless it was taken back
    this.chosen = { rule: app.session.rules[0], rate: "0.1" };
  }

  build() {
    this.rule = element("select", { id: "rule", onchange: () => (this.chosen.rule = this.rule.value) },
      ...this.app.session.rules.map((r) => element("option", { selected: r === this.chosen.rule }, r)));
    this.rate = element("input", { type: "number", id: "rate", min: "0", step: "any", value: this.chosen.rate, oninput: () => (this.chosen.rate = this.rate.value) });
    const button = (id, f, words) => element("button", { type: "button", id, onclick: () => {
      this.app.slow.stop();
      this.app.guarded(f);
    } }, words);
    this.undoButton = button("undo", () => this.undo(), text("undo"));
    this.changes = element("div", { "aria-live": "polite" });
    this.root = element("section", { className: "panel", "aria-labelledby": "step-title" },
      element("h2", { id: "step-title" }, text("step")), element("p", { className: "hint" }, text("step.hint")),
      labelled(text("rule"), this.rule), labelled(text("rate"), this.rate),
      element("p", { className: "buttons" },
        button("step", () => this.step(this.settings()), text("step.do")), this.undoButton,
        button("slow", () => this.app.slow.start(this.settings()), text("slow"))), this.changes);
    this.showChanges();
    return this.root;
  }

  // forget says that the weights are the first ones again.
  forget() {
    this.steps = 0;
    this.last = null;
    this.showChanges();
  }

  show(back) {
    this.root.hidden = !back;
    this.undoButton.disabled = this.steps === 0;
  }

  settings() {
    return { rule: this.chosen.rule, rate: Number(this.chosen.rate) };
  }

  async step({ rule, rate }) {
    const done = await this.app.session.step(rule, rate);
    this.steps = done.step.number;
    this.last = done.step;
    this.showChanges();
    await this.app.changed(done);
  }

  async undo() {
    const done = await this.app.session.undo();
    this.steps--;
    this.last = null;
    this.showChanges();
    await this.app.changed(done);
  }

  showChanges() {
    const step = this.last;
    this.changes.replaceChildren(element("p", { id: "steps" }, text("step.number", { n: this.steps })));
    if (!step) return;
    this.changes.append(
      element("p", { id: "losses", "data-before": String(step.loss_before), "data-after": String(step.loss_after) },
        text("step.losses", { before: number(step.loss_before), after: number(step.loss_after) })),
      element("div", { className: "scroll" }, element("table", {},
        element("thead", {}, element("tr", {}, ...["tensor", "norm", "changed"].map((k) => element("th", { scope: "col" }, text(`step.${k}`))))),
        element("tbody", {}, ...step.tensors.map((t) => element("tr", {}, element("th", { scope: "row" }, t.tensor), shown("td", t.norm, number(t.norm)), shown("td", t.changed, number(t.changed))))))));
  }
}
