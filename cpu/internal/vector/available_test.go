package vector

import "trainer/cpu/internal/simd"

// available returns the kernels that can run here, best first.
func available() (kernels []*Kernels) {
	for _, set := range simd.Available() {
		kernels = append(kernels, For(set))
	}
	return kernels
}
