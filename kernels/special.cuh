// special.cuh: float32 infinity and NaN.
#pragma once

namespace {

__device__ __forceinline__ float infinity() { return __uint_as_float(0x7F800000u); }
__device__ __forceinline__ float notANumber() { return __uint_as_float(0x7FC00000u); }

} // namespace
