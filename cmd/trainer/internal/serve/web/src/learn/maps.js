// Maps: values as colours. Every value is a square, every channel a tile, and a click finds the value again.

import { element } from "../dom.js";
import { number, shape, text } from "../text.js";
import { colourOf, isDark } from "../theme.js";

// maxTiles is how many channels are drawn.
const maxTiles = 256;

// maxWritten is the number of values of a map whose squares are large enough to have their numbers in them, and writtenSquare
// the size of these squares in pixels.
const maxWritten = 32;
const writtenSquare = 48;

// Layout says where each value is drawn, in squares.
class Layout {
  constructor(tile, tiles, index, coordinates) {
    Object.assign(this, { ...tile, index, coordinates }); // tile has h, w, and the pixels per square if they don't depend on these
    this.all = tiles;
    this.tiles = Math.min(tiles, maxTiles);
    this.gap = tiles > 1 ? 1 : 0;
  }

  // fit chooses columns of tiles and pixels per square for a width.
  fit(width) {
    const side = Math.max(this.w, this.h);
    if (this.all * this.w * this.h <= maxWritten && this.w * writtenSquare <= width) this.square = writtenSquare;
    const wanted = side === 1 ? 12 : this.tiles === 1 ? 140 : 56;
    this.scale = this.square ?? Math.max(1, Math.min(14, Math.floor(wanted / side)));
    this.columns = Math.max(1, Math.min(this.tiles, Math.floor(width / ((this.w + this.gap) * this.scale))));
    this.rows = Math.ceil(this.tiles / this.columns);
    this.width = this.columns * (this.w + this.gap) - this.gap;
    this.height = this.rows * (this.h + this.gap) - this.gap;
  }

  // corner returns the square at which a tile begins.
  corner(tile) {
    return { x: (tile % this.columns) * (this.w + this.gap), y: Math.floor(tile / this.columns) * (this.h + this.gap) };
  }

  // at returns the index of the value at a square, or -1.
  at(x, y) {
    const column = Math.floor(x / (this.w + this.gap));
    const row = Math.floor(y / (this.h + this.gap));
    const tile = row * this.columns + column;
    const inX = x - column * (this.w + this.gap);
    const inY = y - row * (this.h + this.gap);
    if (x < 0 || y < 0 || column >= this.columns || tile >= this.tiles || inX >= this.w || inY >= this.h) return -1;
    return this.index(tile, inY, inX);
  }
}

// layoutOf returns how a tensor of a shape is drawn: [h w c] as c tiles, a vector as lines of squares, filters
// [out h w in] as out*in tiles, and a matrix [in out] with a row for each output.
function layoutOf(dimensions, width) {
  const size = dimensions.reduce((a, b) => a * b, 1);
  switch (dimensions.length) {
    case 3: {
      const [h, w, c] = dimensions;
      return new Layout({ h, w }, c, (tile, y, x) => (y * w + x) * c + tile, (i) => ({ tile: i % c, y: Math.floor(i / c / w), x: Math.floor(i / c) % w }));
    }
    case 4: {
      const [o, h, w, c] = dimensions;
      return new Layout({ h, w }, o * c, (tile, y, x) => ((Math.floor(tile / c) * h + y) * w + x) * c + (tile % c), (i) => ({
        tile: Math.floor(i / c / w / h) * c + (i % c), y: Math.floor(i / c / w) % h, x: Math.floor(i / c) % w,
      }));
    }
    case 2: {
      const [rows, columns] = dimensions;
      return new Layout({ h: columns, w: rows }, 1, (_, y, x) => x * columns + y, (i) => ({ tile: 0, y: i % columns, x: Math.floor(i / columns) }));
    }
  }
  const square = size <= maxWritten ? writtenSquare : size <= 64 ? 16 : 8;
  const w = Math.max(1, Math.min(size, Math.floor(width / square)));
  return new Layout({ h: Math.ceil(size / w), w, square }, 1, (_, y, x) => (y * w + x < size ? y * w + x : -1), (i) => ({ tile: 0, y: Math.floor(i / w), x: i % w }));
}

// colours returns a table from -1 (blue) over 0 (the background) to 1 (orange), 511 colours of three bytes. Blue and orange
// are told apart with every kind of colour blindness, and lightness alone tells large from small.
function colours(dark) {
  const zero = dark ? [24, 26, 32] : [250, 250, 250];
  const negative = dark ? [84, 174, 255] : [5, 75, 150];
  const positive = dark ? [255, 176, 66] : [184, 76, 0];
  const table = new Uint8Array(511 * 3);
  for (let i = 0; i < 511; i++) {
    const t = Math.abs(i - 255) / 255;
    const end = i < 255 ? negative : positive;
    for (let c = 0; c < 3; c++) table[3 * i + c] = Math.round(zero[c] + (end[c] - zero[c]) * Math.sqrt(t));
  }
  return table;
}

// shade returns the number of the colour of a value from -1 to 1.
const shade = (v) => 255 + Math.round(255 * Math.max(-1, Math.min(1, Number.isNaN(v) ? 0 : v)));

// short returns a number with three digits or so, for a square.
const short = (v) => (v === 0 || (Math.abs(v) >= 0.001 && Math.abs(v) < 1000) ? String(Number(v.toPrecision(3))) : v.toExponential(0));

const tables = { light: colours(false), dark: colours(true) };

// TensorMap is a canvas with the values of a tensor. chosen(index) is called for the value that is clicked.
export class TensorMap {
  constructor({ name, what, dimensions, chosen, say }) {
    Object.assign(this, { name, what, dimensions, chosen, say });
    this.values = null;
    this.marks = []; // {index, kind} or {window, kind}
    this.cursor = 0;
    this.range = element("span", { className: "range" });
    this.canvas = element("canvas", { className: "map", tabIndex: 0, role: "application", "aria-label": text("map", { what, name, shape: shape(dimensions) }) });
    this.readout = element("span", { className: "readout" });
    this.figure = element("figure", {}, element("figcaption", {}, what, " ", this.range, " ", this.readout), element("div", { className: "scroll" }, this.canvas));
    this.small = document.createElement("canvas");
    this.canvas.addEventListener("click", (e) => this.choose(this.find(e)));
    this.canvas.addEventListener("pointermove", (e) => this.read(this.find(e)));
    this.canvas.addEventListener("pointerleave", () => (this.readout.textContent = ""));
    this.canvas.addEventListener("keydown", (e) => this.key(e));
    this.canvas.addEventListener("blur", () => this.draw());
  }

  // find returns the index of the value under the pointer.
  find(e) {
    if (!this.layout) return -1;
    const box = this.canvas.getBoundingClientRect();
    return this.layout.at(Math.floor(((e.clientX - box.left) / box.width) * this.layout.width), Math.floor(((e.clientY - box.top) / box.height) * this.layout.height));
  }

  choose(index) {
    if (index < 0 || !this.values) return;
    this.cursor = index;
    this.chosen(index);
  }

  // read writes the value under the pointer beside the name.
  read(index) {
    const value = index < 0 || !this.values ? "" : text("at", { name: this.name, at: coordinates(index, this.dimensions).join(","), value: number(this.values[index]) });
    this.readout.textContent = value;
    return value;
  }

  key(e) {
    if (!this.values) return;
    const step = { ArrowUp: [0, -1, 0], ArrowDown: [0, 1, 0], ArrowLeft: [-1, 0, 0], ArrowRight: [1, 0, 0], PageUp: [0, 0, -1], PageDown: [0, 0, 1] }[e.key];
    if (e.key === "Enter" || e.key === " ") {
      e.preventDefault();
      this.choose(this.cursor);
      return;
    }
    if (!step) return;
    e.preventDefault();
    const l = this.layout;
    const at = l.coordinates(this.cursor);
    const limit = (v, n) => Math.max(0, Math.min(n - 1, v));
    const next = l.index(limit(at.tile + step[2], l.tiles), limit(at.y + step[1], l.h), limit(at.x + step[0], l.w));
    if (next >= 0) this.cursor = next;
    this.draw();
    this.say(this.read(this.cursor));
  }

  show(values) {
    this.values = values;
    this.draw();
  }

  mark(marks) {
    if (marks.length === 0 && this.marks.length === 0) return;
    this.marks = marks;
    this.draw();
  }

  // render draws the map for the present width of the window and the present colours.
  render() {
    this.layout = null;
    this.draw();
  }

  // draw draws the values. It doesn't measure the page, except the first time: that would cost more than all the rest.
  draw() {
    const values = this.values;
    if (!values || !values.length || !(this.layout ?? this.fit())) return;
    let largest = 0;
    for (const v of values) if (Math.abs(v) > largest && Number.isFinite(v)) largest = Math.abs(v);
    const l = this.layout;
    const part = l.all > l.tiles ? ", " + text("part", { shown: l.tiles, all: l.all }) : "";
    this.range.textContent = `±${number(largest)}${part}`;
    this.paint(values, largest || 1);
    const context = this.canvas.getContext("2d");
    context.imageSmoothingEnabled = false;
    context.drawImage(this.small, 0, 0, this.canvas.width, this.canvas.height);
    if (this.isWritten) this.write(context, values, largest || 1);
    for (const m of this.marks) this.outline(context, m);
    if (document.activeElement === this.canvas) this.outline(context, { index: this.cursor, kind: "cursor" });
  }

  // fit lays the map out for the width of the page, and returns false if the page doesn't show it.
  fit() {
    const width = this.figure.parentElement?.clientWidth;
    if (!width) return false;
    const l = layoutOf(this.dimensions, width);
    l.fit(width);
    this.isWritten = l.scale >= writtenSquare;
    this.ratio = Math.max(1, Math.round(window.devicePixelRatio || 1)) * l.scale;
    Object.assign(this.canvas, { width: l.width * this.ratio, height: l.height * this.ratio });
    Object.assign(this.canvas.style, { width: `${l.width * l.scale}px`, height: `${l.height * l.scale}px` });
    Object.assign(this.small, { width: l.width, height: l.height });
    this.image = this.small.getContext("2d").createImageData(l.width, l.height);
    this.layout = l;
    return true;
  }

  // write writes each value on its square.
  write(context, values, largest) {
    const { layout: l, ratio } = this;
    const table = tables[isDark() ? "dark" : "light"];
    context.font = `${Math.round(0.24 * ratio)}px system-ui, sans-serif`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    values.forEach((v, i) => {
      const at = l.coordinates(i);
      const corner = l.corner(at.tile);
      const [r, g, b] = table.subarray(3 * shade(v / largest));
      context.fillStyle = 0.299 * r + 0.587 * g + 0.114 * b > 128 ? "#000" : "#fff";
      context.fillText(short(v), (corner.x + at.x + 0.5) * ratio, (corner.y + at.y + 0.5) * ratio, 0.9 * ratio);
    });
  }

  // spot returns where a value is in the window, or nothing if it isn't drawn. It scrolls the map sideways if it must.
  spot(index) {
    const l = this.layout;
    if (!l) return null;
    const at = l.coordinates(index);
    if (at.tile >= l.tiles) return null;
    const corner = l.corner(at.tile);
    const x = (corner.x + at.x) * l.scale;
    const y = (corner.y + at.y) * l.scale;
    const around = this.canvas.parentElement;
    if (x < around.scrollLeft || x + l.scale > around.scrollLeft + around.clientWidth) around.scrollLeft = x - around.clientWidth / 2;
    const box = this.canvas.getBoundingClientRect();
    return { left: box.left + x, right: box.left + x + l.scale, top: box.top + y, bottom: box.top + y + l.scale };
  }

  // paint draws one pixel per value on a small canvas.
  paint(values, largest) {
    const { layout: l, image } = this;
    const table = tables[isDark() ? "dark" : "light"];
    for (let tile = 0; tile < l.tiles; tile++) {
      const corner = l.corner(tile);
      for (let y = 0; y < l.h; y++) {
        for (let x = 0; x < l.w; x++) {
          const i = l.index(tile, y, x);
          if (i < 0) continue;
          const at = 4 * ((corner.y + y) * l.width + corner.x + x);
          const colour = 3 * shade(values[i] / largest);
          image.data[at] = table[colour];
          image.data[at + 1] = table[colour + 1];
          image.data[at + 2] = table[colour + 2];
          image.data[at + 3] = 255;
        }
      }
    }
    this.small.getContext("2d").putImageData(image, 0, 0);
  }

  // outline frames a value, or the window that a value was computed from.
  outline(context, mark) {
    const { layout: l, ratio } = this;
    context.strokeStyle = colourOf(mark.kind === "cursor" ? "--cursor" : "--mark");
    context.lineWidth = this.marks.length > 1 ? 1 : Math.max(2, Math.min(4, ratio / 5));
    if (mark.window) {
      const w = mark.window;
      const rows = (w.rows - 1) * w.dilation_h + 1;
      const columns = (w.columns - 1) * w.dilation_w + 1;
      for (let c = w.channel; c < Math.min(l.tiles, w.channel + w.channels); c++) {
        const corner = l.corner(c);
        context.strokeRect((corner.x + w.left) * ratio, (corner.y + w.top) * ratio, columns * ratio, rows * ratio);
      }
      return;
    }
    const at = l.coordinates(mark.index);
    if (at.tile >= l.tiles) return;
    const corner = l.corner(at.tile);
    context.strokeRect((corner.x + at.x) * ratio - 1, (corner.y + at.y) * ratio - 1, ratio + 2, ratio + 2);
  }
}

// coordinates returns the coordinates of an element: the last index runs fastest.
export function coordinates(index, dimensions) {
  const at = [];
  for (let d = dimensions.length - 1; d >= 0; d--) {
    at.unshift(index % dimensions[d]);
    index = Math.floor(index / dimensions[d]);
  }
  return at;
}
