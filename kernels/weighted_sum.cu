// weighted_sum.cu: weighted sums of n elements, n < 2^31.
//
// Launch of all: 256 threads, any grid (kernels.VectorPerThread).
// Elements moved per element: weighted_sum 3, scale 2.
#include "elementwise.cuh"

// weighted_sum: y[i] = alpha*a[i] + beta*b[i]. y may be a or b.
extern "C" __global__ void __launch_bounds__(256)
KERNEL(weighted_sum)(Element *y, const Element *a, const Element *b, int n, float alpha, float beta) {
	map(y, a, b, n, [alpha, beta](float u, float v) { return alpha * u + beta * v; });
}

// scale: y[i] = alpha*a[i]. y may be a.
extern "C" __global__ void __launch_bounds__(256)
KERNEL(scale)(Element *y, const Element *a, int n, float alpha) {
	map(y, a, n, [alpha](float v) { return alpha * v; });
}
