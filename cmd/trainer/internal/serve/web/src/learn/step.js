// One step: the weights are updated with the present picture, and the step is taken back.

import { element, labelled, shown } from "../dom.js";
import { number, text } from "../text.js";

// StepPanel makes steps and undoes them. app has session, slow, guarded and changed().
export class StepPanel {
  constructor(app) {
    this.app = app;
    this.steps = 0;
  }

  build() {
    this.rule = element("select", { id: "rule" }, ...this.app.session.rules.map((r) => element("option", {}, r)));
    this.rate = element("input", { type: "number", id: "rate", min: "0", step: "any", value: "0.1" });
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
    return this.root;
  }

  show(back) {
    this.root.hidden = !back;
    this.undoButton.disabled = this.steps === 0;
  }

  settings() {
    return { rule: this.rule.value, rate: Number(this.rate.value) };
  }

  async step({ rule, rate }) {
    const done = await this.app.session.step(rule, rate);
    this.steps = done.step.number;
    this.last = done.step;
    this.showChanges(done.step);
    await this.app.changed(done);
  }

  async undo() {
    const done = await this.app.session.undo();
    this.steps--;
    this.changes.replaceChildren(element("p", {}, text("step.number", { n: this.steps })));
    await this.app.changed(done);
  }

  showChanges(step) {
    this.changes.replaceChildren(
      element("p", {}, text("step.number", { n: step.number })),
      element("p", { id: "losses", "data-before": String(step.loss_before), "data-after": String(step.loss_after) },
        text("step.losses", { before: number(step.loss_before), after: number(step.loss_after) })),
      element("div", { className: "scroll" }, element("table", {},
        element("thead", {}, element("tr", {}, ...["tensor", "norm", "changed"].map((k) => element("th", { scope: "col" }, text(`step.${k}`))))),
        element("tbody", {}, ...step.tensors.map((t) => element("tr", {}, element("th", { scope: "row" }, t.tensor), shown("td", t.norm, number(t.norm)), shown("td", t.changed, number(t.changed))))))));
  }
}
