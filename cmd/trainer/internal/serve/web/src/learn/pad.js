// The drawing area works on the network's own pixels: what is drawn is exactly what the network gets.

import { element } from "../dom.js";
import { text } from "../text.js";

// Pad is a picture [height, width, channels] that can be drawn on, with pixels from 0 to white. changed is called after each
// change.
export class Pad {
  constructor({ height, width, channels, white }, changed) {
    Object.assign(this, { height, width, channels, white, changed });
    this.pixels = new Uint8Array(height * width * channels);
    this.cursor = null; // of the keyboard
    this.down = false; // the keyboard's pen
    this.canvas = element("canvas", { className: "pad", width, height, tabIndex: 0, role: "application", "aria-label": text("pad") });
    this.pen = Math.max(1, (1.2 * Math.max(height, width)) / 28); // radius in pixels
    this.listen();
    this.render();
  }

  // show shows a picture, which set also tells of.
  show(pixels) {
    this.pixels = pixels.slice();
    this.render();
  }

  set(pixels) {
    this.show(pixels);
    this.changed();
  }

  clear() {
    this.set(new Uint8Array(this.pixels.length));
  }

  listen() {
    let last = null;
    const at = (e) => {
      const box = this.canvas.getBoundingClientRect();
      return { x: ((e.clientX - box.left) / box.width) * this.width, y: ((e.clientY - box.top) / box.height) * this.height };
    };
    this.canvas.addEventListener("pointerdown", (e) => {
      if (!e.isPrimary || e.button !== 0) return; // a second finger, or another button
      this.canvas.setPointerCapture(e.pointerId);
      last = at(e);
      this.stroke(last, last);
      e.preventDefault();
    });
    this.canvas.addEventListener("pointermove", (e) => {
      if (!last || !e.isPrimary) return;
      for (const one of e.getCoalescedEvents?.() ?? [e]) {
        const next = at(one);
        this.stroke(last, next);
        last = next;
      }
    });
    for (const end of ["pointerup", "pointercancel"]) this.canvas.addEventListener(end, () => (last = null));
    this.canvas.addEventListener("keydown", (e) => this.key(e));
    this.canvas.addEventListener("blur", () => {
      this.cursor = null;
      this.down = false;
      this.render();
    });
  }

  key(e) {
    const move = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[e.key];
    if (!move && e.key !== " ") return;
    e.preventDefault();
    const from = this.cursor ?? { x: (this.width >> 1) + 0.5, y: (this.height >> 1) + 0.5 };
    if (!move) {
      this.down = !this.down;
      if (this.down) this.stroke(from, from);
      this.cursor = from;
      this.render();
      return;
    }
    this.cursor = {
      x: Math.min(this.width - 0.5, Math.max(0.5, from.x + move[0])),
      y: Math.min(this.height - 0.5, Math.max(0.5, from.y + move[1])),
    };
    if (this.down) this.stroke(from, this.cursor);
    else this.render();
  }

  // stroke draws a line with round ends. A pixel's brightness is how far it lies within the pen.
  stroke(a, b) {
    const r = this.pen;
    const dx = b.x - a.x;
    const dy = b.y - a.y;
    const length = dx * dx + dy * dy;
    const low = (v, most) => Math.max(0, Math.min(most, Math.floor(v - r - 1)));
    const high = (v, most) => Math.max(0, Math.min(most, Math.ceil(v + r + 1)));
    for (let y = low(Math.min(a.y, b.y), this.height); y < high(Math.max(a.y, b.y), this.height); y++) {
      for (let x = low(Math.min(a.x, b.x), this.width); x < high(Math.max(a.x, b.x), this.width); x++) {
        const along = length ? Math.max(0, Math.min(1, ((x + 0.5 - a.x) * dx + (y + 0.5 - a.y) * dy) / length)) : 0;
        const distance = Math.hypot(x + 0.5 - a.x - along * dx, y + 0.5 - a.y - along * dy);
        const ink = Math.round(this.white * Math.max(0, Math.min(1, r + 0.5 - distance)));
        const first = (y * this.width + x) * this.channels;
        for (let c = 0; c < this.channels; c++) this.pixels[first + c] = Math.max(this.pixels[first + c], ink);
      }
    }
    this.render();
    this.changed();
  }

  render() {
    const context = this.canvas.getContext("2d");
    context.putImageData(picture(this.pixels, this.height, this.width, this.channels, this.white), 0, 0);
    if (this.cursor) {
      context.fillStyle = this.down ? "#ff9f1c" : "#2ec4ff";
      context.fillRect(Math.floor(this.cursor.x), Math.floor(this.cursor.y), 1, 1);
    }
  }
}

// picture turns pixels [height, width, channels], from 0 to white, into what a canvas shows.
export function picture(pixels, height, width, channels, white = 255) {
  const image = new ImageData(width, height);
  for (let p = 0; p < height * width; p++) {
    for (let c = 0; c < 3; c++) image.data[4 * p + c] = (pixels[p * channels + (channels >= 3 ? c : 0)] * 255) / white;
    image.data[4 * p + 3] = 255;
  }
  return image;
}
