//go:build !linux || !cgo

package mpi

import (
	"context"
	"os"

	"trainer/nn/ranks"
)

// Library is an MPI library that can be loaded.
type Library struct {
	File    string
	Version string
}

// Find returns ErrNotBuilt.
func Find(func(string) string) (Library, error) { return Library{}, ErrNotBuilt }

// Open returns ErrNotBuilt.
func Open(context.Context, func(string) string, func(*ranks.RankError)) (ranks.Transport, error) {
	return nil, ErrNotBuilt
}

// Exit is os.Exit: there is no library that has to know of the end.
func Exit(status int) { os.Exit(status) }
