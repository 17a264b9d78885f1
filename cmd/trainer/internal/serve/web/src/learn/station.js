// Addresses of what the Learn part shows. docs/backpropagation.md links to the numbers of its example in this way.
//
//	#learn/NETWORK                        a network
//	#learn/NETWORK/PLACE/OF/COORDINATES   a number of a layer: OF is value or gradient, COORDINATES as in 0,2,0
//	#learn/NETWORK/TENSOR/weight-gradient/COORDINATES   the gradient of a weight, such as conv1.weight
//	#learn/NETWORK/loss                   the loss, with gradients
//	#learn/NETWORK/step                   the panel that makes a step, with gradients
//
// Without coordinates, the number of largest absolute value is shown.

import { Refused } from "../server.js";
import { text } from "../text.js";

// goTo shows what the parts of an address name.
export async function goTo(app, [name, what, of = "value", at]) {
  if (!name) return;
  const network = app.named(name);
  if (!network) throw missing(name);
  if (network !== app.network) await app.open(network);
  if (!what) return;
  if (of !== "value" || what === "loss" || what === "step") {
    await app.backward.want();
    if (!app.back) return; // the page says why
  }
  if (what === "loss" || what === "step") {
    scrollTo(document.getElementById(what === "loss" ? "backward-title" : "step-title").parentElement);
    return;
  }
  const card = app.layers.cards.find((c) => c && (c.place.name === what || c.tensors.has(what)));
  if (!card) throw missing(what);
  const tensor = card.tensors.has(what) ? what : undefined;
  const [values, shape] = numbersOf(app, card, tensor, of);
  const index = at ? indexOf(at, shape) : largest(values);
  if (!(index >= 0 && index < values?.length)) throw missing(`${what}[${at ?? ""}]`);
  if (tensor) await card.open(tensor);
  await app.ask(tensor ? { of, tensor, index } : { of, place: card.index, index });
  if (app.question && !app.layers.spot(app.question)) scrollTo(card.root); // of a channel that is not drawn
}

// missing is the refusal of something that the network doesn't have.
const missing = (what) => new Refused(404, text("link.missing", { what }));

// numbersOf returns the numbers that an address is about, and their shape.
function numbersOf(app, card, tensor, of) {
  if (tensor) return [of === "weight-gradient" && app.back?.weights[tensor], card.place.tensors.find((t) => t.name === tensor).shape];
  return [{ value: app.pass, gradient: app.back }[of]?.values[card.index], card.place.shape];
}

const indexOf = (at, shape) => at.split(",").reduce((sum, k, d) => (Number(k) < shape[d] ? sum * shape[d] + Number(k) : NaN), 0);

// largest returns the index of the number of largest absolute value.
export const largest = (values) => (values ?? []).reduce((best, v, i) => (Math.abs(v) > Math.abs(values[best]) ? i : best), 0);

// scrollTo brings an element to the middle of the window.
export function scrollTo(e) {
  const behavior = matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth";
  e.scrollIntoView({ behavior, block: e.clientHeight > innerHeight / 2 ? "start" : "center" });
}
