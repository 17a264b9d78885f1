// Package site answers the page of trainer serve in the browser itself, so that the page is a folder of static files. It is
// compiled to WebAssembly (make site), but has no JavaScript: that is in its folder wasm.
//
//   - engine.go and route.go answer the requests that package serve would answer, with the same paths and the same bytes.
//   - workshop.go trains, and keeps the runs in memory.
//   - pictures.go writes the part of MNIST that the site brings.
package site
