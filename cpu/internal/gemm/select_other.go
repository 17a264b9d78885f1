//go:build !amd64 || noasm

package gemm

// available returns the kernels that this build and processor have, the best first.
func available() []*Kernel { return []*Kernel{generic()} }
