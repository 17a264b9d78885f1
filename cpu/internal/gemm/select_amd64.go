//go:build amd64 && !noasm

package gemm

import "trainer/cpu/internal/simd"

// For returns the kernels for an instruction set, which this processor must support.
func For(set simd.Set) *Kernel {
	switch set {
	case simd.AVX512:
		return avx512()
	case simd.AVX2:
		return avx2()
	}
	return generic()
}

// avx512 returns the kernels with tiles of up to 14 x 32, whose sums take 28 of the 32
// registers.
func avx512() *Kernel {
	return &Kernel{
		Name: "avx512", MR: 14, NR: 32,
		byRows: [maxMR + 1][3]micro{
			1:  {avx512N1x1, avx512N1x2, avx512N1x2},
			2:  {avx512N2x1, avx512N2x2, avx512N2x2},
			3:  {avx512N3x1, avx512N3x2, avx512N3x2},
			4:  {avx512N4x1, avx512N4x2, avx512N4x2},
			5:  {avx512N5x1, avx512N5x2, avx512N5x2},
			6:  {avx512N6x1, avx512N6x2, avx512N6x2},
			7:  {avx512N7x1, avx512N7x2, avx512N7x2},
			8:  {avx512N8x1, avx512N8x2, avx512N8x2},
			9:  {avx512N9x1, avx512N9x2, avx512N9x2},
			10: {avx512N10x1, avx512N10x2, avx512N10x2},
			11: {avx512N11x1, avx512N11x2, avx512N11x2},
			12: {avx512N12x1, avx512N12x2, avx512N12x2},
			13: {avx512N13x1, avx512N13x2, avx512N13x2},
			14: {avx512N14x1, avx512N14x2, avx512N14x2},
		},
		byColumns: [maxMR + 1][3]micro{
			1:  {avx512T1x1, avx512T1x2, avx512T1x2},
			2:  {avx512T2x1, avx512T2x2, avx512T2x2},
			3:  {avx512T3x1, avx512T3x2, avx512T3x2},
			4:  {avx512T4x1, avx512T4x2, avx512T4x2},
			5:  {avx512T5x1, avx512T5x2, avx512T5x2},
			6:  {avx512T6x1, avx512T6x2, avx512T6x2},
			7:  {avx512T7x1, avx512T7x2, avx512T7x2},
			8:  {avx512T8x1, avx512T8x2, avx512T8x2},
			9:  {avx512T9x1, avx512T9x2, avx512T9x2},
			10: {avx512T10x1, avx512T10x2, avx512T10x2},
			11: {avx512T11x1, avx512T11x2, avx512T11x2},
			12: {avx512T12x1, avx512T12x2, avx512T12x2},
			13: {avx512T13x1, avx512T13x2, avx512T13x2},
			14: {avx512T14x1, avx512T14x2, avx512T14x2},
		},
		peakFLOPs: 2 * 12 * 16,
		peak:      avx512Peak,
	}
}

// avx2 returns the kernels with tiles of up to 6 x 16, whose sums take 12 of the 16
// registers.
func avx2() *Kernel {
	return &Kernel{
		Name: "avx2", MR: 6, NR: 16,
		byRows: [maxMR + 1][3]micro{
			1: {avx2N1x1, avx2N1x2, avx2N1x2full},
			2: {avx2N2x1, avx2N2x2, avx2N2x2full},
			3: {avx2N3x1, avx2N3x2, avx2N3x2full},
			4: {avx2N4x1, avx2N4x2, avx2N4x2full},
			5: {avx2N5x1, avx2N5x2, avx2N5x2full},
			6: {avx2N6x1, avx2N6x2, avx2N6x2full},
		},
		byColumns: [maxMR + 1][3]micro{
			1: {avx2T1x1, avx2T1x2, avx2T1x2full},
			2: {avx2T2x1, avx2T2x2, avx2T2x2full},
			3: {avx2T3x1, avx2T3x2, avx2T3x2full},
			4: {avx2T4x1, avx2T4x2, avx2T4x2full},
			5: {avx2T5x1, avx2T5x2, avx2T5x2full},
			6: {avx2T6x1, avx2T6x2, avx2T6x2full},
		},
		peakFLOPs: 2 * 12 * 8,
		peak:      avx2Peak,
	}
}
