// map.cu: elementwise functions of one or two tensors over [batch, rows, c], n < 2^31 elements:
//
//	y[i] = f(a[i])        y[i] = f(a[i], b[j(i)])        or y[i] += f
//
// kind selects f (Kind below; kernels.MapCode returns the same numbers). b is broadcast: element (n, i, j) of a is
// paired with b[n*strideBatch + i*strideRow + j*strideC], where the stride is 0 along each dimension that b doesn't
// have; strideC is 1 or 0. f is computed in float32. The kind is the same for all threads, so selecting f costs little
// compared with memory access.
//
// y may be a, and b if it has a's shape: an element is read before it is written, by the same thread.
// Launch: 256 threads, any grid (kernels.VectorPerThread).
// Bytes per element: 2e, or 3e if b has a's shape; another e to add to y or to select.
//
// One kernel serves all functions and both types of b; one kernel for each combination would make a hundred.
#include "elementwise.cuh"

namespace {

enum Kind {
	AFFINE, SQUARE, ABS, SIGN, SQRT, RSQRT, RECIPROCAL, EXP, LOG,
	ADD, MUL, DIV, MAX, MIN, GREATER, SELECT,
};

// largest returns the larger of u and v, or NaN if one is NaN.
__device__ __forceinline__ float largest(float u, float v) { return u > v || u != u ? u : v; }
__device__ __forceinline__ float smallest(float u, float v) { return u < v || u != u ? u : v; }

// sign returns 1, 0 or -1, or NaN.
__device__ __forceinline__ float sign(float a) { return a > 0.0f ? 1.0f : a < 0.0f ? -1.0f : a; }

// Function is f with its constants.
struct Function {
	int kind;
	float alpha, beta;

	// apply replaces W elements of a by f(a, b). y holds the old results.
	template <int W> __device__ __forceinline__ void apply(float (&a)[W], const float (&b)[W], const float (&y)[W]) const {
#define EACH(formula) \
	_Pragma("unroll") for (int k = 0; k < W; k++) a[k] = (formula); \
	break
		switch (kind) {
		case AFFINE: EACH(alpha * a[k] + beta);
		case SQUARE: EACH(alpha * (a[k] * a[k]) + beta);
		case ABS: EACH(alpha * fabsf(a[k]) + beta);
		case SIGN: EACH(alpha * sign(a[k]) + beta);
		case SQRT: EACH(sqrtf(alpha * a[k] + beta));
		case RSQRT: EACH(1.0f / sqrtf(alpha * a[k] + beta));
		case RECIPROCAL: EACH(1.0f / (alpha * a[k] + beta));
		case EXP: EACH(expf(alpha * a[k] + beta));
		case LOG: EACH(logf(alpha * a[k] + beta));
		case ADD: EACH(alpha * a[k] + beta * b[k]);
		case MUL: EACH(alpha * a[k] * b[k]);
		case DIV: EACH(alpha * a[k] / (b[k] + beta));
		case MAX: EACH(largest(alpha * a[k], beta * b[k]));
		case MIN: EACH(smallest(alpha * a[k], beta * b[k]));
		case GREATER: EACH(a[k] > b[k] ? alpha : beta);
		case SELECT: EACH(b[k] == 0.0f ? a[k] : y[k]);
		}
#undef EACH
	}
};

// step computes W elements from i on.
template <int W>
__device__ __forceinline__ void step(Element *y, const Element *a, unsigned i, const float (&b)[W], const Function &f, bool accumulate) {
	const Vector<Element, W> v = load<Element, W>(a + i);
	float value[W], old[W];
#pragma unroll
	for (int k = 0; k < W; k++) {
		value[k] = widen(v.e[k]);
		old[k] = 0.0f;
	}
	if (accumulate || f.kind == SELECT) {
		const Vector<Element, W> u = load<Element, W>(y + i);
#pragma unroll
		for (int k = 0; k < W; k++) old[k] = widen(u.e[k]);
	}
	f.apply(value, b, old);
	Vector<Element, W> out;
#pragma unroll
	for (int k = 0; k < W; k++) narrow(out.e[k], accumulate ? old[k] + value[k] : value[k]);
	store(y + i, out);
}

// Second is b: the place and the type of its elements. If full is 1, element i of a is paired with element i of b.
struct Second {
	const void *elements; // null if f takes one operand
	int full, isFloat, rows, c, strideBatch, strideRow, strideC;

	__device__ __forceinline__ unsigned at(unsigned i) const {
		if (full) return i;
		const unsigned row = i / c, j = i - row * c, image = row / rows;
		return image * strideBatch + (row - image * rows) * strideRow + j * strideC;
	}

	// neighbours reports whether neighbours in a row of a are paired with neighbours in b; otherwise they are paired
	// with the same element.
	__device__ __forceinline__ bool neighbours() const { return full || strideC; }

	// packs reports whether elements i to i+PACK-1, i a multiple of PACK, are paired with neighbours at an aligned
	// address, or with the same element.
	__device__ __forceinline__ bool packs() const {
		return !elements || ((full || c % PACK == 0) && (!neighbours() || aligned(elements)));
	}

	// read reads the elements of b, of its type, that are paired with W elements of a from i on.
	template <int W, class B> __device__ __forceinline__ void read(float (&to)[W], const B *b, unsigned i) const {
		const unsigned j = at(i);
		if (!neighbours()) {
			const float v = widen(b[j]);
#pragma unroll
			for (int k = 0; k < W; k++) to[k] = v;
			return;
		}
		constexpr int part = W < 16 / (int)sizeof(B) ? W : 16 / (int)sizeof(B);
#pragma unroll
		for (int p = 0; p < W; p += part) {
			const Vector<B, part> v = load<B, part>(b + j + p);
#pragma unroll
			for (int k = 0; k < part; k++) to[p + k] = widen(v.e[k]);
		}
	}

	template <int W> __device__ __forceinline__ void take(float (&to)[W], unsigned i) const {
		if (!elements) {
#pragma unroll
			for (int k = 0; k < W; k++) to[k] = 0.0f;
		} else if (isFloat) {
			read(to, (const float *)elements, i);
		} else {
			read(to, (const Element *)elements, i);
		}
	}
};

} // namespace

// map: y = f(a), y = f(a, b), or, with accumulate, y += f. b is null for functions of one operand; its type is float32
// if isFloat is 1, otherwise the type of a. full is 1 if b has a's shape; then rows, c and the strides don't matter.
extern "C" __global__ void __launch_bounds__(256)
KERNEL(map)(Element *y, const Element *a, const void *b, int n, int kind, float alpha, float beta, int accumulate,
	int full, int isFloat, int rows, int c, int strideBatch, int strideRow, int strideC) {
	const Function f = {kind, alpha, beta};
	const Second second = {b, full, isFloat, rows, c, strideBatch, strideRow, strideC};
	const unsigned packs = aligned(a) && aligned(y) && second.packs() ? n / PACK : 0;
#pragma unroll 1
	for (unsigned i = threadInGrid(); i < packs; i += threadsInGrid()) {
		float v[PACK];
		second.take(v, i * PACK);
		step<PACK>(y, a, i * PACK, v, f, accumulate);
	}
#pragma unroll 1
	for (unsigned i = packs * PACK + threadInGrid(); i < n; i += threadsInGrid()) {
		float v[1];
		second.take(v, i);
		step<1>(y, a, i, v, f, accumulate);
	}
}
