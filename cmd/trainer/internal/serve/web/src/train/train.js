// The Train part: begin a training, watch and steer it, and compare runs.

import { element } from "../dom.js";
import { AnswersPanel } from "./answers.js";
import { CurvesPanel } from "./curves.js";
import { HistogramsPanel } from "./histograms.js";
import { LivePanel } from "./live.js";
import { over } from "./phase.js";
import { PlanPanel } from "./plan.js";
import { RunsPanel } from "./runs.js";

// Train holds the panels. state is that of the training that runs, or of the last one; null before the first.
export class Train {
  key = "train";

  constructor(shell, choices) {
    this.shell = shell;
    this.choices = choices;
    this.engine = shell.engine.training;
    this.state = null;
    this.steps = [];
    this.epochs = [];
    this.live = new LivePanel(this);
    this.plan = choices.can_start ? new PlanPanel(this) : null;
    this.runs = new RunsPanel(this);
    this.curves = new CurvesPanel(this);
    this.answers = new AnswersPanel(this);
    this.histograms = new HistogramsPanel(this);
  }

  async begin() {
    await this.plan?.begin();
    await this.runs.load();
    this.engine.follow({
      hello: () => this.guarded(() => this.reload()),
      state: (s) => this.took(s),
      steps: (list) => this.addSteps(list),
      epoch: (m) => this.addEpoch(m),
      lost: (reason) => this.live.lose(reason),
    });
  }

  build() {
    const columns = this.plan
      ? [[this.plan.build()], [this.live.build(), this.curves.build()]]
      : [[this.live.build()], [this.curves.build()]];
    return element("main", { className: "train" }, ...columns.map((panels) => element("div", { className: "column" }, ...panels)),
      this.runs.build(), this.answers.build(), this.histograms.build());
  }

  render() {
    this.live.show();
    this.runs.show();
    this.curves.render();
    this.answers.show();
    this.histograms.show();
    this.plan?.render();
  }

  guarded(f) {
    return this.shell.guarded(f);
  }

  // canLearn says whether the network of the training can be opened in the Learn part.
  get canLearn() {
    return this.choices.can_start && this.state?.phase === "finished";
  }

  // explain opens the network of the training in the Learn part with a picture: see Learn.open.
  explain(start) {
    const { run } = this.state;
    return this.guarded(async () => this.shell.learn(await this.engine.learn(run), start));
  }

  quietly(f) {
    return this.shell.quietly(f);
  }

  // reload takes everything from the engine, after the page was opened or had lost the engine.
  async reload() {
    const now = await this.engine.current();
    this.steps = now?.steps ?? [];
    this.epochs = now?.epochs ?? [];
    this.took(now?.state ?? null);
    await this.runs.load();
    document.body.dataset.training = "followed";
  }

  // took shows a state. What a state only announces is fetched.
  took(state) {
    const before = this.state;
    const another = before?.run !== state?.run || over(before) !== over(state);
    if (another && before && before.run !== state?.run) {
      this.steps = [];
      this.epochs = [];
    }
    this.state = state;
    this.live.show();
    if (another) {
      this.answers.show();
      this.histograms.show();
    }
    if (!state) return;
    const begins = state.phase === "training" && before?.phase === "preparing"; // its folder is there now
    if (another || begins) this.quietly(() => this.runs.load());
    if (state.mistakes !== (before?.run === state.run ? before.mistakes : 0)) this.quietly(() => this.answers.load());
    if (state.histograms !== (before?.run === state.run ? before.histograms : 0)) this.quietly(() => this.histograms.load());
  }

  addSteps(list) {
    const last = this.steps.at(-1)?.step ?? 0;
    this.steps.push(...list.filter((m) => m.step > last));
    this.curves.changed();
  }

  addEpoch(m) {
    if (!this.epochs.some((e) => e.epoch === m.epoch)) this.epochs.push(m);
    this.curves.changed();
    this.runs.changed();
  }
}
