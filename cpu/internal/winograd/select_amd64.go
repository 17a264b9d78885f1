//go:build amd64 && !noasm

package winograd

import "trainer/cpu/internal/simd"

// For returns the kernels for an instruction set that can run here.
func For(set simd.Set) *Kernels {
	switch set {
	case simd.AVX512:
		return &Kernels{
			input:    avx512Input,
			expand:   [Size]spread{2: avx512Expand2, 3: avx512Expand3, 4: avx512Expand4, 5: avx512Expand5},
			collapse: [Size]collapse{2: avx512Collapse2, 3: avx512Collapse3, 4: avx512Collapse4, 5: avx512Collapse5},
		}
	case simd.AVX2:
		return &Kernels{
			input:    avx2Input,
			expand:   [Size]spread{2: avx2Expand2, 3: avx2Expand3, 4: avx2Expand4, 5: avx2Expand5},
			collapse: [Size]collapse{2: avx2Collapse2, 3: avx2Collapse3, 4: avx2Collapse4, 5: avx2Collapse5},
		}
	}
	return generic()
}
