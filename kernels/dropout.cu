// dropout.cu: inverted dropout (Srivastava et al. 2014) of n elements, n < 2^31. With the
// random word r[i] of element i, word i%4 of Philox block i/4 of (seed, stream, step):
//
//	forward    y[i] = x[i]*scale where uniform(r[i]) >= rate, else 0        scale = 1/(1-rate)
//	backward   dx[i] = dy[i]*scale where uniform(r[i]) >= rate, else 0
//
// Both are this one kernel, no mask is stored, and every device drops the same elements.
#include "philox.cuh"
#include "storage.cuh"

// dropout writes y from x; y may be x. step is int32 [1] on the device, so that each replay of
// a recorded step draws new numbers, and so is the seed [2], the lower half first.
//
// Launch: 256 threads, any grid; each thread takes 4 elements at a time (kernels.FourPerThread).
// Elements moved per element: 2.
extern "C" __global__ void __launch_bounds__(256)
KERNEL(dropout)(Element *y, const Element *x, const int *step, const int *seed, int n, float rate, float scale, int stream) {
	const bool vectors = aligned(x) && aligned(y);
	const unsigned quads = (n + 3u) / 4, at = *step, seedLow = seed[0], seedHigh = seed[1];
#pragma unroll 1
	for (unsigned q = blockIdx.x * blockDim.x + threadIdx.x; q < quads; q += gridDim.x * blockDim.x) {
		const Words r = randomWords(seedLow, seedHigh, stream, at, q, 0);
		if (vectors && 4 * q + 4 <= n) {
			Vector<Element, 4> v = load<Element, 4>(x + 4 * q);
#pragma unroll
			for (int k = 0; k < 4; k++) narrow(v.e[k], uniform(r.w[k]) >= rate ? widen(v.e[k]) * scale : 0.0f);
			store(y + 4 * q, v);
			continue;
		}
#pragma unroll
		for (int k = 0; k < 4; k++) {
			const unsigned i = 4 * q + k;
			if (i < n) narrow(y[i], uniform(r.w[k]) >= rate ? widen(x[i]) * scale : 0.0f);
		}
	}
}
