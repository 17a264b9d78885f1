// The editor of a recipe: CodeMirror with TOML's colours, and mistakes at their lines.

import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { HighlightStyle, StreamLanguage, syntaxHighlighting } from "@codemirror/language";
import { toml } from "@codemirror/legacy-modes/mode/toml";
import { linter, lintGutter, lintKeymap, setDiagnostics } from "@codemirror/lint";
import { EditorState } from "@codemirror/state";
import { drawSelection, EditorView, highlightActiveLine, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { element } from "../dom.js";

// delay is the time after a key until the recipe is checked, in milliseconds.
const delay = 250;

const colours = HighlightStyle.define([
  { tag: [tags.propertyName, tags.atom], color: "var(--accent)" },
  { tag: tags.string, color: "var(--cursor)" },
  { tag: [tags.number, tags.bool], color: "var(--mark)" },
  { tag: tags.comment, color: "var(--soft)", fontStyle: "italic" },
]);

const look = EditorView.theme({
  "&": { backgroundColor: "var(--page)", color: "var(--ink)", border: "1px solid var(--line)", borderRadius: "6px", fontSize: "13px", maxHeight: "22rem" },
  "&.cm-focused": { outline: "3px solid var(--accent)", outlineOffset: "1px" },
  ".cm-scroller": { fontFamily: 'ui-monospace, "DejaVu Sans Mono", monospace', overflow: "auto" },
  ".cm-content": { caretColor: "var(--ink)" },
  ".cm-cursor": { borderLeftColor: "var(--ink)" },
  ".cm-gutters": { backgroundColor: "var(--panel)", color: "var(--soft)", border: "none" },
  ".cm-activeLine": { backgroundColor: "color-mix(in srgb, var(--accent) 12%, transparent)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": { background: "color-mix(in srgb, var(--accent) 35%, transparent)" },
  ".cm-panels": { backgroundColor: "var(--panel)", color: "var(--ink)" },
  ".cm-tooltip": { backgroundColor: "var(--panel)", color: "var(--ink)", border: "1px solid var(--line)" },
});

// Editor edits a text. check returns its mistakes, as {line, text}; changed is called after changes.
export class Editor {
  constructor(check, changed) {
    this.check = check;
    this.changed = changed;
    this.view = null;
    this.kept = "";
  }

  get text() {
    return this.view ? this.view.state.doc.toString() : this.kept;
  }

  set(text) {
    this.kept = text;
    this.view?.dispatch({ changes: { from: 0, to: this.view.state.doc.length, insert: text } });
    this.changed();
  }

  // build makes the editor in a shadow root: there, CodeMirror adopts style sheets, which a content security policy without
  // inline styles allows.
  build(label, describedBy) {
    this.kept = this.text;
    this.view?.destroy();
    const host = element("div", { className: "editor", id: "editor" });
    const root = host.attachShadow({ mode: "open" });
    this.view = new EditorView({ parent: root, root, state: EditorState.create({ doc: this.kept, extensions: this.extensions(label, describedBy) }) });
    host.editor = this.view; // for tests and for the console
    return host;
  }

  extensions(label, describedBy) {
    return [
      lineNumbers(), history(), drawSelection(), highlightActiveLine(), EditorView.lineWrapping,
      StreamLanguage.define(toml), syntaxHighlighting(colours), look,
      linter(async (view) => this.mistakes(view), { delay }), lintGutter(),
      keymap.of([...defaultKeymap, ...historyKeymap, ...lintKeymap]),
      EditorView.contentAttributes.of({ "aria-label": label, "aria-describedby": describedBy }),
      EditorView.updateListener.of((u) => u.docChanged && this.changed()),
    ];
  }

  async mistakes(view) {
    try {
      return diagnostics(view.state, await this.check(view.state.doc.toString()));
    } catch {
      return []; // the table says that the engine doesn't answer
    }
  }

  // blame shows mistakes that only a preview finds.
  blame(mistakes) {
    if (mistakes.length > 0) this.view?.dispatch(setDiagnostics(this.view.state, diagnostics(this.view.state, mistakes)));
  }
}

// diagnostics are mistakes as the editor marks them: the whole line.
function diagnostics(state, mistakes) {
  return mistakes.map((m) => {
    const line = state.doc.line(Math.min(Math.max(1, m.line), state.doc.lines));
    const indent = line.text.length - line.text.trimStart().length;
    return { from: line.from + indent, to: line.to, severity: "error", message: m.text };
  });
}
