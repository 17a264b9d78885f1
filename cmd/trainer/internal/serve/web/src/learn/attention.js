// The map of the pixels that mattered for the most probable class.

import { element, labelled } from "../dom.js";
import { TensorMap } from "./maps.js";
import { keep, text } from "../text.js";

const kinds = ["none", "saliency", "grad-cam", "occlusion"];

// pause is how long the picture must stay as it is, in milliseconds, before a map is computed that takes many passes.
const pause = 250;

// Attention is a choice of maps, and the one that was chosen. app has network, session, pass, layers and quietly.
export class Attention {
  constructor(app) {
    this.app = app;
    this.kind = element("select", { id: "attention", onchange: (e) => {
      keep.set("attention", e.target.value);
      this.show();
    } }, ...kinds.map((k) => element("option", { value: k, selected: k === keep.get("attention") }, text(`attention.${k}`))));
    this.into = element("div", { className: "maps" });
    this.root = element("div", { className: "attention" }, labelled(text("attention.kind"), this.kind), this.into);
  }

  // show computes the map for the present picture, after it has stayed the same for a while if that takes long.
  show() {
    clearTimeout(this.waiting);
    this.into.classList.add("outdated");
    if (this.kind.value === "none") this.into.replaceChildren();
    else if (this.kind.value === "occlusion") this.waiting = setTimeout(() => this.compute(), pause);
    else this.compute();
  }

  // stop computes nothing any more.
  stop() {
    clearTimeout(this.waiting);
  }

  render() {
    if (this.into.firstChild) this.map.render();
    else this.show();
  }

  compute() {
    const { session, pass } = this.app;
    const kind = this.kind.value;
    const best = pass.answer.indexOf(Math.max(...pass.answer));
    return this.app.quietly(async () => {
      const seen = await session.attention(kind, best);
      if (session === this.app.session && kind === this.kind.value) this.draw(kind, best, seen);
    });
  }

  draw(kind, best, seen) {
    const what = text(kind === "occlusion" ? "attention.hidden" : "attention", { class: this.app.network.classes[best] });
    if (this.map?.name !== kind || this.map.what !== what || !this.into.firstChild) {
      this.map = new TensorMap({ name: kind, what, dimensions: [seen.rows, seen.columns, 1], chosen: (i) => this.point(i), say: this.app.say });
      this.into.replaceChildren(element("div", { className: "map-of" }, this.map.figure));
    }
    this.seen = seen;
    this.map.show(seen.values);
    this.into.classList.remove("outdated");
  }

  // point marks the part of the picture that a number of the map is about.
  point(index) {
    const { height, width, channels } = this.app.network;
    const { rows, columns, stride = 1, size } = this.seen;
    const side = size ?? Math.max(1, Math.round(height / rows)); // of Grad-CAM, whose map may be smaller than the picture
    const scale = size ? stride : height / rows;
    const window = {
      place: 0, top: Math.floor(index / columns) * scale, left: (index % columns) * (size ? stride : width / columns),
      rows: side, columns: side, dilation_h: 1, dilation_w: 1, channel: 0, channels,
    };
    this.app.layers.cards[0].values.mark([{ window, kind: "mark" }]);
  }
}
