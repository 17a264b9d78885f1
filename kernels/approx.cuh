// approx.cuh: instructions of the special function unit that no intrinsic reaches: those that flush subnormal operands and
// results to zero (.ftz). The intrinsics __expf and __fdividef take three more instructions each to keep them, which
// results in 16 bits have no use for: float16's smallest number is 2^-24, far above 2^-126.
//
// This is the only place with PTX in a source. The host's functions, which tests run, are more accurate; the bounds are
// those of the PTX manual.
#pragma once

#ifndef CUDA_HOST
#define APPROX(name, instruction) \
	__device__ __forceinline__ float name(float x) { \
		float y; \
		asm(instruction " %0, %1;" : "=f"(y) : "f"(x)); \
		return y; \
	}
#endif

namespace {

#ifdef CUDA_HOST
inline float approxExp2(float x) { return exp2f(x); }
inline float approxReciprocal(float x) { return 1.0f / x; }
#else
APPROX(approxExp2, "ex2.approx.ftz.f32")       // 2^x, off by a relative 2^-22
APPROX(approxReciprocal, "rcp.approx.ftz.f32") // 1/x, off by a unit in the last place
#endif

} // namespace
