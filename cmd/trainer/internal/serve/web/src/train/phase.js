// The phases of a training, as the engine's state names them.

// over reports whether a training has ended; none has begun if there is no state.
export function over(state) {
  return !state || ["finished", "interrupted", "failed"].includes(state.phase);
}
