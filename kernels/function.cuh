// function.cuh: the activation functions f and their derivatives f', for activation.cu and,
// fused with the normalisation, batchnorm.cu.
//
// The sigmoid and its kin are written with e = exp(-|x|) and r = 1/(1+e), which neither overflows nor
// cancels:
//
//	sigmoid(x) = r, or e*r for x < 0        sigmoid(x) (1 - sigmoid(x)) = e*r*r
//
// At 0 the derivative of ReLU is that of the negative side, 0. NaN gives NaN.
#pragma once

#include "approx.cuh"

namespace {

// Identity is no activation.
struct Identity {
	static __device__ __forceinline__ float value(float x, float) { return x; }
	static __device__ __forceinline__ float slope(float, float) { return 1.0f; }
};

// ReLU: f(x) = max(x, 0)        f'(x) = 1 for x > 0, else 0
struct ReLU {
	static __device__ __forceinline__ float value(float x, float) { return x <= 0.0f ? 0.0f : x; }
	static __device__ __forceinline__ float slope(float x, float) { return x > 0.0f ? 1.0f : 0.0f; }
};

// LeakyReLU: f(x) = x, or alpha*x for x <= 0        f'(x) = 1 for x > 0, else alpha
struct LeakyReLU {
	static __device__ __forceinline__ float value(float x, float alpha) { return x <= 0.0f ? alpha * x : x; }
	static __device__ __forceinline__ float slope(float x, float alpha) { return x > 0.0f ? 1.0f : alpha; }
};

// The standard normal distribution's function Phi(x) and density phi(x) come from one exponential:
//
//	phi(x) = exp(-x^2/2) / sqrt(2 pi)
//	Phi(-|x|) = exp(-x^2/2) t Q(t)      t = 1/(1 + k|x|)      Phi(|x|) = 1 - Phi(-|x|)
//
// (Hastings' form, Abramowitz and Stegun 7.1.26.) Its tail is Phi(-|x|), its bell exp(-x^2/2).
#if defined(STORAGE_FLOAT16) || defined(STORAGE_BFLOAT16)

// For results stored in 16 bits: k = 0.325 and Q of degree 5, whose largest relative error over all x is the smallest. Off by
// a relative 2^-15.4 in the tail up to x = 13, a twentieth of float16's unit roundoff (kernels/function_test.go).
struct Normal {
	float tail, bell;

	__device__ __forceinline__ explicit Normal(float x) {
		bell = approxExp2(x * (-0.72134752044448170368f * x)); // 1/(2 ln 2)
		const float t = approxReciprocal(1.0f + 0.325f * fabsf(x));
		const float q = 0.1296590371f + t * (0.1293928785f + t * (0.1203340747f + t * (0.06222093304f + t * (0.1216966902f - t * 0.06330806146f))));
		tail = bell * (t * q);
	}
};

#else

// k = 0.27, with the polynomial of degree 8 that the CPU device uses: cpu/internal/vmath/normal.go. Off by at most 2.4e-7 in
// Phi. __expf is off by a relative x^2/2 * 1.2 * 2^-23, which the exponential itself makes harmless.
struct Normal {
	float tail, bell;

	__device__ __forceinline__ explicit Normal(float x) {
		bell = __expf(-0.5f * x * x);
		const float t = __fdividef(1.0f, 1.0f + 0.27f * fabsf(x));
		const float t2 = t * t, t4 = t2 * t2;
		const float q = (0.1077195376f + 0.1075607571f * t) + t2 * (0.1016904821f + 0.07249361353f * t) +
			t4 * ((0.1068355579f - 0.06784337929f * t) + t2 * (0.168641012f - 0.1259528772f * t) + t4 * 0.02885530773f);
		tail = bell * (t * q);
	}
};

#endif

// GELU (Hendrycks and Gimpel 2016): f(x) = x Phi(x)        f'(x) = Phi(x) + x phi(x)
//
// x Phi(x) is max(x, 0) - |x| Phi(-|x|). Beyond |x| = 16 the last term is 0, and is kept from becoming infinity times 0.
struct GELU {
	static __device__ __forceinline__ float value(float x, float) {
		return fmaxf(x, 0.0f) - fminf(fabsf(x), 16.0f) * Normal(x).tail;
	}
	static __device__ __forceinline__ float slope(float x, float) {
		const Normal normal(x);
		const float cdf = x < 0.0f ? normal.tail : 1.0f - normal.tail;
		return cdf + (0.39894228040143267794f * x) * normal.bell;
	}
};

// Logistic is the sigmoid s(x) and its derivative s(x) (1 - s(x)).
struct Logistic {
	float value, slope;

	__device__ __forceinline__ explicit Logistic(float x) {
		const float e = expf(-fabsf(x)), r = __fdividef(1.0f, 1.0f + e);
		value = x < 0.0f ? e * r : r;
		slope = e * r * r;
	}
};

// Sigmoid: f(x) = 1/(1 + exp(-x))        f'(x) = f(x) (1 - f(x))
struct Sigmoid {
	static __device__ __forceinline__ float value(float x, float) { return Logistic(x).value; }
	static __device__ __forceinline__ float slope(float x, float) { return Logistic(x).slope; }
};

// Tanh: f(x) = tanh(x)        f'(x) = 1 - tanh(x)^2 = 4 s(2x) (1 - s(2x))
struct Tanh {
	static __device__ __forceinline__ float value(float x, float) { return tanhf(x); }
	static __device__ __forceinline__ float slope(float x, float) { return 4.0f * Logistic(2.0f * x).slope; }
};

// GELUTanh approximates GELU: with u = sqrt(2/pi) (x + 0.044715 x^3),
//
//	f(x) = x/2 (1 + tanh u) = x s(2u)        f'(x) = s(2u) + x 2u' s(2u) (1 - s(2u))
//
// Beyond |x| = 16 the last term is 0, and is kept from becoming infinity times 0.
struct GELUTanh {
	static constexpr float twice = 1.59576912160573071176f; // 2 sqrt(2/pi)

	static __device__ __forceinline__ float value(float x, float) {
		return x * Logistic(twice * (x + 0.044715f * x * x * x)).value;
	}
	static __device__ __forceinline__ float slope(float x, float) {
		const Logistic s(twice * (x + 0.044715f * x * x * x));
		const float near = fminf(fmaxf(x, -16.0f), 16.0f);
		return s.value + near * twice * (1.0f + 3.0f * 0.044715f * near * near) * s.slope;
	}
};

// SiLU: f(x) = x s(x)        f'(x) = s(x) + x s(x) (1 - s(x))
struct SiLU {
	static __device__ __forceinline__ float value(float x, float) { return x * Logistic(x).value; }
	static __device__ __forceinline__ float slope(float x, float) {
		const Logistic s(x);
		return s.value + x * s.slope;
	}
};

// HardSwish: f(x) = x min(max(x+3, 0), 6)/6        f'(x) = 0 for x <= -3, 1 for x >= 3, else (2x+3)/6
struct HardSwish {
	static __device__ __forceinline__ float value(float x, float) {
		const float low = x < -3.0f ? -3.0f : x; // so that minus infinity gives 0
		const float r = low + 3.0f;
		return low * ((r > 6.0f ? 6.0f : r) * (1.0f / 6.0f));
	}
	static __device__ __forceinline__ float slope(float x, float) {
		return x <= -3.0f ? 0.0f : x >= 3.0f ? 1.0f : x * (1.0f / 3.0f) + 0.5f;
	}
};

// ELU: f(x) = x, or alpha*(exp(x) - 1) for x <= 0        f'(x) = 1 for x > 0, else alpha*exp(x)
struct ELU {
	static __device__ __forceinline__ float value(float x, float alpha) { return x <= 0.0f ? alpha * expm1f(x) : x; }
	static __device__ __forceinline__ float slope(float x, float alpha) { return x > 0.0f ? 1.0f : alpha * expf(x); }
};

// Softplus: f(x) = log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|))        f'(x) = s(x)
struct Softplus {
	static __device__ __forceinline__ float value(float x, float) {
		return (x <= 0.0f ? 0.0f : x) + log1pf(expf(-fabsf(x)));
	}
	static __device__ __forceinline__ float slope(float x, float) { return Logistic(x).value; }
};

// Mish: f(x) = x tanh(p(x)), p(x) = log(1 + exp(x))        f'(x) = tanh(p(x)) + x s(x) / cosh(p(x))^2
//
// With w = exp(-|x|), tanh(p) = n/d and s/cosh(p)^2 = 4 a (1+w)/d^2: nn/mish.go has the terms.
struct Mish {
	float w, n, d;

	__device__ __forceinline__ explicit Mish(float x) {
		w = expf(-fabsf(x));
		n = 2.0f * w + (x < 0.0f ? w * w : 1.0f);
		d = n + (x < 0.0f ? 2.0f : 2.0f * w * w);
	}
	static __device__ __forceinline__ float value(float x, float) {
		const Mish m(x);
		return x * __fdividef(m.n, m.d);
	}
	static __device__ __forceinline__ float slope(float x, float) {
		const Mish m(x);
		const float inverse = __fdividef(1.0f, m.d), a = x < 0.0f ? m.w : m.w * m.w;
		return m.n * inverse + x * (4.0f * a * (1.0f + m.w) * inverse * inverse);
	}
};

} // namespace

// ACTIVATIONS(X) is X(name, struct) for every activation, name being that of nn's device.Function with _ for -.
#define ACTIVATIONS(X) \
	X(relu, ReLU) \
	X(leaky_relu, LeakyReLU) \
	X(gelu, GELU) \
	X(gelu_tanh, GELUTanh) \
	X(sigmoid, Sigmoid) \
	X(tanh, Tanh) \
	X(silu, SiLU) \
	X(hard_swish, HardSwish) \
	X(elu, ELU) \
	X(softplus, Softplus) \
	X(mish, Mish)

// FUSED_WITH_BATCHNORM(X) is X(_name, struct) for the activations that batchnorm.cu applies: those that a built-in
// recipe has after batch normalisation.
#define FUSED_WITH_BATCHNORM(X) \
	X(_relu, ReLU) \
	X(_gelu, GELU)
