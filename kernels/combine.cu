// combine.cu: weighted sums of n elements, and filling n elements with a number, n <
// 2^31.
//
// Launch of all: 256 threads, any grid (kernels.VectorPerThread).
// Elements moved per element: combine 3, scale 2, fill 1.
#include "elementwise.cuh"

// combine: y[i] = alpha*a[i] + beta*b[i]. y may be a or b.
extern "C" __global__ void __launch_bounds__(256)
KERNEL(combine)(Element *y, const Element *a, const Element *b, int n, float alpha, float beta) {
	map(y, a, b, n, [alpha, beta](float u, float v) { return alpha * u + beta * v; });
}

// scale: y[i] = alpha*a[i]. y may be a.
extern "C" __global__ void __launch_bounds__(256)
KERNEL(scale)(Element *y, const Element *a, int n, float alpha) {
	map(y, a, n, [alpha](float v) { return alpha * v; });
}

// fill: y[i] = value.
extern "C" __global__ void __launch_bounds__(256)
KERNEL(fill)(Element *y, int n, float value) {
	Vector<Element, PACK> v;
#pragma unroll
	for (int k = 0; k < PACK; k++) narrow(v.e[k], value);
	const unsigned packs = aligned(y) ? n / PACK : 0;
#pragma unroll 1
	for (unsigned i = threadInGrid(); i < packs; i += threadsInGrid()) store(y + i * PACK, v);
#pragma unroll 1
	for (unsigned i = packs * PACK + threadInGrid(); i < n; i += threadsInGrid()) y[i] = v.e[0];
}
