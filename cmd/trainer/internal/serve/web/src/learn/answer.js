// The answer: the probabilities of the classes.

import { element } from "../dom.js";
import { text } from "../text.js";

// maxBars is the number of classes in the answer.
const maxBars = 12;

// Answer shows the probabilities of the classes as bars.
export class Answer {
  constructor(classes) {
    this.classes = classes;
    this.list = element("ol", { className: "bars", id: "answer" });
    this.rest = element("p", { className: "hint" });
    this.root = element("section", { className: "panel", "aria-labelledby": "answer-title" }, element("h2", { id: "answer-title" }, text("answer")), this.list, this.rest);
  }

  // show lists the classes in their own order if they are few, or else the most probable ones.
  show(probabilities) {
    const order = probabilities.map((_, k) => k);
    const best = order.reduce((a, b) => (probabilities[b] > probabilities[a] ? b : a), 0);
    if (order.length > maxBars) order.sort((a, b) => probabilities[b] - probabilities[a] || a - b);
    const listed = order.slice(0, maxBars);
    while (this.list.children.length < listed.length) {
      const bar = element("span", { className: "bar" }, element("span"));
      this.list.append(element("li", {}, element("span", { className: "class" }), bar, element("span", { className: "probability" })));
    }
    listed.forEach((k, i) => {
      const item = this.list.children[i];
      const [name, bar, value] = item.children;
      item.classList.toggle("best", k === best);
      item.dataset.class = this.classes[k];
      item.dataset.value = String(probabilities[k]);
      name.textContent = this.classes[k];
      bar.firstChild.style.width = `${100 * probabilities[k]}%`;
      value.textContent = `${(100 * probabilities[k]).toFixed(2)}%`;
      value.title = String(probabilities[k]);
    });
    this.rest.textContent = order.length > listed.length ? text("answer.rest", { n: order.length - listed.length }) : "";
  }
}
