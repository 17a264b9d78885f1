// The page: a picture, the network at work on it, and where each number comes from.

import { Refused, Session, networks, samples } from "./api.js";
import { Attention } from "./attention.js";
import { element, labelled, shown } from "./dom.js";
import { Explainer } from "./explain.js";
import { Answer, Layers } from "./layers.js";
import { Pad, picture } from "./pad.js";
import { firstLanguage, keep, languages, number, text, useLanguage } from "./text.js";

const samplesShown = 12;

class App {
  constructor(list) {
    this.list = list;
    this.live = element("p", { className: "visually-hidden", "aria-live": "polite" });
    this.message = element("p", { className: "message", role: "status" });
    this.say = (words) => (this.live.textContent = words);
    this.label = 0;
    this.from = 0;
  }

  // open shows a network.
  async open(network) {
    this.network = network;
    this.session = await Session.open(network.name);
    this.places = this.session.places;
    this.pass = this.back = null;
    this.steps = 0;
    this.question = this.found = null;
    this.label = this.from = 0;
    this.pad = new Pad(network.height, network.width, network.channels, () => this.frame());
    this.build();
    await this.loadSamples();
    if (this.found) this.choose(this.found[0]);
    else await this.frame();
  }

  // choose shows a test picture, and takes its class as the label.
  choose(sample) {
    this.label = sample.label;
    this.labels.value = String(sample.label);
    this.pad.set(sample.pixels);
  }

  // build makes the page in the present language. Pixels, passes and the session stay.
  build() {
    this.explainer = new Explainer(this);
    this.layers = new Layers(this);
    this.answer = new Answer(this.network.classes);
    this.attention = new Attention(this);
    this.answer.root.append(this.attention.root);
    const left = element("div", { className: "left" }, this.inputPanel(), this.answer.root, this.backwardPanel(), this.stepPanel());
    const main = element("main", {}, left, this.layers.root, this.explainer.root);
    document.body.replaceChildren(this.header(), this.message, main, this.live);
    this.refresh();
    if (this.pass) this.guarded(() => this.attention.show());
    if (this.question) this.ask(this.question);
  }

  header() {
    const network = element("select", { id: "network", onchange: (e) => this.guarded(() => this.open(this.list[e.target.selectedIndex])) },
      ...this.list.map((n) => element("option", { selected: n === this.network }, `${n.name} (${text(n.trained ? "trained" : "untrained")})`)));
    const language = element("select", { id: "language", onchange: (e) => {
      keep.set("language", e.target.value);
      useLanguage(e.target.value);
      const old = this.pad;
      this.pad = new Pad(old.height, old.width, old.channels, () => this.frame());
      this.pad.pixels = old.pixels;
      this.pad.render();
      this.build();
      document.getElementById("language").focus();
    } }, ...Object.entries(languages).map(([key, name]) => element("option", { value: key, selected: key === document.documentElement.lang, lang: key }, name)));
    const theme = element("select", { id: "theme", onchange: (e) => {
      keep.set("theme", e.target.value);
      useTheme(e.target.value);
      this.layers.render();
    } }, ...["auto", "light", "dark"].map((key) => element("option", { value: key, selected: key === document.documentElement.dataset.theme }, text(`theme.${key}`))));
    return element("header", {}, element("h1", {}, "trainer", element("small", {}, ` ${text("title")}`)),
      labelled(text("network"), network), labelled(text("language"), language), labelled(text("theme"), theme));
  }

  inputPanel() {
    const file = element("input", { type: "file", accept: "image/*", className: "visually-hidden", id: "file", onchange: () => {
      if (file.files[0]) this.take(file.files[0]);
      file.value = "";
    } });
    const drop = element("div", { className: "drop", ondragover: (e) => e.preventDefault(), ondrop: (e) => {
      e.preventDefault();
      if (e.dataTransfer.files[0]) this.take(e.dataTransfer.files[0]);
    } }, this.pad.canvas);
    this.strip = element("div", { className: "strip" });
    const more = element("button", { type: "button", onclick: () => {
      this.from += samplesShown;
      this.guarded(() => this.loadSamples());
    } }, text("samples.next"));
    this.sampleBox = element("div", { hidden: true }, element("h3", {}, text("samples")), this.strip, more);
    return element("section", { className: "panel", "aria-labelledby": "input-title" },
      element("h2", { id: "input-title" }, text("input")), drop, element("p", { className: "hint" }, text("pad.hint")),
      element("p", { className: "buttons" },
        element("button", { type: "button", id: "clear", onclick: () => this.pad.clear() }, text("clear")),
        element("label", { className: "button", for: "file" }, text("file")), file,
        element("button", { type: "button", id: "download", onclick: () => this.download() }, text("download"))),
      this.sampleBox);
  }

  // take gives the network a picture file, which the server resizes as for predictions.
  take(file) {
    this.guarded(async () => this.pad.set(await this.session.picture(file)));
  }

  // download saves the network's pixels as a picture.
  download() {
    this.pad.cursor = null;
    this.pad.render();
    this.pad.canvas.toBlob((blob) => {
      const link = element("a", { href: URL.createObjectURL(blob), download: "picture.png" });
      link.click();
      URL.revokeObjectURL(link.href);
    });
  }

  async loadSamples() {
    if (!this.network.samples) return;
    let found;
    try {
      found = await samples(this.network.name, this.from, samplesShown);
    } catch (e) {
      if (e instanceof Refused && e.status === 404) {
        this.network.samples = false; // not on this machine
        return;
      }
      throw e;
    }
    if (this.from + samplesShown >= found.total) this.from = -samplesShown;
    this.found = found.pictures;
    this.showSamples();
  }

  showSamples() {
    if (!this.found) return;
    const { height, width, channels, classes } = this.network;
    this.strip.replaceChildren(...this.found.map((s) => {
      const canvas = element("canvas", { width, height });
      canvas.getContext("2d").putImageData(picture(s.pixels, height, width, channels), 0, 0);
      const name = text("sample", { n: s.number, class: classes[s.label] });
      return element("button", { type: "button", className: "sample", "aria-label": name, title: name, onclick: () => this.choose(s) }, canvas);
    }));
    this.sampleBox.hidden = false;
  }

  backwardPanel() {
    this.labels = element("select", { id: "label", onchange: (e) => {
      this.label = Number(e.target.value);
      this.frame();
    } }, ...this.network.classes.map((name, k) => element("option", { value: String(k), selected: k === this.label }, name)));
    this.wanted = element("input", { type: "checkbox", id: "gradients", checked: Boolean(this.back), onchange: () => this.frame() });
    this.loss = element("p", { className: "loss" });
    return element("section", { className: "panel", "aria-labelledby": "backward-title" },
      element("h2", { id: "backward-title" }, text("backward")), element("p", { className: "hint" }, text("backward.hint")),
      labelled(text("label"), this.labels),
      element("span", { className: "labelled" }, this.wanted, element("label", { for: "gradients" }, text("backward.show"))), this.loss);
  }

  stepPanel() {
    this.rule = element("select", { id: "rule" }, ...this.session.rules.map((r) => element("option", {}, r)));
    this.rate = element("input", { type: "number", id: "rate", min: "0", step: "any", value: "0.1" });
    this.stepButton = element("button", { type: "button", id: "step", onclick: () => this.guarded(() => this.step()) }, text("step.do"));
    this.undoButton = element("button", { type: "button", id: "undo", onclick: () => this.guarded(() => this.undo()) }, text("undo"));
    this.steps ??= 0;
    this.changes = element("div", { "aria-live": "polite" });
    this.stepBox = element("section", { className: "panel", "aria-labelledby": "step-title" },
      element("h2", { id: "step-title" }, text("step")), element("p", { className: "hint" }, text("step.hint")),
      labelled(text("rule"), this.rule), labelled(text("rate"), this.rate),
      element("p", { className: "buttons" }, this.stepButton, this.undoButton), this.changes);
    return this.stepBox;
  }

  // frame computes the present picture. While a frame is under way, the next one waits for the last change only.
  async frame() {
    if (this.framing) {
      this.again = true;
      return;
    }
    this.framing = true;
    try {
      await this.guarded(() => this.frames());
    } finally {
      this.framing = false;
    }
  }

  // frames computes the present picture until it doesn't change any more.
  async frames() {
    do {
      this.again = false;
      const begin = performance.now();
      const session = this.session;
      const pass = await session.forward(this.pad.pixels);
      const back = this.wanted.checked ? await session.backward(this.label) : null;
      if (session !== this.session) { // another network was opened meanwhile
        this.again = true;
        continue;
      }
      this.pass = pass;
      this.back = back;
      this.refresh();
      await this.attention.show();
      await this.askAgain();
      document.body.dataset.frame = (performance.now() - begin).toFixed(1);
    } while (this.again);
  }

  // refresh shows what was computed last.
  refresh() {
    if (!this.pass) return;
    this.layers.show(this.pass);
    this.layers.showGradients(this.back);
    this.answer.show(this.pass.answer);
    this.loss.replaceChildren();
    if (this.back) this.loss.append(`${text("loss")} = `, shown("output", this.back.loss, number(this.back.loss), { id: "loss" }));
    this.stepBox.hidden = !this.back;
    this.undoButton.disabled = this.steps === 0;
    this.showSamples();
  }

  // ask shows where a number comes from.
  async ask(question) {
    this.question = question;
    await this.guarded(() => this.askAgain());
    this.explainer.root.scrollTop = 0;
  }

  // askAgain repeats the question for the present picture.
  async askAgain() {
    const q = this.question;
    if (!q) return;
    if (q.of !== "value" && !this.back) {
      this.question = null;
      this.explainer.clear();
      this.layers.mark(null);
      return;
    }
    try {
      const answer = await this.session.explain(q);
      if (q !== this.question) return;
      this.explainer.show(answer);
      this.layers.mark(answer);
      this.say(`${answer.name}[${answer.at.join(",")}] = ${number(answer.engine)}`);
    } catch (e) {
      if (!(e instanceof Refused) || e.status === 410) throw e;
      this.explainer.refused(e.message);
      this.layers.mark(null);
    }
  }

  async step() {
    const { pass, back, step } = await this.session.step(this.rule.value, Number(this.rate.value));
    this.pass = pass;
    this.back = back;
    this.steps = step.number;
    this.refresh();
    this.showChanges(step);
    await this.changed();
  }

  async undo() {
    const { pass, back } = await this.session.undo();
    this.pass = pass;
    this.back = back;
    this.steps--;
    this.refresh();
    this.changes.replaceChildren(element("p", {}, text("step.number", { n: this.steps })));
    await this.changed();
  }

  // changed shows what depends on the weights.
  async changed() {
    this.layers.refreshWeights();
    await this.attention.show();
    await this.askAgain();
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

  // guarded calls f, and shows its error.
  async guarded(f) {
    try {
      const result = await f();
      this.message.textContent = "";
      return result;
    } catch (e) {
      if (e instanceof Refused && e.status === 410) {
        await this.reopen();
        return undefined;
      }
      if (!(e instanceof Refused) && !(e instanceof TypeError && /fetch|network/i.test(e.message))) throw e;
      this.message.textContent = e instanceof Refused ? e.message : text("offline");
      return undefined;
    }
  }

  // reopen makes a new session after the server closed the old one.
  async reopen() {
    try {
      await this.session.reopen();
    } catch {
      this.message.textContent = text("offline");
      return;
    }
    this.steps = 0;
    this.framing = false;
    await this.frame();
    this.message.textContent = text("closed");
  }
}

function useTheme(name) {
  document.documentElement.dataset.theme = ["light", "dark"].includes(name) ? name : "auto";
}

async function begin() {
  useTheme(keep.get("theme"));
  useLanguage(firstLanguage());
  const list = await networks();
  const app = new App(list);
  await app.open(list[0]);
  let waiting = 0;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => app.layers.render(), 100);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => app.layers.render());
  document.body.dataset.ready = "true";
}

begin().catch((e) => document.body.replaceChildren(element("p", { className: "error", role: "alert" }, e instanceof Refused ? e.message : text("offline"))));
