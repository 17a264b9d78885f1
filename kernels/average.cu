// average.cu: moving averages of a list of float32 tensors, in one launch. For each pair
//
//	dst = weights[0]*dst + weights[1]*src      and with copyBack      src = dst
//
// (Polyak and Juditsky 1992; with copyBack this is Lookahead, Zhang et al. 2019, and dst holds
// the slow weights.) weights is float32 [2] on the device.
#include "table.cuh"

// Pair is one tensor and its average, as kernels.Pair lays it out.
struct Pair {
	float *dst, *src;
};

// Launch: 256 threads, grid: as many blocks as chunks (kernels.Chunks).
// Bytes per element: 12, with copyBack 16.
extern "C" __global__ void __launch_bounds__(256)
average(const Pair *pairs, const Chunk *chunks, const float *weights, int copyBack) {
	const Chunk chunk = chunks[blockIdx.x];
	const Pair p = pairs[chunk.tensor];
	const float old = weights[0], fresh = weights[1];
	constexpr int batch = 4; // loads in flight at a time
#pragma unroll 1
	for (int first = chunk.from + threadIdx.x; first < chunk.to; first += 256 * batch) {
		float dst[batch], src[batch];
#pragma unroll
		for (int k = 0; k < batch; k++) {
			const int i = first + 256 * k;
			if (i >= chunk.to) continue;
			dst[k] = p.dst[i];
			src[k] = p.src[i];
		}
#pragma unroll
		for (int k = 0; k < batch; k++) {
			const int i = first + 256 * k;
			if (i >= chunk.to) continue;
			const float mean = old * dst[k] + fresh * src[k];
			p.dst[i] = mean;
			if (copyBack) p.src[i] = mean;
		}
	}
}
