// The map of the test pictures: what the network makes of each before it decides, in two dimensions.

import { element, labelled, shown } from "../dom.js";
import { Refused } from "../server.js";
import { keep, number, percent, text } from "../text.js";
import { colourOf, isDark } from "../theme.js";
import { picture } from "./pad.js";
import { Unfolding } from "./unfold.js";

const wanted = 500; // pictures on the map
const part = 100; // pictures between two drawings
const near = 16; // pixels from a point within which the pointer finds it
const mistakesShown = 6;
const projections = ["pca", "umap"]; // by the engine, and by the page beginning from the engine's

// The colours of classes. They repeat after ten; the letters tell classes apart.
const colours = {
  light: ["#0072b2", "#b94a00", "#00705a", "#b3007d", "#6b5900", "#5a3fc0", "#a10000", "#00656e", "#7a4a00", "#444a55"],
  dark: ["#56b4e9", "#ffa94d", "#4fd6a5", "#ff8ad8", "#f0e442", "#b6a4ff", "#ff8f80", "#5fe0e6", "#e2b77a", "#c4cad4"],
};

// FeaturesPanel draws the map when the reader asks for it. app has network, session, shell, places, input, say and guarded.
export class FeaturesPanel {
  constructor(app) {
    this.app = app;
    this.found = null; // {x, y, labels, answers, probabilities, explained, place, width, total}, with the coordinates of PCA
    this.unfolded = null; // {x, y, done, total} of UMAP: the last one is that of the end if done = total
    this.projection = projections.includes(keep.get("projection")) ? keep.get("projection") : projections[0];
    this.pictures = [];
    this.cursor = -1; // the point that is looked at
    this.letters = letters(app.network.classes);
  }

  build() {
    this.button = element("button", { type: "button", id: "features-draw", onclick: () => (this.drawing ? this.stop() : this.draw()) });
    this.progress = element("span", { className: "hint", role: "status" });
    const choice = element("select", { id: "projection", onchange: () => this.arrange(choice.value) },
      ...projections.map((p) => element("option", { value: p, selected: p === this.projection }, text(`features.${p}`))));
    this.canvas = element("canvas", { className: "points", id: "features", tabIndex: 0, role: "application", "aria-label": text("features.label") });
    this.card = element("div", { className: "point", hidden: true });
    this.into = element("div", { className: "feature-map", hidden: true }, this.canvas, this.card);
    this.facts = element("p", { className: "hint" });
    this.legend = element("p", { className: "hint" });
    this.mistakes = element("div");
    this.described = null; // the map that facts, legend and mistakes are about
    this.listen();
    this.root = element("section", { className: "panel features", "aria-labelledby": "features-title", hidden: !this.app.network.samples || this.app.network.example },
      element("h2", { id: "features-title" }, text("features")), element("p", { className: "hint" }, text("features.hint")),
      labelled(text("features.arranged"), choice), element("p", { className: "buttons" }, this.button, this.progress), this.facts, this.into, this.legend, this.mistakes);
    this.render();
    return this.root;
  }

  listen() {
    this.canvas.addEventListener("pointermove", (e) => this.look(this.nearest(e.offsetX, e.offsetY)));
    this.canvas.addEventListener("pointerleave", () => document.activeElement !== this.canvas && this.look(-1));
    this.canvas.addEventListener("click", (e) => this.choose(this.nearest(e.offsetX, e.offsetY)));
    this.canvas.addEventListener("blur", () => this.look(-1));
    this.canvas.addEventListener("keydown", (e) => this.key(e));
  }

  // draw asks the engine for one part of the map after the other, so that it answers other questions in between.
  draw() {
    const { session, network, shell } = this.app;
    this.stop();
    this.drawing = {};
    const present = this.drawing;
    const drawn = [];
    this.unfolded = null;
    this.look(-1);
    return this.app.guarded(async () => {
      for (let from = 0, total = wanted; from < total && this.drawing === present; from += part) {
        this.tell("features.progress", { done: from, total });
        const [found, { pictures }] = await Promise.all([session.features(from, part), shell.engine.samples(network.name, from, part)]);
        if (this.drawing !== present) return;
        total = Math.min(wanted, found.total);
        drawn.push(...pictures);
        this.found = found;
        this.pictures = drawn; // until now, those of the map from before
        this.outdated = false;
        this.render();
      }
      if (this.projection === "umap" && this.drawing === present) await this.unfold(present);
    }).finally(() => {
      if (this.drawing === present) this.stop();
    });
  }

  stop() {
    this.drawing = null;
    this.unfolding?.stop();
    this.render();
  }

  // arrange shows the map that is there by another projection.
  arrange(projection) {
    this.projection = projection;
    keep.set("projection", projection);
    this.look(-1);
    const isDrawn = this.found && !this.outdated && !this.drawing; // otherwise, whoever draws comes to it
    if (projection !== "umap" && this.unfolding) this.stop();
    const isUnfolded = this.unfolded && this.unfolded.done === this.unfolded.total;
    if (projection === "umap" && isDrawn && !isUnfolded) {
      this.drawing = {};
      const present = this.drawing;
      this.app.guarded(() => this.unfold(present)).finally(() => {
        if (this.drawing === present) this.stop();
      });
    }
    this.render();
  }

  // unfold computes the arrangement of UMAP, which appears as it unfolds from that of PCA.
  async unfold(present) {
    this.tell("features.unfolding", { done: 0 });
    const { values, width } = await this.app.session.featureValues();
    if (this.drawing !== present) return;
    const { x, y } = this.found;
    const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
    await new Promise((done, fail) => {
      this.unfolding = new Unfolding({ values, width, x, y }, {
        arranged: (now) => {
          this.tell("features.unfolding", { done: 20 * Math.floor((5 * now.done) / now.total) }); // read aloud five times
          if (isStill && now.done < now.total) return;
          this.unfolded = now;
          this.render();
        },
        ended: (failure) => {
          this.unfolding = null;
          if (failure === undefined) done();
          else fail(new Refused(500, failure));
        },
      });
    });
  }

  // points are the coordinates that are shown.
  get points() {
    return this.projection === "umap" && this.unfolded ? this.unfolded : this.found;
  }

  // outdate says that the weights are no longer those of the map.
  outdate() {
    this.outdated = Boolean(this.found);
    this.stop();
  }

  tell(key, values) {
    this.button.textContent = text("features.stop");
    const words = text(key, values);
    if (this.progress.textContent !== words) this.progress.textContent = words;
  }

  render() {
    if (!this.root) return; // not built yet
    if (!this.drawing) {
      this.button.textContent = text(this.found ? "features.again" : "features.draw");
      this.progress.textContent = this.outdated ? text("features.outdated") : "";
    }
    if (!this.found) return;
    this.into.hidden = false;
    this.into.classList.toggle("outdated", Boolean(this.outdated));
    this.paint();
    this.describe();
    if (this.described === this.found) return;
    this.described = this.found;
    this.listMistakes();
  }

  describe() {
    const { place, width, explained, labels } = this.found;
    const share = (k) => shown("output", explained[k], percent(explained[k]), { id: `features-explained-${k}` });
    const isUnfolded = this.points !== this.found;
    this.facts.replaceChildren(text("features.of", { n: labels.length, name: this.app.places[place].name, width }), " ",
      ...(isUnfolded ? [text("features.of.umap")] : [text("features.of.pca"), " ", share(0), " + ", share(1)]));
    this.canvas.dataset.projection = isUnfolded ? "umap" : "pca";
    this.legend.textContent = this.app.network.classes.every((name, k) => name === this.letters[k]) ? "" : this.app.network.classes.map((name, k) => `${this.letters[k]} ${name}`).join(", ");
  }

  // paint draws the letters of all points, with the same scale in both directions, and rings around wrong answers.
  paint() {
    const width = this.into.clientWidth;
    if (!width) return;
    const height = Math.round(Math.min(440, Math.max(240, 0.7 * width)));
    const ratio = window.devicePixelRatio || 1;
    Object.assign(this.canvas, { width: width * ratio, height: height * ratio });
    this.canvas.style.height = `${height}px`;
    this.place(width, height);
    const context = this.canvas.getContext("2d");
    context.scale(ratio, ratio);
    context.font = "600 12px system-ui, sans-serif";
    context.textAlign = "center";
    context.textBaseline = "middle";
    const palette = colours[isDark() ? "dark" : "light"];
    const { labels, answers } = this.found;
    const ring = (i, radius, colour) => {
      context.strokeStyle = colourOf(colour);
      context.lineWidth = 2;
      context.beginPath();
      context.arc(this.at[i].x, this.at[i].y, radius, 0, 2 * Math.PI);
      context.stroke();
    };
    labels.forEach((label, i) => {
      context.fillStyle = palette[label % palette.length];
      context.fillText(this.letters[label], this.at[i].x, this.at[i].y);
    });
    labels.forEach((label, i) => answers[i] !== label && ring(i, 8, "--error"));
    if (this.cursor >= 0) ring(this.cursor, 11, "--cursor");
  }

  // place computes where each point is.
  place(width, height) {
    const { x, y } = this.points;
    this.canvas.coordinates = { x, y }; // for tests and for the console
    const range = (v) => v.reduce(([low, high], e) => [Math.min(low, e), Math.max(high, e)], [Infinity, -Infinity]);
    const [left, right] = range(x);
    const [low, high] = range(y);
    const margin = 14;
    const scale = Math.min((width - 2 * margin) / (right - left || 1), (height - 2 * margin) / (high - low || 1));
    this.at = Array.from(x, (v, i) => ({ x: width / 2 + scale * (v - (left + right) / 2), y: height / 2 - scale * (y[i] - (low + high) / 2) }));
  }

  // nearest returns the point at a place of the canvas, or -1.
  nearest(x, y) {
    let best = -1;
    let least = near;
    this.at?.forEach((p, i) => {
      const distance = Math.hypot(p.x - x, p.y - y);
      if (distance < least) [best, least] = [i, distance];
    });
    return best;
  }

  // key goes to the nearest point in a direction, or chooses the picture.
  key(e) {
    const direction = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[e.key];
    if (!this.at || (!direction && e.key !== "Enter" && e.key !== " ")) return;
    e.preventDefault();
    if (!direction) {
      this.choose(this.cursor);
      return;
    }
    const from = this.at[this.cursor] ?? { x: this.canvas.clientWidth / 2, y: this.canvas.clientHeight / 2 };
    let best = this.cursor;
    let least = Infinity;
    this.at.forEach((p, i) => {
      const along = (p.x - from.x) * direction[0] + (p.y - from.y) * direction[1];
      const across = Math.abs((p.x - from.x) * direction[1]) + Math.abs((p.y - from.y) * direction[0]);
      if (i !== this.cursor && along > 0 && across <= along && along + across < least) [best, least] = [i, along + across];
    });
    this.look(best);
    if (best >= 0) this.app.say(this.nameOf(best));
  }

  // nameOf says what a picture is and what the network takes it for.
  nameOf(i) {
    const { classes } = this.app.network;
    const { labels, answers, probabilities } = this.found;
    const names = { n: i, label: classes[labels[i]], answer: classes[answers[i]], p: percent(probabilities[i]) };
    return text(labels[i] === answers[i] ? "features.right" : "features.wrong", names);
  }

  // look shows the picture of a point; of none for -1.
  look(i) {
    if (i === this.cursor) return;
    this.cursor = i;
    this.card.hidden = i < 0;
    if (this.found) this.paint();
    if (i < 0) return;
    const { labels, answers, probabilities } = this.found;
    const { x, y } = this.points;
    this.card.replaceChildren(this.pictureOf(i), element("p", {}, this.nameOf(i)), element("p", { className: "hint" }, "(", shown("span", x[i], number(x[i])), ", ", shown("span", y[i], number(y[i])), ")"));
    Object.assign(this.card.dataset, { number: i, label: labels[i], answer: answers[i], probability: probabilities[i] });
    const isLeft = this.at[i].x < this.canvas.clientWidth / 2;
    Object.assign(this.card.style, { top: `${Math.min(this.at[i].y, this.canvas.clientHeight - 120)}px`, left: isLeft ? `${this.at[i].x + 16}px` : "auto", right: isLeft ? "auto" : `${this.canvas.clientWidth - this.at[i].x + 16}px` });
  }

  pictureOf(i) {
    const { height, width, channels, white } = this.app.network;
    const canvas = element("canvas", { width, height, role: "img", "aria-label": this.nameOf(i) });
    canvas.getContext("2d").putImageData(picture(this.pictures[i].pixels, height, width, channels, white), 0, 0);
    return canvas;
  }

  // choose shows a picture to the network. A wrong answer is explained.
  choose(i) {
    if (i < 0) return;
    const wrong = this.found.answers[i] === this.found.labels[i] ? undefined : this.found.answers[i];
    this.app.guarded(() => this.app.show({ ...this.pictures[i], wrong }));
  }

  // listMistakes lists the wrong answers that the network is surest of.
  listMistakes() {
    const { labels, answers, probabilities } = this.found;
    const wrong = Array.from(labels, (_, i) => i).filter((i) => labels[i] !== answers[i]).sort((a, b) => probabilities[b] - probabilities[a]);
    this.mistakes.replaceChildren(element("h3", {}, text("features.mistakes", { n: wrong.length })), element("ul", { className: "mistakes" }, ...wrong.slice(0, mistakesShown).map((i) =>
      element("li", {}, element("button", { type: "button", className: "mistake", "data-image": String(i), onclick: () => this.choose(i) }, this.pictureOf(i), this.nameOf(i))))));
  }
}

// letters returns what stands for each class on the map: its name if all are short.
function letters(classes) {
  if (classes.every((name) => name.length <= 2)) return classes;
  return classes.map((_, k) => (classes.length <= 26 ? String.fromCharCode(65 + k) : String(k)));
}
