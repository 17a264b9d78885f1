//go:build !amd64 || noasm

package vector

// available returns the kernels that this build has.
func available() []*Kernels { return []*Kernels{generic()} }
