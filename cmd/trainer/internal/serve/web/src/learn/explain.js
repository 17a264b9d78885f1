// The panel that says where a number comes from.

import { element, shown } from "../dom.js";
import { number, shape, text } from "../text.js";
import { Maximum } from "./maximum.js";

// margin is the space round a number, in pixels, that is kept in view.
const margin = 24;

// Explainer shows the answers to questions. app has session, places, back, layers, slow, say, guarded, ask(question) and forget().
export class Explainer {
  constructor(app) {
    this.app = app;
    this.root = element("section", { className: "panel explain", "aria-labelledby": "explain-title", onkeydown: (e) => e.key === "Escape" && this.app.forget() });
    this.clear();
  }

  clear() {
    this.answer = null;
    this.root.dataset.empty = "";
    delete this.root.dataset.question;
    delete this.root.dataset.size;
    this.fill(this.head(element("p", { className: "hint" }, text("explain.hint"))));
  }

  // refused says why there is no answer.
  refused(message) {
    this.answer = null;
    delete this.root.dataset.empty;
    this.fill(this.head(element("p", { className: "error" }, message), this.buttons()));
    this.app.say(message);
  }

  head(...parts) {
    return element("div", { className: "head" }, element("h2", { id: "explain-title", tabIndex: -1 }, text("explain")), ...parts);
  }

  // buttons make the sheet of a narrow window larger, and take the explanation away.
  buttons() {
    const label = () => text(this.root.dataset.size === "large" ? "explain.smaller" : "explain.larger");
    const size = element("button", { type: "button", id: "explain-size", onclick: () => {
      this.root.dataset.size = this.root.dataset.size === "large" ? "small" : "large";
      size.textContent = label();
      this.reveal();
    } }, label());
    return element("p", { className: "buttons" }, size, element("button", { type: "button", id: "explain-close", onclick: () => this.app.forget() }, text("explain.close")));
  }

  // fill replaces what the panel shows. The keyboard stays in it.
  fill(...parts) {
    const focused = this.root.contains(document.activeElement) && document.activeElement;
    this.root.replaceChildren(...parts);
    if (focused) (document.getElementById(focused.id || "explain-title") ?? document.getElementById("explain-title"))?.focus({ preventScroll: true });
  }

  // reveal scrolls the page until the number that is explained is in view, and not under the explanation.
  reveal() {
    const spot = this.answer && this.app.layers.spot(this.answer);
    if (!spot) return;
    const sheet = this.root.getBoundingClientRect();
    const covers = sheet.left < spot.right && spot.left < sheet.right;
    const bottom = covers ? Math.min(innerHeight, sheet.top) : innerHeight;
    const top = this.app.slow.bottom();
    if (spot.top - margin < top || spot.bottom + margin > bottom) scrollBy(0, (spot.top + spot.bottom - top - bottom) / 2);
  }

  show(answer) {
    this.answer = answer;
    const a = answer;
    delete this.root.dataset.empty;
    this.root.dataset.question = JSON.stringify({ of: a.of, place: a.place, tensor: a.tensor, index: a.index });
    this.fill(
      this.head(element("p", { className: "asked" },
        element("strong", { id: "asked-name" }, `${a.name}[${a.at.join(",")}]`), " ", text(`explain.${a.of}`), " = ",
        shown("output", a.engine, number(a.engine), { id: "asked-value" })), this.buttons()),
      this.others(),
      this.maximumOf(a),
      this.lines(a),
      a.of === "weight-gradient" ? this.check(a) : "",
      this.terms(a),
      this.facts(a),
      element("p", { className: "note" }, a.winner ? text("explain.winner", { at: this.nameOf(a.winner) }) : "", a.note ? " " + text(`note.${a.note.kind}`, a.note) : ""),
    );
  }

  // maximumOf offers what maximises the channel of a number, and keeps what was found for the same channel.
  maximumOf(a) {
    if (a.of === "weight-gradient" || ["input", "softmax", "loss"].includes(this.app.places[a.place].kind)) return "";
    const channel = a.at.at(-1);
    if (!this.maximum?.of(a.place, channel)) this.maximum = new Maximum(this.app, a.place, channel);
    return this.maximum.root;
  }

  // others are the questions about the same place of the network.
  others() {
    const a = this.answer;
    const links = element("p", { className: "others" });
    if (a.of === "value" && this.app.back && this.app.back.values[a.place]?.length) {
      links.append(this.button(text("explain.to-gradient"), { of: "gradient", place: a.place, index: a.index }));
    }
    if (a.of === "gradient") links.append(this.button(text("explain.to-value"), { of: "value", place: a.place, index: a.index }));
    return links;
  }

  button(label, question) {
    return element("button", { type: "button", onclick: () => this.app.ask(question) }, label);
  }

  lines(a) {
    const list = element("dl", { className: "formulas" });
    if (a.formula) list.append(element("dt", {}, text("explain.formula")), element("dd", {}, element("code", {}, a.formula)));
    if (a.numbers) list.append(element("dt", {}, text("explain.numbers")), element("dd", {}, element("code", {}, inWords(a.numbers))));
    return list;
  }

  nameOf(source) {
    return `${this.app.places[source.place].name}[${source.at.join(",")}]`;
  }

  terms(a) {
    const rows = element("tbody");
    for (const t of a.terms ?? []) rows.append(this.term(t));
    if (a.count > (a.terms ?? []).length) rows.append(row(text("explain.more", { n: a.count - a.terms.length }), a.rest));
    const foot = element("tfoot", {}, row(text("explain.sum"), a.sum));
    if (a.result !== a.sum) foot.append(row(text("explain.result"), a.result));
    foot.append(row(text("explain.engine"), a.engine, { title: text("explain.tolerance", { n: number(a.tolerance) }) }));
    return element("div", { className: "scroll terms" }, element("table", {},
      element("caption", {}, text("explain.terms")),
      element("thead", {}, element("tr", {}, ...["term", "source", "factor", "product"].map((k) => element("th", { scope: "col" }, text(`explain.${k}`))))),
      rows, foot));
  }

  term(t) {
    const name = this.nameOfTerm(t);
    // The label of a term that is no product, such as an exponential, says what it is.
    const isProduct = !t.source || Math.abs(t.source.value * t.factor - t.value) <= 1e-9 * Math.abs(t.value);
    return element("tr", {},
      element("th", { scope: "row" }, name),
      t.source ? shown("td", t.source.value, number(t.source.value)) : element("td"),
      isProduct && t.source ? shown("td", t.factor, number(t.factor)) : element("td"),
      shown("td", t.value, number(t.value)));
  }

  // nameOfTerm leads to the numbers of a term: to both, if it is the product of two.
  nameOfTerm(t) {
    const to = (label, { of, place, index }) => this.button(label, { of, place, index });
    if (!t.source) return t.label;
    if (!t.other) return to(t.label, t.source);
    const [first, second] = t.label.split(" "); // such as dy[3,4,0] x[3,4,1]
    return element("span", { className: "factors" }, to(first, t.source), " ", to(second, t.other));
  }

  facts(a) {
    const list = element("dl", { className: "facts", "aria-label": text("explain.facts") });
    for (const f of a.facts ?? []) list.append(element("dt", {}, f.name), shown("dd", f.value, number(f.value)));
    return list;
  }

  // check compares the gradient of a weight with a finite difference, when the reader asks for it.
  check(a) {
    const result = element("dl", { className: "facts", id: "check-result" });
    const run = element("button", { type: "button", id: "check", onclick: async () => {
      const c = await this.app.guarded(() => this.app.session.check(a.tensor, a.index));
      if (!c || this.answer !== a) return;
      result.replaceChildren(
        element("dt", {}, text("check.loss", { w: number(c.weight - c.step) })), shown("dd", c.low, String(c.low)),
        element("dt", {}, text("check.loss", { w: number(c.weight + c.step) })), shown("dd", c.high, String(c.high)),
        element("dt", {}, text("check.difference")), shown("dd", c.difference, number(c.difference)),
        element("dt", {}, text("check.gradient")), shown("dd", c.gradient, number(c.gradient)),
      );
    } }, text("check"));
    return element("div", {}, run, result);
  }
}

// row is a line of the table with a number in its last column.
function row(label, value, properties = {}) {
  return element("tr", {}, element("th", { scope: "row", colSpan: 3, ...properties }, label), shown("td", value, number(value)));
}

// titleOf names a place for headings.
export function titleOf(place) {
  return [element("span", { className: "name" }, place.name), " ", element("small", {}, `${place.kind} ${place.shape ? shape(place.shape) : ""}`)];
}

// inWords puts the words in a sum of numbers, "+ 13 more terms", into the reader's language.
function inWords(numbers) {
  return numbers.replace(/(\d+) more terms/, (_, n) => text("explain.left-out", { n }));
}
