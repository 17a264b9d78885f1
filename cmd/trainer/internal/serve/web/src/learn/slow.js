// A step in slow motion: the values from the first layer to the last, the loss, the gradients back, what changes in the
// weights, and the loss with the new weights.

import { element, labelled, shown } from "../dom.js";
import { keep, number, text } from "../text.js";
import { coordinates } from "./maps.js";
import { scrollTo } from "./station.js";

const delays = { slow: 4000, medium: 2000, fast: 800 }; // milliseconds per station

// SlowMotion goes through the stations of a step. app has session, places, pass, back, layers, stepper, changed, guarded.
export class SlowMotion {
  constructor(app) {
    this.app = app;
    this.stations = null; // while it is going on
    this.at = 0;
  }

  build() {
    const button = (name, f) => element("button", { type: "button", id: `slow-${name}`, onclick: f }, text(`slow.${name}`));
    this.previous = button("previous", () => this.move(-1));
    this.next = button("next", () => this.move(1));
    this.playing = element("button", { type: "button", id: "slow-play", onclick: () => this.play(!this.timer) });
    const speed = element("select", { id: "slow-speed", onchange: () => {
      keep.set("speed", speed.value);
      if (this.timer) this.play(true);
    } }, ...Object.keys(delays).map((k) => element("option", { value: k, selected: k === (keep.get("speed") ?? "medium") }, text(`speed.${k}`))));
    this.speed = speed;
    this.caption = element("p", { id: "slow-caption", "aria-live": "polite" });
    this.root = element("section", { className: "panel player", "aria-label": text("slow"), hidden: true, onkeydown: (e) => e.key === "Escape" && this.stop() },
      this.caption, element("p", { className: "buttons" }, this.previous, this.playing, this.next, labelled(text("slow.speed"), speed), button("close", () => this.stop())));
    return this.root;
  }

  // start begins at the first layer. The changes of the step are those that the engine makes and takes back at once: until
  // the last station, its weights are those of what is shown.
  async start(settings) {
    const { session, places } = this.app;
    this.app.features.stop(); // the engine begins a new map after every step
    const { step } = await session.step(settings.rule, settings.rate);
    await session.undo();
    if (this.app.slow !== this || !this.app.back) return; // another network, or no gradients, meanwhile
    const cards = places.map((p, place) => place).filter((i) => places[i].kind !== "loss");
    const back = cards.filter((i) => this.app.back.values[i]?.length).reverse();
    this.stations = [
      ...cards.map((place) => ({ show: "forward", place })), { show: "loss" },
      ...back.map((place) => ({ show: "backward", place })),
      ...step.tensors.map((change) => ({ show: "update", change, place: this.placeOf(change.tensor) })), { show: "after" },
    ];
    this.settings = settings;
    this.root.hidden = false;
    this.show(0);
    this.next.focus({ preventScroll: true });
    if (!matchMedia("(prefers-reduced-motion: reduce)").matches) this.play(true);
  }

  placeOf(tensor) {
    return this.app.places.findIndex((p) => p.tensors?.some((t) => t.name === tensor));
  }

  // stop leaves everything as the present station has it.
  stop() {
    if (!this.stations) return;
    this.play(false);
    this.stations = null;
    this.root.hidden = true;
    this.app.layers.each((c) => {
      for (const key of ["now", "values", "gradients"]) delete c.root.dataset[key];
    });
  }

  // bottom returns where the player ends in the window, if it is at the top: 0 without it.
  bottom() {
    return this.root.hidden ? 0 : Math.max(0, this.root.getBoundingClientRect().bottom);
  }

  play(wanted) {
    clearTimeout(this.timer);
    this.timer = null;
    if (wanted && this.stations && this.at < this.stations.length - 1) {
      this.timer = setTimeout(async () => {
        this.timer = null;
        this.play(await this.move(1));
      }, delays[this.speed.value]);
    }
    this.playing.textContent = text(this.timer ? "slow.pause" : "slow.play");
  }

  // move goes some stations on or back, and reports whether it did. Between the last two, the engine makes the step or takes it back.
  async move(by) {
    const last = this.stations.length - 1;
    const to = Math.max(0, Math.min(last, this.at + by));
    if (this.moving || to === this.at) return false;
    this.moving = true;
    const isDone = await this.app.guarded(async () => {
      if (to === last) await this.app.stepper.step(this.settings);
      else if (this.at === last) await this.app.stepper.undo();
      return true;
    });
    this.moving = false;
    if (!this.stations || !isDone) return false;
    this.show(to);
    return true;
  }

  show(at) {
    this.at = at;
    const s = this.stations[at];
    const passed = this.stations.slice(0, at + 1);
    const isPassed = (show, place) => passed.some((p) => p.show === show && p.place === place);
    this.app.layers.each((c, i) => {
      const isNow = s.place === i;
      c.root.dataset.now = String(isNow);
      c.root.dataset.values = isPassed("forward", i) ? "shown" : "later";
      c.root.dataset.gradients = isPassed("backward", i) ? "shown" : "later";
      if (isNow) scrollTo(c.root);
    });
    this.previous.disabled = at === 0;
    this.next.disabled = at === this.stations.length - 1;
    if (this.next.disabled) this.play(false);
    this.root.dataset.station = s.show;
    this.caption.replaceChildren(element("small", {}, `${at + 1}/${this.stations.length} `), ...this.words(s));
  }

  // words says what happens at a station.
  words(s) {
    const { places, back } = this.app;
    const name = places[s.place]?.name;
    const output = (value) => shown("output", value, number(value));
    switch (s.show) {
      case "forward": {
        const { forward } = places[s.place].formula ?? {};
        return [text("slow.forward", { name }), forward ? element("code", {}, ` ${forward}`) : ""];
      }
      case "loss":
        return [text("slow.loss"), " ", output(back.loss)];
      case "backward": {
        const { backward } = places[s.place].formula ?? {};
        return [text("slow.backward", { name }), backward ? element("code", {}, ` ${backward}`) : ""];
      }
      case "update": {
        const c = s.change;
        const dimensions = places[s.place].tensors.find((t) => t.name === c.tensor).shape;
        return [text("slow.update", { name: c.tensor, norm: number(c.norm), changed: number(c.changed) }), " ",
          element("code", {}, `${c.tensor}[${coordinates(c.index, dimensions).join(",")}]: `), output(c.before), " → ", output(c.after), " ", text("slow.slope"), " ", output(c.slope)];
      }
    }
    const { loss_before: before, loss_after: after } = this.app.stepper.last;
    return [text("slow.after"), " ", output(before), " → ", output(after)];
  }
}
