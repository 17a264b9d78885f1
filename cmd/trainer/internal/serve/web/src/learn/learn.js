// The Learn part: a picture, the network at work on it, and where each number comes from.

import { address } from "../address.js";
import { element, labelled } from "../dom.js";
import { Refused } from "../server.js";
import { number, text } from "../text.js";
import { Answer } from "./answer.js";
import { Attention } from "./attention.js";
import { BackwardPanel } from "./backward.js";
import { Explainer } from "./explain.js";
import { FeaturesPanel } from "./features.js";
import { InputPanel } from "./input.js";
import { Layers } from "./layers.js";
import { SlowMotion } from "./slow.js";
import { goTo } from "./station.js";
import { StepPanel } from "./step.js";

// patience is the time of a frame, in milliseconds, above which only its maps are shown while the picture goes on changing.
const patience = 50;

// Learn shows one of several networks.
export class Learn {
  key = "learn";

  constructor(shell, list) {
    this.shell = shell;
    this.list = list;
    this.say = shell.say;
  }

  begin() {
    return this.open(this.named(address()[1]) ?? this.list[0]);
  }

  named(name) {
    return this.list.find((n) => n.name === name);
  }

  // go shows what the parts of an address name: see station.js.
  go(parts) {
    return this.guarded(() => goTo(this, parts));
  }

  // open shows a network, with the picture start: {pixels, label}, and wrong if the answer to explain is that class. The network from before
  // stays until everything of the new one is there. If several are opened at the same time, it is the last one.
  async open(network, start) {
    const opening = (this.opening = {});
    const session = await this.shell.engine.Session.open(network.name);
    const input = new InputPanel(this, network);
    await input.loadSamples();
    if (opening !== this.opening) return;
    this.features?.stop();
    this.network = network;
    this.session = session;
    this.places = session.places;
    this.pass = this.back = this.question = null;
    this.backward = new BackwardPanel(this);
    this.stepper = new StepPanel(this);
    this.features = new FeaturesPanel(this);
    this.input = input;
    this.build();
    await this.show(start ?? this.input.found?.[0]);
  }

  // show shows a picture, if there is one.
  async show(start) {
    if (start?.wrong !== undefined) {
      this.backward.wanted = true;
      this.question = { of: "value", place: this.places.findIndex((p) => p.kind === "softmax"), index: start.wrong };
    }
    if (start) this.input.choose(start);
    await this.frame();
  }

  // add shows a network that is new, or has new weights.
  async add(network, start) {
    this.list = [...this.list.filter((n) => n.name !== network.name), network];
    await this.open(network, start);
  }

  build() {
    this.slow?.stop();
    this.attention?.stop();
    this.slow = new SlowMotion(this);
    this.explainer = new Explainer(this);
    this.layers = new Layers(this);
    this.answer = new Answer(this.network.classes);
    this.attention = new Attention(this);
    this.answer.root.append(this.attention.root);
    const left = element("div", { className: "left" }, this.networkPanel(), this.input.build(), this.answer.root, this.input.samples, this.backward.build(), this.stepper.build());
    const middle = element("div", { className: "middle" }, this.layers.root, this.features.build());
    const root = element("main", { className: "learn", ondragover: (e) => this.input.drag(e), ondrop: (e) => this.input.drop(e) }, this.slow.build(), left, middle, this.explainer.root);
    this.root?.isConnected && this.root.replaceWith(root);
    this.root = root;
    return root;
  }

  // render shows what was computed last.
  render() {
    this.features.render();
    if (!this.pass) return;
    this.refresh();
    this.layers.render();
    this.attention.render();
    if (this.question) this.guarded(() => this.askAgain());
  }

  networkPanel() {
    const choice = element("select", { id: "network", onchange: async () => {
      await this.guarded(() => this.open(this.list[choice.selectedIndex]));
      choice.selectedIndex = this.list.indexOf(this.network); // if it was refused
    } }, ...this.list.map((n) => element("option", { selected: n === this.network }, n.example ? text("example") : `${n.name} (${text(n.trained ? "trained" : "untrained")})`)));
    return element("section", { className: "panel" }, labelled(text("network"), choice), this.network.example ? element("p", { className: "hint" }, text("example.hint"), " ", element("a", { href: "#read/4-a-step-by-hand" }, text("example.read"))) : null);
  }

  // frame computes the present picture. While a frame is under way, the next one waits for the last change only.
  frame() {
    if (this.framing) this.again = true;
    else this.framing = this.guarded(() => this.frames()).finally(() => (this.framing = null));
    return this.framing;
  }

  // frames computes the present picture until it doesn't change any more.
  async frames() {
    do {
      this.again = false;
      this.slow.stop();
      const begin = performance.now();
      const session = this.session;
      const passes = await session.passes(this.input.pixels, this.backward.wanted ? this.backward.label : undefined);
      if (session !== this.session) { // another network was opened meanwhile
        this.again = true;
        continue;
      }
      const isLate = this.again && this.frameTime > patience;
      await (isLate ? this.hold(passes) : this.took(passes));
      this.frameTime = performance.now() - begin;
      document.body.dataset.frame = this.frameTime.toFixed(1);
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

  // hold keeps passes and shows them.
  hold({ pass, back }) {
    this.pass = pass;
    this.back = back;
    this.refresh();
  }

  // took shows passes, and what else depends on them.
  async took(passes) {
    this.hold(passes);
    await this.askAgain();
    this.attention.show(); // last, because it can take long
  }

  // changed shows the passes after the weights have changed.
  async changed(passes) {
    this.layers.refreshWeights();
    this.features.outdate();
    await this.took(passes);
  }

  // ask shows where a number comes from.
  async ask(question) {
    this.question = question;
    await this.guarded(() => this.askAgain());
    this.explainer.root.scrollTop = 0;
    this.explainer.reveal();
  }

  // tellOf says something in place of an explanation.
  tellOf(words) {
    this.question = null;
    this.layers.mark(null);
    this.explainer.refused(words);
  }

  // forget takes the explanation away. The keyboard goes back to the map, if it was in the explanation.
  forget() {
    const { answer, root } = this.explainer;
    const hadFocus = root.contains(document.activeElement);
    this.question = null;
    this.explainer.clear();
    this.layers.mark(null);
    if (hadFocus) (answer && this.layers.cards[answer.place]?.values.canvas)?.focus();
  }

  // askAgain repeats the question for the present picture.
  async askAgain() {
    const q = this.question;
    if (!q) return;
    if (q.of !== "value" && !this.back) {
      this.forget();
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

  // quietly is guarded for what nobody asked for at this moment.
  quietly(f) {
    return this.shell.quietly(f, () => this.reopen());
  }

  // reopen makes a new session after the engine closed the old one.
  async reopen() {
    await this.session.reopen();
    this.stepper.forget();
    this.layers.refreshWeights();
    this.features.outdate();
    this.framing = null;
    await this.frame();
    this.shell.complain(text("closed"));
  }
}
