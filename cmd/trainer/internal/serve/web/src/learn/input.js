// The picture: drawn, opened, dropped, or chosen from the test set.

import { element } from "../dom.js";
import { Refused } from "../server.js";
import { text } from "../text.js";
import { Pad, picture } from "./pad.js";

const samplesShown = 12;

// InputPanel holds the picture for a network. app has session, shell, backward, guarded, frame() and show().
export class InputPanel {
  constructor(app, network) {
    this.app = app;
    this.network = network;
    this.from = 0;
    this.found = null; // the test pictures that are shown
    this.pixels = null;
  }

  // build makes the drawing area and, to be put elsewhere, samples.
  build() {
    this.pad = new Pad(this.network, () => {
      this.pixels = this.pad.pixels;
      this.app.frame();
    });
    if (this.pixels) this.pad.show(this.pixels);
    this.pixels = this.pad.pixels;
    this.strip = element("div", { className: "strip" });
    this.moreButton = element("button", { type: "button", onclick: () => this.app.guarded(() => this.more()) }, text("samples.next"));
    this.samples = element("section", { className: "panel", "aria-labelledby": "samples-title", hidden: true },
      element("h2", { id: "samples-title" }, text("samples")), this.strip, this.moreButton);
    this.showSamples();
    return element("section", { className: "panel", "aria-labelledby": "input-title" },
      element("h2", { id: "input-title" }, text("input")), this.pad.canvas, element("p", { className: "hint" }, text("pad.hint")),
      this.buttons());
  }

  // drag lets files be dropped; otherwise the browser would show them in place of the page.
  drag(e) {
    if (e.dataTransfer.types.includes("Files")) e.preventDefault();
  }

  // drop takes a file that was dropped.
  drop(e) {
    this.drag(e);
    const [file] = e.dataTransfer.files;
    if (file) this.take(file);
  }

  buttons() {
    const file = element("input", { type: "file", accept: "image/*", className: "visually-hidden", id: "file", onchange: () => {
      if (file.files[0]) this.take(file.files[0]);
      file.value = "";
    } });
    return element("p", { className: "buttons" },
      element("button", { type: "button", id: "clear", onclick: () => this.pad.clear() }, text("clear")),
      file, element("label", { className: "button", for: "file" }, text("file")),
      element("button", { type: "button", id: "download", onclick: () => this.download() }, text("download")));
  }

  // take gives the network a picture file, which the engine resizes as for predictions.
  take(file) {
    const { white } = this.network;
    this.app.guarded(async () => this.pad.set((await this.app.session.picture(file)).map((v) => Math.round((v * white) / 255))));
  }

  // download saves the network's pixels as a picture.
  download() {
    this.pad.cursor = null;
    this.pad.render();
    this.pad.canvas.toBlob((blob) => {
      const link = element("a", { href: URL.createObjectURL(blob), download: "picture.png" });
      link.click();
      URL.revokeObjectURL(link.href);
    });
  }

  // choose shows a picture, and takes its class as the label. The caller computes a frame.
  choose({ pixels, label }) {
    this.app.backward.choose(label);
    this.pad.show(pixels);
    this.pixels = this.pad.pixels;
  }

  async more() {
    this.from += samplesShown;
    await this.loadSamples();
    this.showSamples();
  }

  async loadSamples() {
    const { network } = this;
    if (!network.samples) return;
    let found;
    try {
      found = await this.app.shell.engine.samples(network.name, this.from, samplesShown);
    } catch (e) {
      if (e instanceof Refused && e.status === 404) {
        network.samples = false; // not on this machine
        return;
      }
      throw e;
    }
    if (this.from + samplesShown >= found.total) this.from = -samplesShown;
    this.found = found.pictures;
    this.total = found.total;
  }

  showSamples() {
    if (!this.found) return;
    const { height, width, channels, classes, white } = this.network;
    this.strip.replaceChildren(...this.found.map((s) => {
      const canvas = element("canvas", { width, height });
      canvas.getContext("2d").putImageData(picture(s.pixels, height, width, channels, white), 0, 0);
      const name = text("sample", { n: s.number, class: classes[s.label] });
      return element("button", { type: "button", className: "sample", "aria-label": name, title: name, onclick: () => this.app.show(s) }, canvas);
    }));
    this.samples.hidden = false;
    this.moreButton.hidden = this.total <= samplesShown;
  }
}
