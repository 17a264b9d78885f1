// The backward pass: the label, and the loss.

import { element, labelled, shown } from "../dom.js";
import { number, text } from "../text.js";

// BackwardPanel says whether gradients are wanted, and for which label. app has network, back and frame().
export class BackwardPanel {
  constructor(app) {
    this.app = app;
    this.label = 0;
    this.wanted = false;
  }

  build() {
    this.labels = element("select", { id: "label", onchange: (e) => {
      this.label = Number(e.target.value);
      this.app.frame();
    } }, ...this.app.network.classes.map((name, k) => element("option", { value: String(k), selected: k === this.label }, name)));
    this.box = element("input", { type: "checkbox", id: "gradients", checked: this.wanted, onchange: () => {
      this.wanted = this.box.checked;
      this.app.frame();
    } });
    this.loss = element("p", { className: "loss" });
    return element("section", { className: "panel", "aria-labelledby": "backward-title" },
      element("h2", { id: "backward-title" }, text("backward")), element("p", { className: "hint" }, text("backward.hint")),
      labelled(text("label"), this.labels),
      element("span", { className: "labelled" }, this.box, element("label", { for: "gradients" }, text("backward.show"))), this.loss);
  }

  // want computes gradients.
  async want() {
    this.wanted = this.box.checked = true;
    await this.app.frame();
  }

  // choose sets the label. The caller computes a frame.
  choose(label) {
    this.label = label;
    this.labels.value = String(label);
  }

  show(back) {
    this.box.checked = this.wanted;
    this.loss.replaceChildren();
    if (back) this.loss.append(`${text("loss")} = `, shown("output", back.loss, number(back.loss), { id: "loss" }));
  }
}
