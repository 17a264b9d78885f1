//go:build !amd64 || noasm

package vector

import "trainer/cpu/internal/simd"

// For returns the kernels for an instruction set, which this processor must support.
func For(simd.Set) *Kernels { return generic() }
