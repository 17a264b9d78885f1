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
    await this.loadCurves();
    await this.runs.load();
    document.body.dataset.training = "followed";
  }

  // loadCurves takes the state and the curves from the engine. What events have told meanwhile stays.
  async loadCurves() {
    const now = await this.engine.current();
    const isSame = now?.state.run === this.state?.run;
    this.steps = extended(now?.steps ?? [], isSame ? this.steps : [], "step");
    this.epochs = extended(now?.epochs ?? [], isSame ? this.epochs : [], "epoch");
    this.took(now?.state ?? null);
    this.curves.changed();
  }

  // took shows a state. What a state only announces is fetched.
  took(state) {
    const before = this.state;
    const another = before?.run !== state?.run || over(before) !== over(state);
    if (before && (before.run !== state?.run || (over(before) && !over(state)))) this.forget();
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

  // forget is for another training: one that begins, even with the name of the last one, or the same under another name.
  forget() {
    this.steps = [];
    this.epochs = [];
    this.answers.forget();
    this.quietly(() => this.loadCurves());
  }

  addSteps(list) {
    this.steps = extended(this.steps, list, "step");
    this.curves.changed();
  }

  addEpoch(m) {
    this.epochs = extended(this.epochs, [m], "epoch");
    this.curves.changed();
    this.runs.changed();
  }
}

// extended returns a list with what more has beyond its end, by a key that grows.
function extended(list, more, key) {
  const last = list.at(-1)?.[key] ?? 0;
  return [...list, ...more.filter((m) => m[key] > last)];
}
