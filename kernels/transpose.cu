// transpose.cu: y[n,j,i] = x[n,i,j], x [batch, m, n] and y [batch, n, m].
//
// A block moves a square of 32 x 32 elements through shared memory, so that neighbouring threads both read and
// write neighbouring elements. A row in shared memory has 33 elements, because with 32 a column would lie in a
// single memory bank.
//
// Launch: 256 threads, grid exactly the number of squares of all images (kernels.Squares).
// Bytes per element: 2e.
#include "storage.cuh"

extern "C" __global__ void __launch_bounds__(256)
KERNEL(transpose)(Element *y, const Element *x, int m, int n) {
	__shared__ Element tile[32][33];
	const int across = (n + 31) / 32, down = (m + 31) / 32;
	const int image = blockIdx.x / (across * down), square = blockIdx.x % (across * down);
	const int i0 = square / across * 32, j0 = square % across * 32;
	const int lane = threadIdx.x % 32, line = threadIdx.x / 32;
	x += (size_t)image * m * n;
	y += (size_t)image * m * n;
#pragma unroll
	for (int k = line; k < 32; k += 8) {
		if (i0 + k < m && j0 + lane < n) tile[k][lane] = x[(size_t)(i0 + k) * n + j0 + lane];
	}
	__syncthreads();
#pragma unroll
	for (int k = line; k < 32; k += 8) {
		if (j0 + k < n && i0 + lane < m) y[(size_t)(j0 + k) * m + i0 + lane] = tile[lane][k];
	}
}
