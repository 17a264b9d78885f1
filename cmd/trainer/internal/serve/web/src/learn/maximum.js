// What maximises a channel: a picture that the engine looks for by gradient ascent.

import { element, shown } from "../dom.js";
import { number, text } from "../text.js";
import { picture } from "./pad.js";

// Maximum looks for the picture that makes a channel of a place large, when the reader asks for it. app has session,
// network, places, input and guarded.
export class Maximum {
  constructor(app, place, channel) {
    Object.assign(this, { app, place, channel });
    this.name = text(app.places[place].shape.length === 3 ? "maximum.channel" : "maximum.element", { channel, name: app.places[place].name });
    this.button = element("button", { type: "button", id: "maximum", onclick: () => this.find() }, text("maximum.find", { name: this.name }));
    this.result = element("div", { "aria-live": "polite" });
    this.root = element("div", { className: "maximum" }, this.button, this.result);
  }

  // of reports whether this is about the channel.
  of(place, channel) {
    return this.place === place && this.channel === channel;
  }

  async find() {
    this.button.disabled = true;
    const found = await this.app.guarded(() => this.app.session.maximum(this.place, this.channel));
    this.button.disabled = false;
    if (found) this.show(found);
  }

  show({ pixels, before, after }) {
    const { height, width, channels, white } = this.app.network;
    const canvas = element("canvas", { className: "found", width, height, role: "img", "aria-label": text("maximum.picture", { name: this.name }) });
    canvas.getContext("2d").putImageData(picture(pixels, height, width, channels, white), 0, 0);
    this.result.replaceChildren(
      element("p", {}, text("maximum.mean", { name: this.name }), " ", shown("output", before, number(before), { id: "maximum-before" }), " → ", shown("output", after, number(after), { id: "maximum-after" })),
      canvas,
      element("p", {}, element("button", { type: "button", id: "maximum-use", onclick: () => this.app.input.pad.set(pixels) }, text("maximum.use"))));
  }
}
