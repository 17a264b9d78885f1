// element makes an element: properties are set, attributes with a dash or "role" and "for" as attributes, and "on..." as
// listeners. Text becomes text, never markup: names come from strangers.
export function element(tag, properties = {}, ...children) {
  const e = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (key.startsWith("on")) e.addEventListener(key.slice(2), value);
    else if (key.includes("-") || key === "role" || key === "for") e.setAttribute(key, value);
    else e[key] = value;
  }
  e.append(...children.filter((c) => c !== null && c !== undefined));
  return e;
}

let labels = 0;

// labelled returns a control with its label before it.
export function labelled(text, control) {
  control.id ||= `control-${++labels}`;
  return element("span", { className: "labelled" }, element("label", { for: control.id }, text), control);
}

// shown makes an element with a number whose every digit is in data-value.
export function shown(tag, value, text, properties = {}) {
  return element(tag, { ...properties, "data-value": String(value), title: String(value) }, text);
}
