// gather.cu: selects rows by index, and copies a range of columns.
//
//	gather           y[i] = x[ids[i]], rows of rowLen elements; zeros where ids[i] is not in [0, xRows)
//	copy_columns     y[i, yFrom+j] = x[i, xFrom+j], 0 <= j < width, of rows of yC and xC elements
//
// n is the number of elements that are written, below 2^31. pack is 1 if all sizes are multiples of PACK and all
// addresses multiples of 16: then a thread moves 16 bytes at a time, otherwise one element.
//
// Launch of both: 256 threads, any grid (kernels.VectorPerThread).
// Bytes per element: 2e.
#include "elementwise.cuh"

namespace {

template <int W>
__device__ __forceinline__ void gatherRows(Element *y, const Element *x, const int *ids, int n, int rowLen, int xRows) {
	const unsigned perRow = rowLen / W;
#pragma unroll 1
	for (unsigned i = threadInGrid(); i < n / W; i += threadsInGrid()) {
		const unsigned row = i / perRow, at = i - row * perRow;
		const int id = ids[row];
		Vector<Element, W> v;
#pragma unroll
		for (int k = 0; k < W; k++) narrow(v.e[k], 0.0f);
		if (id >= 0 && id < xRows) v = load<Element, W>(x + (size_t)id * rowLen + at * W);
		store(y + (size_t)i * W, v);
	}
}

template <int W>
__device__ __forceinline__ void copyColumns(Element *y, const Element *x, int n, int width, int yC, int yFrom, int xC, int xFrom) {
	const unsigned perRow = width / W;
#pragma unroll 1
	for (unsigned i = threadInGrid(); i < n / W; i += threadsInGrid()) {
		const unsigned row = i / perRow, at = i - row * perRow;
		store(y + (size_t)row * yC + yFrom + at * W, load<Element, W>(x + (size_t)row * xC + xFrom + at * W));
	}
}

} // namespace

extern "C" __global__ void __launch_bounds__(256)
KERNEL(gather)(Element *y, const Element *x, const int *ids, int n, int rowLen, int xRows, int pack) {
	if (pack)
		gatherRows<PACK>(y, x, ids, n, rowLen, xRows);
	else
		gatherRows<1>(y, x, ids, n, rowLen, xRows);
}

extern "C" __global__ void __launch_bounds__(256)
KERNEL(copy_columns)(Element *y, const Element *x, int n, int width, int yC, int yFrom, int xC, int xFrom, int pack) {
	if (pack)
		copyColumns<PACK>(y, x, n, width, yC, yFrom, xC, xFrom);
	else
		copyColumns<1>(y, x, n, width, yC, yFrom, xC, xFrom);
}
