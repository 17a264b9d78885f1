// The Learn part: a picture, the network at work on it, and where each number comes from.

import { element, labelled } from "../dom.js";
import { Refused } from "../server.js";
import { number, text } from "../text.js";
import { Answer } from "./answer.js";
import { Attention } from "./attention.js";
import { BackwardPanel } from "./backward.js";
import { Explainer } from "./explain.js";
import { InputPanel } from "./input.js";
import { Layers } from "./layers.js";
import { StepPanel } from "./step.js";

// Learn shows one of several networks.
export class Learn {
  key = "learn";

  constructor(shell, list) {
    this.shell = shell;
    this.list = list;
    this.say = shell.say;
  }

  begin() {
    return this.open(this.list[0]);
  }

  // open shows a network.
  async open(network) {
    this.network = network;
    this.session = await this.shell.engine.Session.open(network.name);
    this.places = this.session.places;
    this.pass = this.back = this.question = null;
    this.input = new InputPanel(this);
    this.backward = new BackwardPanel(this);
    this.stepper = new StepPanel(this);
    await this.input.loadSamples();
    this.build();
    if (this.input.found) this.input.choose(this.input.found[0]);
    else await this.frame();
  }

  build() {
    this.explainer = new Explainer(this);
    this.layers = new Layers(this);
    this.answer = new Answer(this.network.classes);
    this.attention = new Attention(this);
    this.answer.root.append(this.attention.root);
    const left = element("div", { className: "left" }, this.networkPanel(), this.input.build(), this.answer.root, this.backward.build(), this.stepper.build());
    const root = element("main", { className: "learn" }, left, this.layers.root, this.explainer.root);
    this.root?.isConnected && this.root.replaceWith(root);
    this.root = root;
    return root;
  }

  // render shows what was computed last.
  render() {
    if (!this.pass) return;
    this.refresh();
    this.layers.render();
    this.guarded(() => this.attention.show());
    if (this.question) this.ask(this.question);
  }

  networkPanel() {
    const choice = element("select", { id: "network", onchange: (e) => this.guarded(() => this.open(this.list[e.target.selectedIndex])) },
      ...this.list.map((n) => element("option", { selected: n === this.network }, `${n.name} (${text(n.trained ? "trained" : "untrained")})`)));
    return element("section", { className: "panel" }, labelled(text("network"), choice));
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
      const pass = await session.forward(this.input.pixels);
      const back = this.backward.wanted ? await session.backward(this.backward.label) : null;
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

  // refresh shows the last passes.
  refresh() {
    this.layers.show(this.pass);
    this.layers.showGradients(this.back);
    this.answer.show(this.pass.answer);
    this.backward.show(this.back);
    this.stepper.show(this.back);
  }

  // took shows the passes after a step or an undo, and what else depends on the weights.
  async took({ pass, back }) {
    this.pass = pass;
    this.back = back;
    this.refresh();
    this.layers.refreshWeights();
    await this.attention.show();
    await this.askAgain();
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

  // guarded calls f, shows its error, and opens the network again if the engine has closed it.
  guarded(f) {
    return this.shell.guarded(f, () => this.reopen());
  }

  // reopen makes a new session after the engine closed the old one.
  async reopen() {
    try {
      await this.session.reopen();
    } catch {
      this.shell.message.textContent = text("offline");
      return;
    }
    this.stepper.steps = 0;
    this.framing = false;
    await this.frame();
    this.shell.message.textContent = text("closed");
  }
}
