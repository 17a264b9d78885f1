// The page: its head, and one view at a time.

import { address } from "./address.js";
import { element, labelled } from "./dom.js";
import { Learn } from "./learn/learn.js";
import { Read } from "./read/read.js";
import * as server from "./server.js";
import { firstLanguage, keep, languages, text, useLanguage } from "./text.js";
import { themes, useTheme } from "./theme.js";
import { Train } from "./train/train.js";

// Shell holds the views. engine is what computes: see server.js, whose functions another engine would have too. A view has
//
//	key        its name, in the address and in strings.json as tab.KEY
//	build()    makes its element, in the present language, and keeps what it shows
//	render()   draws what depends on colours and on the width of the window
//	go(parts)  shows what the address names after the key, as in #KEY/PART/PART; a view may lack it
class Shell {
  constructor(engine) {
    this.engine = engine;
    this.live = element("p", { className: "visually-hidden", "aria-live": "polite" });
    this.message = element("p", { className: "message", role: "status" });
    this.say = (words) => (this.live.textContent = words);
    this.failures = 0;
  }

  async begin() {
    const [networks, choices] = await Promise.all([this.engine.networks(), this.engine.training.choices()]);
    const learn = networks.length > 0 && new Learn(this, networks);
    this.views = [learn, choices && new Train(this, choices), learn && new Read(this)].filter(Boolean);
    await Promise.all(this.views.map((v) => v.begin()));
    addEventListener("hashchange", () => this.turn());
    this.build();
    await this.turn();
  }

  // turn shows what the address names. Another view begins at its top.
  async turn() {
    if (document.body.dataset.view !== this.view.key) {
      this.build();
      scrollTo(0, 0);
    }
    await this.view.go?.(address().slice(1));
  }

  get view() {
    return this.views.find((v) => v.key === address()[0]) ?? this.views[0];
  }

  // build makes the page in the present language. What views show stays, and so does the keyboard's place if it has a name.
  build() {
    const view = this.view;
    const focused = document.activeElement?.id;
    document.body.replaceChildren(this.header(view), this.message, view.build(), this.live);
    document.body.dataset.view = view.key;
    view.render();
    if (focused) document.getElementById(focused)?.focus();
  }

  header(view) {
    const tabs = element("nav", { "aria-label": text("tabs") }, ...this.views.map((v) =>
      element("a", { href: `#${v.key}`, id: `tab-${v.key}`, "aria-current": v === view ? "page" : undefined }, text(`tab.${v.key}`))));
    const language = element("select", { id: "language", onchange: (e) => {
      keep.set("language", e.target.value);
      useLanguage(e.target.value);
      this.build();
    } }, ...Object.entries(languages).map(([key, name]) => element("option", { value: key, selected: key === document.documentElement.lang, lang: key }, name)));
    const theme = element("select", { id: "theme", onchange: (e) => {
      keep.set("theme", e.target.value);
      useTheme(e.target.value);
      this.view.render();
    } }, ...themes.map((key) => element("option", { value: key, selected: key === document.documentElement.dataset.theme }, text(`theme.${key}`))));
    return element("header", {}, element("h1", {}, "trainer"), tabs, labelled(text("language"), language), labelled(text("theme"), theme));
  }

  // learn shows a network in the Learn part, and a picture: see Learn.open.
  async learn(network, start) {
    await this.views.find((v) => v.key === "learn").add(network, start);
    location.hash = "#learn";
  }

  // guarded does what the reader asked for: it calls f, and shows its error, or clears an error from before. closed, if given,
  // is called when the engine has closed what f used.
  async guarded(f, closed) {
    const before = this.failures;
    const result = await this.quietly(f, closed);
    if (this.failures === before) this.message.textContent = ""; // otherwise f, or something at the same time, has failed
    return result.value;
  }

  // quietly does what nobody asked for at this moment: it leaves an earlier error where it is.
  async quietly(f, closed) {
    try {
      return { value: await f() };
    } catch (e) {
      if (closed && e instanceof server.Refused && e.status === 410) await this.quietly(closed);
      else this.complain(complaint(e));
      return {};
    }
  }

  // complain shows an error, or what has happened that nobody asked for.
  complain(words) {
    this.failures++;
    this.message.textContent = words;
  }
}

// complaint words an error. One that the engine hasn't made is a mistake of the page, which the console has too.
function complaint(e) {
  if (e instanceof server.Refused) return e.message;
  if (e instanceof server.Unreachable) return text(server.offline);
  reportError(e);
  return text("mistake", { message: e.message });
}

async function begin() {
  useTheme(keep.get("theme"));
  useLanguage(firstLanguage());
  const shell = new Shell(server);
  await shell.begin();
  let waiting = 0;
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth === width) return; // such as when a phone's browser shows or hides its own bars
    width = innerWidth;
    clearTimeout(waiting);
    waiting = setTimeout(() => shell.view.render(), 100);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => shell.view.render());
  document.body.dataset.ready = "true";
}

begin().catch((e) => document.body.replaceChildren(element("p", { className: "error", role: "alert" }, complaint(e))));
