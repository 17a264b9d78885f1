// The last evaluation: which classes are taken for which, and the worst mistakes.

import { element, shown } from "../dom.js";
import { picture } from "../learn/pad.js";
import { bytesOf } from "../server.js";
import { number, percent, text } from "../text.js";

// AnswersPanel shows what the engine keeps of the last evaluation. app has engine, state, canLearn and explain(start).
export class AnswersPanel {
  constructor(app) {
    this.app = app;
    this.last = null;
  }

  async load() {
    const { run } = this.app.state;
    const last = await this.app.engine.answers();
    if (run !== this.app.state?.run) return; // another training has begun meanwhile
    this.last = last;
    this.show();
  }

  // forget shows nothing until the next evaluation.
  forget() {
    this.last = null;
    this.show();
  }

  build() {
    this.into = element("div");
    this.root = element("section", { className: "panel", "aria-labelledby": "answers-title", hidden: true },
      element("h2", { id: "answers-title" }, text("answers")), this.into);
    return this.root;
  }

  show() {
    const a = this.last;
    if (!this.root) return;
    this.root.hidden = !a;
    if (!a) return;
    const set = text(a.test ? "answers.test" : "answers.validation");
    this.into.replaceChildren(
      element("p", {}, text("answers.of", { set, epoch: a.epoch, loss: number(a.loss), accuracy: percent(a.accuracy) })),
      ...(a.confusion ? [this.confusion(a)] : []), this.mistakes(a));
  }

  // confusion is a table, one row per class, whose cells are shaded by their share of the row.
  confusion(a) {
    const row = (label, counts) => {
      const total = counts.reduce((sum, n) => sum + n, 0) || 1;
      return element("tr", {}, element("th", { scope: "row" }, a.classes[label]), ...counts.map((n, answer) => {
        const cell = shown("td", n, n ? String(n) : "·", { className: answer === label ? "right" : "wrong" });
        cell.style.setProperty("--share", String(Math.round(100 * Math.sqrt(n / total))));
        return cell;
      }));
    };
    return element("div", { className: "scroll" }, element("table", { className: "confusion", id: "confusion" },
      element("caption", {}, text("answers.confusion")),
      element("thead", {}, element("tr", {}, element("td"), ...a.classes.map((c) => element("th", { scope: "col" }, c)))),
      element("tbody", {}, ...a.confusion.map((counts, label) => row(label, counts)))));
  }

  mistakes(a) {
    const [height, width, channels] = a.shape;
    const bytes = bytesOf(a.pixels);
    const size = height * width * channels;
    return element("div", {}, element("h3", {}, text("answers.mistakes")), element("ul", { className: "mistakes", id: "mistakes" }, ...a.mistakes.map((m, i) => {
      const canvas = element("canvas", { width, height, role: "img", "aria-label": text("sample", { n: m.image, class: a.classes[m.label] }) });
      const pixels = bytes.slice(i * size, (i + 1) * size);
      canvas.getContext("2d").putImageData(picture(pixels, height, width, channels), 0, 0);
      const words = text("answers.mistake", { label: a.classes[m.label], answer: a.classes[m.answer], p: percent(m.probability) });
      const why = this.app.canLearn && element("button", { type: "button", className: "why", "aria-label": `${words}: ${text("answers.why")}`, onclick: () => this.app.explain({ pixels, label: m.label, wrong: m.answer }) }, text("answers.why"));
      return element("li", { "data-image": String(m.image) }, canvas, words, why || "");
    })));
  }
}
