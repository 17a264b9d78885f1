// A training to begin: data, recipe, and the table of its layers and memory.

import { element, labelled } from "../dom.js";
import { bytes, keep, text } from "../text.js";
import { Editor } from "./editor.js";

// pause is the time after the last change of the recipe until its table is computed, in milliseconds.
const pause = 700;

// PlanPanel edits a plan. app has choices, engine and guarded.
export class PlanPanel {
  constructor(app) {
    this.app = app;
    this.data = app.choices.data[0];
    this.recipe = this.data.recipe;
    this.fields = { name: "", seed: "0", val: "0" };
    this.editor = new Editor((recipe) => app.engine.check(recipe), () => this.changed());
    this.result = null; // of the last preview
  }

  async begin() {
    await this.load(this.recipe);
  }

  // load replaces the recipe by a built-in one.
  async load(name) {
    this.recipe = name;
    this.editor.set(await this.app.engine.recipe(name));
  }

  build() {
    const { data, recipes } = this.app.choices;
    const from = (id, list, chosen, choose) => element("select", { id, onchange: (e) => this.app.guarded(() => choose(list[e.target.selectedIndex])) },
      ...list.map((c) => element("option", { selected: c.name === chosen, title: c.description }, c.name)));
    this.recipes = from("plan-recipe", recipes, this.recipe, (c) => this.load(c.name));
    const sets = from("plan-data", data, this.data.name, (c) => this.chooseData(c));
    const field = (name, properties) => labelled(text(`plan.${name}`), element("input", { id: `plan-${name}`, value: this.fields[name], oninput: (e) => {
      this.fields[name] = e.target.value;
      if (name !== "name") this.changed();
    }, ...properties }));
    this.table = element("div", { className: "scroll", id: "plan-table" });
    return element("section", { className: "panel", "aria-labelledby": "plan-title" },
      element("h2", { id: "plan-title" }, text("plan")),
      element("p", {}, labelled(text("plan.data"), sets), labelled(text("plan.recipe"), this.recipes)),
      element("p", { className: "hint", id: "plan-hint" }, text("plan.hint")),
      this.editor.build(text("plan.editor"), "plan-hint"), this.table,
      element("p", {}, field("name", { type: "text", maxLength: 100, placeholder: text("plan.name.usual") }),
        field("seed", { type: "number", min: "0", step: "1" }), field("val", { type: "number", min: "0", max: "0.9", step: "0.05" })),
      element("p", { className: "buttons" }, element("button", { type: "button", id: "start", className: "main", onclick: () => this.app.guarded(() => this.start()) }, text("plan.start"))));
  }

  render() {
    this.showTable();
    if (!this.result) this.changed();
  }

  async chooseData(choice) {
    this.data = choice;
    await this.load(choice.recipe);
    this.recipes.value = choice.recipe;
  }

  plan() {
    return { recipe: this.editor.text, data: this.data.name, name: this.fields.name, seed: Number(this.fields.seed), val: Number(this.fields.val) };
  }

  // changed computes the table when the reader has stopped typing.
  changed() {
    clearTimeout(this.waiting);
    this.result = null;
    if (!this.table?.isConnected) return; // render asks again
    this.waiting = setTimeout(() => this.app.quietly(() => this.preview()), pause);
  }

  async preview() {
    const plan = this.plan();
    const result = await this.app.engine.preview(plan);
    if (plan.recipe !== this.editor.text) return; // it has changed meanwhile
    this.result = result;
    this.editor.blame(result.mistakes);
    this.showTable();
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
    this.table.replaceChildren(element("table", { className: "layers-table" },
      element("caption", {}, text("plan.table", { train: table.train_images.toLocaleString(), test: table.test_images.toLocaleString(), steps: table.steps.toLocaleString(), device: table.device })),
      element("thead", {}, element("tr", {}, ...["layer", "kind", "output", "parameters", "flops", "memory"].map((k) => element("th", { scope: "col" }, text(`plan.${k}`))))),
      element("tbody", {}, ...table.layers.map((l) => row(l.name, l.kind, l.output.join("×"), l.parameters.toLocaleString(), l.flops.toLocaleString(), bytes(l.memory_bytes)))),
      element("tfoot", {}, row(text("plan.total"), "", "", table.parameters.toLocaleString(), table.flops.toLocaleString(), bytes(table.memory_bytes)))));
  }

  async start() {
    keep.set("recipe", this.recipe);
    const run = await this.app.engine.start(this.plan());
    this.app.runs.follow(run);
  }
}
