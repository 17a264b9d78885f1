// activation.cu: elementwise activations over n elements, n < 2^31.
//
//	forward    y[i] = f(x[i])
//	backward   dx[i] = dy[i] f'(x[i])
//
// with f and f' of function.cuh. alpha is the slope of LeakyReLU below zero; the others ignore it. y may
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

extern "C" __global__ void __launch_bounds__(256)
KERNEL(activation_relu_forward)(Element *y, const Element *x, int n, float alpha) { forward<ReLU>(y, x, n, alpha); }

extern "C" __global__ void __launch_bounds__(256)
KERNEL(activation_relu_backward)(Element *dx, const Element *dy, const Element *x, int n, float alpha) { backward<ReLU>(dx, dy, x, n, alpha); }

extern "C" __global__ void __launch_bounds__(256)
KERNEL(activation_leaky_relu_forward)(Element *y, const Element *x, int n, float alpha) { forward<LeakyReLU>(y, x, n, alpha); }

extern "C" __global__ void __launch_bounds__(256)
KERNEL(activation_leaky_relu_backward)(Element *dx, const Element *dy, const Element *x, int n, float alpha) { backward<LeakyReLU>(dx, dy, x, n, alpha); }

extern "C" __global__ void __launch_bounds__(256)
KERNEL(activation_gelu_forward)(Element *y, const Element *x, int n, float alpha) { forward<GELU>(y, x, n, alpha); }

extern "C" __global__ void __launch_bounds__(256)
KERNEL(activation_gelu_backward)(Element *dx, const Element *dy, const Element *x, int n, float alpha) { backward<GELU>(dx, dy, x, n, alpha); }

extern "C" __global__ void __launch_bounds__(256)
KERNEL(activation_gelu_tanh_forward)(Element *y, const Element *x, int n, float alpha) { forward<GELUTanh>(y, x, n, alpha); }

extern "C" __global__ void __launch_bounds__(256)
KERNEL(activation_gelu_tanh_backward)(Element *dx, const Element *dy, const Element *x, int n, float alpha) { backward<GELUTanh>(dx, dy, x, n, alpha); }

extern "C" __global__ void __launch_bounds__(256)
KERNEL(activation_sigmoid_forward)(Element *y, const Element *x, int n, float alpha) { forward<Sigmoid>(y, x, n, alpha); }

extern "C" __global__ void __launch_bounds__(256)
KERNEL(activation_sigmoid_backward)(Element *dx, const Element *dy, const Element *x, int n, float alpha) { backward<Sigmoid>(dx, dy, x, n, alpha); }

extern "C" __global__ void __launch_bounds__(256)
KERNEL(activation_tanh_forward)(Element *y, const Element *x, int n, float alpha) { forward<Tanh>(y, x, n, alpha); }

extern "C" __global__ void __launch_bounds__(256)
KERNEL(activation_tanh_backward)(Element *dx, const Element *dy, const Element *x, int n, float alpha) { backward<Tanh>(dx, dy, x, n, alpha); }

extern "C" __global__ void __launch_bounds__(256)
KERNEL(activation_silu_forward)(Element *y, const Element *x, int n, float alpha) { forward<SiLU>(y, x, n, alpha); }

extern "C" __global__ void __launch_bounds__(256)
KERNEL(activation_silu_backward)(Element *dx, const Element *dy, const Element *x, int n, float alpha) { backward<SiLU>(dx, dy, x, n, alpha); }
