// elementwise.cuh: loops for y[i] = f(x[i]) and y[i] = f(a[i], b[i]) over n elements.
//
// A thread takes 16 bytes at a time (four float32, eight 16-bit elements), neighbouring threads take
// neighbouring 16 bytes, and each thread then advances by the whole grid ("grid-stride"), so any
// grid gives the right result. The elements left at the end are processed one by one, and so are all
// elements if a pointer is not a multiple of 16. y may be one of the sources: an element is read
// before it is written, by the same thread.
#pragma once

#include "storage.cuh"

namespace {

__device__ __forceinline__ unsigned threadInGrid() { return blockIdx.x * blockDim.x + threadIdx.x; }
__device__ __forceinline__ unsigned threadsInGrid() { return gridDim.x * blockDim.x; }

template <class F> __device__ __forceinline__ void map(Element *y, const Element *x, int n, F f) {
	const unsigned packs = aligned(x) && aligned(y) ? n / PACK : 0;
#pragma unroll 1
	for (unsigned i = threadInGrid(); i < packs; i += threadsInGrid()) {
		Vector<Element, PACK> v = load<Element, PACK>(x + i * PACK);
#pragma unroll
		for (int k = 0; k < PACK; k++) narrow(v.e[k], f(widen(v.e[k])));
		store(y + i * PACK, v);
	}
#pragma unroll 1
	for (unsigned i = packs * PACK + threadInGrid(); i < n; i += threadsInGrid()) narrow(y[i], f(widen(x[i])));
}

template <class F> __device__ __forceinline__ void map(Element *y, const Element *a, const Element *b, int n, F f) {
	const unsigned packs = aligned(a) && aligned(b) && aligned(y) ? n / PACK : 0;
#pragma unroll 1
	for (unsigned i = threadInGrid(); i < packs; i += threadsInGrid()) {
		Vector<Element, PACK> v = load<Element, PACK>(a + i * PACK);
		const Vector<Element, PACK> u = load<Element, PACK>(b + i * PACK);
#pragma unroll
		for (int k = 0; k < PACK; k++) narrow(v.e[k], f(widen(v.e[k]), widen(u.e[k])));
		store(y + i * PACK, v);
	}
#pragma unroll 1
	for (unsigned i = packs * PACK + threadInGrid(); i < n; i += threadsInGrid()) narrow(y[i], f(widen(a[i]), widen(b[i])));
}

} // namespace
