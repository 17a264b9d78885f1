// Package docs has the text of docs/backpropagation.md and its figures, which the page of trainer serve shows.
package docs

import "embed"

// Text holds backpropagation.md, in each language that it is in, and the folder figures.
//
//go:embed backpropagation*.md
//go:embed figures/mnist-basic*.svg figures/mnist-basic*.png figures/cifar10-basic.svg
var Text embed.FS
