// The runs: sorted, chosen to be compared, named, continued, and deleted after a question.

import { element, labelled } from "../dom.js";
import { Refused } from "../server.js";
import { duration, moment, number, percent, text } from "../text.js";
import { over } from "./phase.js";

// The columns: how a cell is written, and what it is sorted by.
const columns = {
  name: { cell: (r) => r.name, by: (r) => r.name },
  state: { cell: (r) => text(`run.${r.state}`) + (r.problem ? `: ${r.problem}` : ""), by: (r) => r.state },
  date: { cell: (r) => (r.date ? moment(r.date) : "–"), by: (r) => r.date ?? "" },
  data: { cell: (r) => r.data, by: (r) => r.data },
  recipe: { cell: (r) => r.recipe, by: (r) => r.recipe },
  epochs: { cell: (r) => number(r.epochs), by: (r) => r.epochs },
  val: { cell: (r) => percent(r.val_accuracy), by: (r) => r.val_accuracy ?? -1 },
  test: { cell: (r) => percent(r.test_accuracy), by: (r) => r.test_accuracy ?? -1 },
  time: { cell: (r) => duration(r.seconds), by: (r) => r.seconds },
  different: { cell: (r) => Object.entries(r.different ?? {}).map(([k, v]) => `${k}=${v}`).join(" "), by: (r) => JSON.stringify(r.different ?? {}) },
};

// RunsPanel lists the runs. app has shell, engine, choices, state, curves, histograms, guarded and quietly.
export class RunsPanel {
  constructor(app) {
    this.app = app;
    this.list = [];
    this.wanted = new Set(); // the names of the chosen runs
    this.records = new Map(); // of those of them that have arrived, by name
    this.order = { key: "date", down: true };
  }

  // chosen returns the records of the chosen runs.
  chosen() {
    return [...this.records.values()];
  }

  // load shows the runs as they are now. Of several answers that are under way, only the last one counts: others may be older.
  async load() {
    const loading = (this.loading = {});
    const list = (await this.app.engine.runs()) ?? [];
    if (loading !== this.loading) return;
    this.list = list;
    const gone = [...this.wanted].filter((name) => !this.list.some((r) => r.name === name));
    for (const name of gone) this.drop(name);
    this.show();
    if (gone.length > 0) this.showChosen();
  }

  // changed loads the list again, after an epoch.
  changed() {
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.app.quietly(() => this.load()), 1000);
  }

  // clear chooses no run any more, such as when a training begins.
  clear() {
    this.wanted.clear();
    this.records.clear();
    this.showChosen();
    this.changed();
  }

  build() {
    this.table = element("div", { className: "scroll", id: "runs" });
    this.root = element("section", { className: "panel wide", "aria-labelledby": "runs-title" },
      element("h2", { id: "runs-title" }, text("runs")), element("p", { className: "hint" }, text("runs.hint")), this.table, this.dialog());
    return this.root;
  }

  // dialog asks a question, or for a name.
  dialog() {
    this.question = element("p");
    this.name = element("input", { type: "text", id: "new-name", maxLength: 100 });
    this.nameBox = element("p", {}, labelled(text("runs.name"), this.name));
    this.no = element("button", { value: "no", id: "question-no" }, text("no"));
    this.box = element("dialog", { id: "question" }, element("form", { method: "dialog" }, this.question, this.nameBox,
      element("p", { className: "buttons" },
        element("button", { value: "yes", id: "question-yes" }, text("yes")),
        this.no)));
    return this.box;
  }

  // ask returns the name that was entered, or true, and undefined if the answer is no.
  ask(words, name) {
    this.question.textContent = words;
    this.nameBox.hidden = name === undefined;
    this.name.value = name ?? "";
    this.box.returnValue = "no";
    this.box.showModal();
    (name === undefined ? this.no : this.name).focus(); // so that Enter deletes nothing
    return new Promise((done) => {
      this.box.onclose = () => {
        if (this.box.open) return; // the late event of the question before
        done(this.box.returnValue === "yes" ? (name === undefined ? true : this.name.value) : undefined);
      };
    });
  }

  show() {
    if (!this.table) return;
    const { key, down } = this.order;
    const by = columns[key].by;
    const sorted = [...this.list].sort((a, b) => (by(a) < by(b) ? -1 : by(a) > by(b) ? 1 : 0) * (down ? -1 : 1));
    const focused = document.activeElement?.id;
    this.table.replaceChildren(sorted.length === 0 ? element("p", { className: "hint" }, text("runs.none")) : element("table", {},
      element("thead", {}, element("tr", {}, element("th", { scope: "col" }, text("runs.compare")), ...Object.keys(columns).map((k) => this.head(k)), element("th", { scope: "col" }, text("runs.do")))),
      element("tbody", {}, ...sorted.map((r) => this.row(r)))));
    if (focused) document.getElementById(focused)?.focus();
  }

  head(key) {
    const { key: present, down } = this.order;
    const sort = present === key ? (down ? "descending" : "ascending") : "none";
    return element("th", { scope: "col", "aria-sort": sort }, element("button", { type: "button", id: `sort-${key}`, className: "sort", onclick: () => {
      this.order = { key, down: present === key ? !down : key !== "name" };
      this.show();
    } }, text(`runs.${key}`), sort === "none" ? "" : down ? " ↓" : " ↑"));
  }

  row(run) {
    const compare = element("input", { type: "checkbox", id: `compare-${run.name}`, checked: this.wanted.has(run.name), "aria-label": text("runs.choose", { name: run.name }), onchange: () => this.app.guarded(() => this.choose(run.name, compare.checked)) });
    const button = (action, f) => element("button", { type: "button", id: `${action}-${run.name}`, onclick: () => this.app.guarded(f) }, text(`runs.${action}`));
    const busy = run.state === "running" || (run.name === this.app.state?.run && !over(this.app.state));
    const actions = element("span", { className: "buttons" });
    if (this.app.choices.can_start && !busy) {
      if (run.state === "interrupted") actions.append(button("resume", () => this.resume(run)));
      if (run.state === "finished") actions.append(button("learn", () => this.learn(run)));
      actions.append(button("rename", () => this.rename(run)), button("delete", () => this.remove(run)));
    }
    return element("tr", { "data-run": run.name, "data-state": run.state }, element("td", {}, compare),
      ...Object.entries(columns).map(([key, c]) => element(key === "name" ? "th" : "td", { scope: key === "name" ? "row" : undefined, "data-column": key }, c.cell(run))), element("td", {}, actions));
  }

  // choose shows the curves and the histograms of a run, or no longer. What arrives after the reader has changed their mind is not shown.
  async choose(name, isWanted) {
    if (isWanted) {
      this.wanted.add(name);
      try {
        const [record, histograms] = await Promise.all([this.app.engine.run(name), this.histogramsOf(name)]);
        if (this.wanted.has(name)) this.records.set(name, { ...record, histograms });
      } catch (e) {
        this.drop(name);
        this.show();
        throw e;
      }
    } else {
      this.drop(name);
    }
    this.showChosen();
  }

  // drop takes a run out of those that are chosen.
  drop(name) {
    this.wanted.delete(name);
    this.records.delete(name);
  }

  // histogramsOf returns the histograms of a run, or nothing if it has none.
  async histogramsOf(name) {
    try {
      return await this.app.engine.runHistograms(name);
    } catch (e) {
      if (e instanceof Refused && e.status === 404) return {};
      throw e;
    }
  }

  showChosen() {
    this.app.curves.render();
    this.app.histograms.show();
  }

  // learn opens the run's network in the Learn part.
  async learn(run) {
    await this.app.shell.learn(await this.app.engine.learn(run.name));
  }

  async resume(run) {
    await this.app.engine.resume(run.name);
    await this.load();
    await this.choose(run.name, true); // its curves so far
  }

  async rename(run) {
    const name = await this.ask(text("runs.rename.question", { name: run.name }), run.name.split("/").at(-1));
    if (!name || name === run.name) return;
    const isChosen = this.wanted.has(run.name);
    await this.app.engine.rename(run.name, name);
    await this.load();
    if (isChosen) await this.choose(name, true);
  }

  async remove(run) {
    if (!(await this.ask(text("runs.delete.question", { name: run.name })))) return;
    await this.app.engine.remove(run.name);
    await this.load();
  }
}
