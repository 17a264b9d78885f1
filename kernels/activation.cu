// activation.cu: elementwise activations over n elements, n < 2^31.
//
//	forward    y[i] = f(x[i])
//	backward   dx[i] = dy[i] f'(x[i])
//
// with f and f' of function.cuh, which also lists them: each has a kernel activation_NAME_forward and _backward. y may
// be x, and dx may be dy.
//
// Launch: blocks of 256 threads, any grid; kernels.Elementwise gives one.
// Bytes an element: forward 2 elements moved (8 bytes in float32, 4 in 16 bits), backward 3 (12, 6).
#include "elementwise.cuh"
#include "function.cuh"

namespace {

template <class F> __device__ __forceinline__ void forward(Element *y, const Element *x, int n, float alpha) {
	map(y, x, n, [alpha](float v) { return F::value(v, alpha); });
}

template <class F> __device__ __forceinline__ void backward(Element *dx, const Element *dy, const Element *x, int n, float alpha) {
	map(dx, dy, x, n, [alpha](float d, float v) { return d * F::slope(v, alpha); });
}

} // namespace

// ENTRIES defines the kernels of one activation.
#define ENTRIES(name, F) \
	extern "C" __global__ void __launch_bounds__(256) \
	KERNEL(activation_##name##_forward)(Element *y, const Element *x, int n, float alpha) { forward<F>(y, x, n, alpha); } \
	extern "C" __global__ void __launch_bounds__(256) \
	KERNEL(activation_##name##_backward)(Element *dx, const Element *dy, const Element *x, int n, float alpha) { backward<F>(dx, dy, x, n, alpha); }

ACTIVATIONS(ENTRIES)
