// Package serve is the program's server: POST /predict answers pictures, /healthz and /metrics are for those who run it, and
// the page shows a network at work.
//
// What arrives comes from strangers until it is checked:
//
//   - guard.go decides who may come in: Host, Origin, the kind of fetch, the token.
//   - limits.go says what a client may take: connections, bytes, time, memory.
//   - batcher.go lets pictures that arrive together share one forward pass.
//
// A refusal is one line of JSON with the field error.
package serve
