//go:build amd64 && !noasm

package winograd

import "trainer/cpu/internal/simd"

// For returns the kernels for an instruction set, which this processor must support.
func For(set simd.Set) *Kernels {
	switch set {
	case simd.AVX512:
		return &Kernels{
			input:  avx512InputTransform,
			filter: [Size]toTile{2: avx512FilterTransform2, 3: avx512FilterTransform3, 4: avx512FilterTransform4, 5: avx512FilterTransform5},
			output: [Size]fromTile{2: avx512OutputTransform2, 3: avx512OutputTransform3, 4: avx512OutputTransform4, 5: avx512OutputTransform5},
		}
	case simd.AVX2:
		return &Kernels{
			input:  avx2InputTransform,
			filter: [Size]toTile{2: avx2FilterTransform2, 3: avx2FilterTransform3, 4: avx2FilterTransform4, 5: avx2FilterTransform5},
			output: [Size]fromTile{2: avx2OutputTransform2, 3: avx2OutputTransform3, 4: avx2OutputTransform4, 5: avx2OutputTransform5},
		}
	}
	return generic()
}
