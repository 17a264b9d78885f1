// A training to begin: data, recipe, and the table of its layers and memory.

import { element, labelled } from "../dom.js";
import { bytes, count, shape, text } from "../text.js";
import { Editor } from "./editor.js";

// pause is the time after the last change of the recipe until its table is computed, in milliseconds.
const pause = 700;

// PlanPanel edits a plan. app has choices, engine, runs, guarded and quietly.
export class PlanPanel {
  constructor(app) {
    this.app = app;
    this.data = app.choices.data[0];
    this.recipe = this.data.recipe;
    this.fields = { name: "", seed: "0", val: "0" };
    this.editor = new Editor((recipe) => app.engine.check(recipe), () => this.changed());
    this.edits = 0; // changes so far
    this.result = null; // of the last preview
  }

  async begin() {
    await this.load(this.recipe);
  }

  // load replaces the recipe by a built-in one. If several are under way, it is the one that was chosen last.
  async load(name) {
    this.recipe = name;
    const recipe = await this.app.engine.recipe(name);
    if (name === this.recipe) this.editor.set(recipe);
  }

  build() {
    const { data, recipes } = this.app.choices;
    const from = (id, list, chosen, choose) => element("select", { id, onchange: (e) => this.app.guarded(() => choose(list[e.target.selectedIndex])) },
      ...list.map((c) => element("option", { selected: c.name === chosen, title: c.description }, c.name)));
    this.recipes = from("plan-recipe", recipes, this.recipe, (c) => this.load(c.name));
    const sets = from("plan-data", data, this.data.name, (c) => this.chooseData(c));
    this.inputs = [];
    const field = (name, properties) => {
      const input = element("input", { id: `plan-${name}`, value: this.fields[name], oninput: () => {
        this.fields[name] = input.value;
        if (name !== "name") this.changed();
      }, ...properties });
      this.inputs.push(input);
      return labelled(text(`plan.${name}`), input);
    };
    this.table = element("div", { id: "plan-table" });
    return element("section", { className: "panel", "aria-labelledby": "plan-title" },
      element("h2", { id: "plan-title" }, text("plan")),
      element("p", {}, labelled(text("plan.data"), sets), labelled(text("plan.recipe"), this.recipes)),
      element("p", { className: "hint", id: "plan-hint" }, text("plan.hint")),
      this.editor.build(text("plan.editor"), "plan-hint"),
      element("p", {}, field("name", { type: "text", maxLength: 100, placeholder: text("plan.name.usual") }),
        field("seed", { type: "number", min: "0", max: String(Number.MAX_SAFE_INTEGER), step: "1", required: true }),
        field("val", { type: "number", min: "0", max: "0.99", step: "any", required: true })),
      element("p", { className: "buttons" }, element("button", { type: "button", id: "start", className: "main", onclick: () => this.app.guarded(() => this.start()) }, text("plan.start"))),
      this.table);
  }

  render() {
    this.showTable();
    if (!this.result) this.changed();
  }

  async chooseData(choice) {
    this.data = choice;
    this.recipes.value = choice.recipe;
    await this.load(choice.recipe);
  }

  plan() {
    return { recipe: this.editor.text, data: this.data.name, name: this.fields.name, seed: Number(this.fields.seed), val: Number(this.fields.val) };
  }

  // changed computes the table when the reader has stopped typing.
  changed() {
    clearTimeout(this.waiting);
    this.edits++;
    this.result = null;
    if (!this.table?.isConnected || !this.inputs.every((i) => i.checkValidity())) return; // render asks again, or the reader goes on typing
    this.waiting = setTimeout(() => this.app.quietly(() => this.preview()), pause);
  }

  // preview computes the table. While one is under way, the next one waits for the last change only.
  async preview() {
    if (this.previewing) {
      this.again = true;
      return;
    }
    this.previewing = true;
    try {
      do {
        this.again = false;
        const { edits } = this;
        const result = await this.app.engine.preview(this.plan());
        if (edits !== this.edits) continue; // the plan is another one now
        this.result = result;
        this.editor.blame(result.mistakes);
        this.showTable();
      } while (this.again);
    } finally {
      this.previewing = false;
    }
  }

  showTable() {
    if (!this.result) return; // the old table stays until the new one is there
    const table = this.result.table;
    if (!table) {
      this.table.replaceChildren(...this.result.mistakes.map((m) => element("p", { className: "error" }, m.line ? text("plan.line", { line: m.line, text: m.text }) : m.text)));
      return;
    }
    const cells = (...list) => list.map((c) => element("td", {}, c));
    const row = (head, ...list) => element("tr", {}, element("th", { scope: "row" }, head), ...cells(...list));
    const size = text("plan.table", { train: count(table.train_images), test: count(table.test_images), steps: count(table.steps), device: table.device });
    this.table.replaceChildren(element("p", { className: "hint" }, size), element("div", { className: "scroll" }, element("table", { className: "layers-table", "aria-label": text("plan.title") },
      element("thead", {}, element("tr", {}, ...["layer", "kind", "output", "parameters", "flops", "memory"].map((k) => element("th", { scope: "col" }, text(`plan.${k}`))))),
      element("tbody", {}, ...table.layers.map((l) => row(l.name, l.kind, shape(l.output), count(l.parameters), count(l.flops), bytes(l.memory_bytes)))),
      element("tfoot", {}, row(text("plan.total"), "", "", count(table.parameters), count(table.flops), bytes(table.memory_bytes))))));
  }

  // start begins the training, unless the browser finds a number that can't be.
  async start() {
    if (!this.inputs.every((i) => i.reportValidity())) return;
    await this.app.engine.start(this.plan());
    this.app.runs.clear();
  }
}
