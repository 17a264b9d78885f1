//go:build !amd64 || noasm

package gemm

import "trainer/cpu/internal/simd"

// For returns the kernels for an instruction set, which this processor must support.
func For(simd.Set) *Kernel { return generic() }
