// optimizer.cu: one step of an update rule over all parameters, in one launch. Weight decay is either part of the
// gradient g (coupled) or not (decoupled: Loshchilov and Hutter 2019):
//
//	g = gradScale*grad + weightDecay*w                  keep = 1        or
//	g = gradScale*grad                                  keep = 1 - lr*weightDecay
//
//	SGD       v = momentum*v + g;  w = keep*w - lr*v, or - lr*(g + momentum*v) with Nesterov; v = g without state
//	Adam      m = b1 m + (1-b1) g;  v = b2 v + (1-b2) g^2
//	          w = keep*w - lr * m*correction1 / (sqrt(v*correction2) + epsilon)
//	RMSProp   v = b2 v + (1-b2) g^2;  u = momentum*u + g/(sqrt(v) + epsilon);  w = keep*w - lr*u
//
// slots and chunks are tables in device memory. hyper, float32 [groups, 10], holds the values that change from step
// to step: learning rate, weight decay, momentum or beta1, beta2, correction1, correction2, gradScale, 1-momentum,
// 1-beta2. scaling is the state of scaling.cuh or null: gradients are also multiplied by INVERSE_SCALE, and if SKIP
// is set, nothing changes. A parameter may have a copy in 16 bits, which products read: it gets the rounded w.
//
// Launch of all: 256 threads, grid: as many blocks as chunks (kernels.Chunks).
// Bytes per parameter: SGD 12, with momentum 20; Adam 28; RMSProp 20, with momentum 28; 2 more for a copy.
#include "scaling.cuh"
#include "storage.cuh"
#include "table.cuh"

// Slot is one parameter, as kernels.Slot lays it out: state1 is the velocity of SGD, m of Adam, or v of RMSProp;
// state2 is v of Adam or u of RMSProp; null if the rule has no such state.
struct Slot {
	float *value;
	const float *grad;
	float *state1, *state2;
	unsigned short *copy; // of value in 16 bits, or null
	int group;            // row of hyper
	int bfloat16;         // whether the copy is bfloat16, otherwise float16
};

namespace {

#define HYPER_LEN 10

struct Hyperparameters {
	float lr, gradScale, coupled, keep, momentum, newMomentum, beta2, newBeta2, correction1, correction2, epsilon;

	__device__ __forceinline__ Hyperparameters(const float *h, float epsilon, int decoupled, const float *scaling)
		: lr(h[0]), gradScale(h[6]), coupled(decoupled ? 0.0f : h[1]), keep(decoupled ? 1.0f - h[0] * h[1] : 1.0f),
		  momentum(h[2]), newMomentum(h[7]), beta2(h[3]), newBeta2(h[8]),
		  correction1(h[4]), correction2(h[5]), epsilon(epsilon) {
		if (scaling) gradScale *= scaling[INVERSE_SCALE];
	}
};

// The step of a rule takes g and the states, updates the states, and returns the step, which is multiplied by lr
// and subtracted.
struct SGD {
	static __device__ __forceinline__ float step(float g, float &v, float &, const Slot &, const Hyperparameters &r) {
		return v = r.momentum * v + g;
	}
};

struct Nesterov {
	static __device__ __forceinline__ float step(float g, float &v, float &, const Slot &s, const Hyperparameters &r) {
		v = r.momentum * v + g;
		return s.state1 ? g + r.momentum * v : g;
	}
};

struct Adam {
	static __device__ __forceinline__ float step(float g, float &m, float &v, const Slot &, const Hyperparameters &r) {
		m = r.momentum * m + r.newMomentum * g;
		v = r.beta2 * v + r.newBeta2 * (g * g);
		return m * r.correction1 / (sqrtf(v * r.correction2) + r.epsilon);
	}
};

struct RMSProp {
	static __device__ __forceinline__ float step(float g, float &v, float &u, const Slot &s, const Hyperparameters &r) {
		v = r.beta2 * v + r.newBeta2 * (g * g);
		const float d = g / (sqrtf(v) + r.epsilon);
		return s.state2 ? u = r.momentum * u + d : d;
	}
};

// halfBits returns v in 16 bits, to nearest, ties to even. For bfloat16 that is half a unit added to the upper half of the bits,
// or a little less if the half is even; a NaN stays one.
__device__ __forceinline__ unsigned short halfBits(float v, int bfloat16) {
	if (bfloat16) {
		const unsigned bits = __float_as_uint(v);
		return v == v ? (bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16 : 0x7FFFu;
	}
	__half h;
	narrow(h, v);
	return *reinterpret_cast<unsigned short *>(&h);
}

template <class Rule>
__device__ __forceinline__ void update(const Slot *slots, const Chunk *chunks, const float *hyper, const float *scaling,
	float epsilon, int decoupled) {
	if (scaling && scaling[SKIP] != 0.0f) return;
	const Chunk chunk = chunks[blockIdx.x];
	const Slot s = slots[chunk.tensor];
	const Hyperparameters h(hyper + HYPER_LEN * s.group, epsilon, decoupled, scaling);
	constexpr int batch = 4; // loads in flight at a time
#pragma unroll 1
	for (int first = chunk.from + threadIdx.x; first < chunk.to; first += 256 * batch) {
		float w[batch], g[batch], state1[batch] = {}, state2[batch] = {};
#pragma unroll
		for (int k = 0; k < batch; k++) {
			const int i = first + 256 * k;
			if (i >= chunk.to) continue;
			w[k] = s.value[i];
			g[k] = s.grad[i];
			if (s.state1) state1[k] = s.state1[i];
			if (s.state2) state2[k] = s.state2[i];
		}
#pragma unroll
		for (int k = 0; k < batch; k++) {
			const int i = first + 256 * k;
			if (i >= chunk.to) continue;
			const float step = Rule::step(h.gradScale * g[k] + h.coupled * w[k], state1[k], state2[k], s, h);
			const float next = h.keep * w[k] - h.lr * step;
			s.value[i] = next;
			if (s.copy) s.copy[i] = halfBits(next, s.bfloat16);
			if (s.state1) s.state1[i] = state1[k];
			if (s.state2) s.state2[i] = state2[k];
		}
	}
}

} // namespace

extern "C" __global__ void __launch_bounds__(256)
optimizer_sgd(const Slot *slots, const Chunk *chunks, const float *hyper, const float *scaling, int decoupled) {
	update<SGD>(slots, chunks, hyper, scaling, 0.0f, decoupled);
}

extern "C" __global__ void __launch_bounds__(256)
optimizer_nesterov(const Slot *slots, const Chunk *chunks, const float *hyper, const float *scaling, int decoupled) {
	update<Nesterov>(slots, chunks, hyper, scaling, 0.0f, decoupled);
}

extern "C" __global__ void __launch_bounds__(256)
optimizer_adam(const Slot *slots, const Chunk *chunks, const float *hyper, const float *scaling, float epsilon, int decoupled) {
	update<Adam>(slots, chunks, hyper, scaling, epsilon, decoupled);
}

extern "C" __global__ void __launch_bounds__(256)
optimizer_rmsprop(const Slot *slots, const Chunk *chunks, const float *hyper, const float *scaling, float epsilon, int decoupled) {
	update<RMSProp>(slots, chunks, hyper, scaling, epsilon, decoupled);
}
