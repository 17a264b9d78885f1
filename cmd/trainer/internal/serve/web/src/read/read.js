// The text about how a network learns, which links to the numbers of the Learn part.

import { element } from "../dom.js";
import { text } from "../text.js";
import { load } from "./markdown.js";

const english = "backpropagation.md";

// Read shows the text.
export class Read {
  key = "read";

  constructor(shell) {
    this.shell = shell;
  }

  begin() {}

  build() {
    this.root = element("main", { className: "read" });
    this.loaded = this.shell.guarded(async () => this.root.append(await load(text("read.file"), english)));
    return this.root;
  }

  render() {}

  // go shows a section.
  async go([section]) {
    await this.loaded;
    const heading = document.getElementById(`text-${section}`);
    heading?.scrollIntoView();
  }
}

// The sections about the kinds of layers.
const sections = {
  conv2d: "convolution", relu: "relu", "max-pool2d": "max-pooling", flatten: "flatten", dense: "dense", softmax: "softmax-and-cross-entropy",
  "batch-norm": "batch-normalisation", dropout: "dropout", gelu: "gelu", "avg-pool2d": "average-pooling", "global-avg-pool": "average-pooling", residual: "residual",
};

// sectionLink returns a link to the section about a kind of layer, or nothing if the text has none.
export function sectionLink(kind) {
  const section = sections[kind];
  return section ? element("a", { className: "section", href: `#read/${section}`, "aria-label": text("read.section.of", { kind }) }, text("read.section")) : null;
}
