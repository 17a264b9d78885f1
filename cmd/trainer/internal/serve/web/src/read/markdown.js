// Turns docs/backpropagation.md into elements: Markdown by marked, and formulas by Temml, as MathML, which browsers draw.

import { Marked } from "marked";
import temml from "temml";
import { element } from "../dom.js";
import { file } from "../server.js";

// folder is where the text and its figures are.
const folder = "text/";

// page is the usual address of the page, to whose numbers the text links.
const page = /^http:\/\/127\.0\.0\.1:8080\/(?=#)/;

// formula is $`x`$ or $x$ within a line of text.
const formula = {
  name: "formula",
  level: "inline",
  start: (source) => source.indexOf("$"),
  tokenizer(source) {
    const found = /^\$`([^`]+)`\$/.exec(source) ?? /^\$([^$]+)\$/.exec(source);
    return found ? { type: "formula", raw: found[0], text: found[1] } : undefined;
  },
  renderer: ({ text }) => mathML(text),
};

// mathML returns a formula. The page's content security policy refuses attributes style: load sets what they say.
const mathML = (tex, options) => temml.renderToString(tex, options).replaceAll(' style="', ' data-style="');

// reader returns a parser of a text. The headings, whose names GitHub would call own, get the names of names, in their order.
function reader(name, own, names) {
  const beside = folder + name.slice(0, name.lastIndexOf("/") + 1); // where the file's links begin
  let headings = 0;
  return new Marked({
    gfm: true,
    extensions: [formula],
    renderer: {
      heading({ tokens, depth }) {
        return `<h${depth} id="text-${names[headings++]}">${this.parser.parseInline(tokens)}</h${depth}>\n`;
      },
      code: ({ text, lang, escaped }) => (lang === "math" ? `<div class="formula">${mathML(text, { displayMode: true })}</div>\n` : `<pre><code>${escaped ? text : escape(text)}</code></pre>\n`),
      link({ href, tokens }) {
        const inner = this.parser.parseInline(tokens);
        if (page.test(href)) return `<a href="${escape(href.replace(page, ""))}">${inner}</a>`;
        if (href.startsWith("#")) return `<a href="#read/${escape(names[own.indexOf(decodeURIComponent(href.slice(1)))] ?? "")}">${inner}</a>`;
        if (href.includes("://")) return `<a href="${escape(href)}" rel="noreferrer">${inner}</a>`;
        return inner; // a file of the program's sources
      },
      image: ({ href, text }) => `<img src="${escape(beside + href)}" alt="${escape(text)}" loading="lazy">`,
    },
  });
}

const escape = (text) => text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);

// nameOf returns the name of a heading in addresses.
const nameOf = (text) => text.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, "").trim().replace(/\s/g, "-");

// namesOf returns the names of a text's headings.
const namesOf = (markdown) => [...markdown.replace(/^```[^]*?^```/gm, "").matchAll(/^#+ (.*)$/gm)].map(([, text]) => nameOf(text));

// load returns a text of the program as an element. In every language the headings have the names of the English text.
export async function load(name, english) {
  const [text, original] = await Promise.all([file(folder + name), file(folder + english)]);
  const html = reader(name, namesOf(text), namesOf(original)).parse(text);
  const article = element("article", { className: "panel" });
  article.append(...new DOMParser().parseFromString(html, "text/html").body.childNodes); // no script of it runs
  for (const e of article.querySelectorAll("[data-style]")) e.style.cssText = e.dataset.style;
  for (const wide of article.querySelectorAll("table, pre, .formula")) {
    const scroll = element("div", { className: "scroll" });
    wide.replaceWith(scroll);
    scroll.append(wide);
  }
  return article;
}
