// The network, layer by layer: a card for each place with its values, its gradients and its weights.

import { element } from "../dom.js";
import { titleOf } from "./explain.js";
import { TensorMap } from "./maps.js";
import { sectionLink } from "../read/read.js";
import { shape, text } from "../text.js";

// Card shows a place of the network.
class Card {
  constructor(app, index) {
    this.app = app;
    this.index = index;
    this.place = app.places[index];
    this.root = element("section", { className: "card", id: `place-${index}`, "data-depth": String(Math.min(4, this.place.depth)) });
    this.heading = element("h3", {}, ...titleOf(this.place));
    this.root.append(this.heading, sectionLink(this.place.kind) ?? "");
    this.readsLine();
    if (this.place.formula?.forward) this.root.append(element("p", { className: "formula" }, element("code", {}, this.place.formula.forward)));
    this.maps = element("div", { className: "maps" });
    this.root.append(this.maps);
    this.values = this.map(text("values"), this.place.shape, (i) => app.ask({ of: "value", place: index, index: i }));
    this.gradients = null;
    this.tensors = new Map();
    for (const t of this.place.tensors ?? []) this.root.append(this.tensor(t));
  }

  // readsLine names the inputs of a layer that doesn't read the place before it.
  readsLine() {
    const inputs = this.place.inputs ?? [];
    if (inputs.length === 0 || (inputs.length === 1 && inputs[0] === this.index - 1)) return;
    this.root.append(element("p", { className: "reads" }, text("reads", { names: inputs.map((i) => this.app.places[i].name).join(", ") })));
  }

  map(what, dimensions, chosen, name = this.place.name, into = this.maps) {
    const map = new TensorMap({ name, what, dimensions, chosen, say: this.app.say });
    into.append(element("div", { className: "map-of" }, map.figure));
    return map;
  }

  show(values) {
    this.values.show(values);
  }

  // showGradients adds or removes the map of gradients.
  showGradients(values) {
    if (!values?.length) {
      this.gradients?.figure.parentElement.remove();
      this.gradients = null;
      return;
    }
    this.gradients ??= this.map(text("gradients"), this.place.shape, (i) => this.app.ask({ of: "gradient", place: this.index, index: i }));
    this.gradients.show(values);
  }

  // tensor is a parameter that opens to show its values, and its gradient if there is one.
  tensor(t) {
    const inside = element("div", { className: "maps" });
    const details = element("details", { className: "tensor" }, element("summary", {}, `${t.name} ${shape(t.shape)}`), inside);
    const maps = { inside, tensor: t, details };
    this.tensors.set(t.name, maps);
    details.addEventListener("toggle", () => {
      maps.open = details.open;
      this.refresh(t.name);
    });
    return details;
  }

  // open shows a tensor.
  async open(name) {
    const m = this.tensors.get(name);
    m.details.open = m.open = true;
    await this.refresh(name);
  }

  // refresh fetches the weights of a tensor that is open.
  async refresh(name) {
    const m = this.tensors.get(name);
    if (!m.open) return;
    const values = await this.app.guarded(() => this.app.session.weights(name));
    if (!values) return;
    m.weights ??= this.map(text("weights"), m.tensor.shape, (i) => this.askWeight(m.tensor, i), name, m.inside);
    m.weights.show(values);
    this.showWeightGradient(name);
  }

  showWeightGradient(name) {
    const m = this.tensors.get(name);
    const values = this.app.back?.weights[name];
    if (!m.open || !values) {
      m.gradients?.figure.parentElement.remove();
      m.gradients = null;
      return;
    }
    m.gradients ??= this.map(text("gradients"), m.tensor.shape, (i) => this.askWeight(m.tensor, i), name, m.inside);
    m.gradients.show(values);
  }

  // askWeight explains the gradient of a weight, for which there must be gradients.
  async askWeight(tensor, index) {
    if (!tensor.trained) {
      this.app.tellOf(text("weights.fixed", { name: tensor.name }));
      return;
    }
    if (!this.app.back) await this.app.backward.want();
    if (this.app.back) await this.app.ask({ of: "weight-gradient", tensor: tensor.name, index });
  }

  // mark frames what an explanation is about.
  mark(answer) {
    const on = { value: [], gradient: [] };
    if (answer) {
      if (answer.of !== "weight-gradient" && answer.place === this.index) on[answer.of].push({ index: answer.index, kind: "mark" });
      if (answer.window?.place === this.index) on.value.push({ window: answer.window, kind: "mark" });
      const sources = answer.window ? [answer.winner] : (answer.terms ?? []).flatMap((t) => [t.source, t.other]).concat(answer.winner);
      for (const of of ["value", "gradient"]) on[of].push(...marksOf(sources.filter((s) => s && s.place === this.index && s.of === of)));
    }
    this.values.mark(on.value);
    this.gradients?.mark(on.gradient);
    for (const [name, m] of this.tensors) {
      const marks = answer?.of === "weight-gradient" && answer.tensor === name ? [{ index: answer.index, kind: "mark" }] : [];
      m.weights?.mark(marks);
      m.gradients?.mark(marks);
    }
  }

  render() {
    this.values.render();
    this.gradients?.render();
    for (const m of this.tensors.values()) {
      m.weights?.render();
      m.gradients?.render();
    }
  }
}

// maxMarks is the number of values that are framed one by one.
const maxMarks = 64;

// marksOf frames the numbers of a place that an explanation is about: many of an image by one frame around all of them, many of a vector not at
// all, because they would be most of it.
function marksOf(sources) {
  if (sources.length <= maxMarks) return sources.map((s) => ({ index: s.index, kind: "mark" }));
  if (sources[0].at.length !== 3) return [];
  const [top, left, channel] = [0, 1, 2].map((d) => Math.min(...sources.map((s) => s.at[d])));
  const [bottom, right, last] = [0, 1, 2].map((d) => Math.max(...sources.map((s) => s.at[d])));
  const window = { top, left, rows: bottom - top + 1, columns: right - left + 1, dilation_h: 1, dilation_w: 1, channel, channels: last - channel + 1 };
  return [{ window, kind: "mark" }];
}

// Layers are the cards of all places.
export class Layers {
  constructor(app) {
    this.app = app;
    this.cards = app.places.map((p, i) => (p.kind === "loss" ? null : new Card(app, i)));
    this.root = element("section", { className: "layers", "aria-labelledby": "layers-title" },
      element("h2", { id: "layers-title" }, text("layers")), element("p", { className: "hint" }, text("layers.hint")), ...this.cards.filter((c) => c).map((c) => c.root));
  }

  each(f) {
    this.cards.forEach((c, i) => c && f(c, i));
  }

  show(pass) {
    this.each((c, i) => c.show(pass.values[i]));
  }

  showGradients(back) {
    this.each((c, i) => {
      c.showGradients(back?.values[i]);
      for (const name of c.tensors.keys()) c.showWeightGradient(name);
    });
  }

  // refreshWeights fetches the tensors that are open, after a step.
  refreshWeights() {
    this.each((c) => {
      for (const name of c.tensors.keys()) c.refresh(name);
    });
  }

  mark(answer) {
    this.each((c) => c.mark(answer));
  }

  // spot returns where the number that a question is about is in the window, or nothing if it isn't drawn.
  spot({ of, place, tensor, index }) {
    if (of !== "weight-gradient") return this.cards[place]?.[of === "gradient" ? "gradients" : "values"]?.spot(index);
    const maps = this.cards.find((c) => c?.tensors.has(tensor))?.tensors.get(tensor);
    return (maps?.gradients ?? maps?.weights)?.spot(index);
  }

  render() {
    this.each((c) => c.render());
  }
}
