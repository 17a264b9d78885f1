// The map of the pixels that mattered for the most probable class.

import { element, labelled } from "../dom.js";
import { TensorMap } from "./maps.js";
import { keep, text } from "../text.js";

const kinds = ["none", "saliency", "grad-cam"];

// Attention is a choice of maps, and the one that was chosen.
export class Attention {
  constructor(app) {
    this.app = app;
    this.kind = element("select", { id: "attention", onchange: (e) => {
      keep.set("attention", e.target.value);
      this.app.guarded(() => this.show());
    } }, ...kinds.map((k) => element("option", { value: k, selected: k === keep.get("attention") }, text(`attention.${k}`))));
    this.into = element("div", { className: "maps" });
    this.root = element("div", { className: "attention" }, labelled(text("attention.kind"), this.kind), this.into);
  }

  // show computes the map for the present picture.
  async show() {
    if (this.kind.value === "none") {
      this.into.replaceChildren();
      return;
    }
    const answer = this.app.pass.answer;
    const best = answer.indexOf(Math.max(...answer));
    const seen = await this.app.session.attention(this.kind.value, best);
    const what = text("attention", { class: this.app.network.classes[best] });
    if (this.map?.name !== this.kind.value || this.map.what !== what || !this.into.firstChild) {
      this.map = new TensorMap({ name: this.kind.value, what, dimensions: [seen.rows, seen.columns, 1], chosen: () => {}, say: this.app.say });
      this.into.replaceChildren(element("div", { className: "map-of" }, this.map.figure));
    }
    this.map.show(seen.values);
  }
}
