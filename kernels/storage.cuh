// storage.cuh: the element type of tensors in memory, and conversions between it and float.
//
// A source that names its kernels KERNEL(name) is compiled three times: as it is for float32 elements
// (name_f32), with STORAGE_FLOAT16 for IEEE binary16 (name_f16), and with STORAGE_BFLOAT16 for bfloat16
// (name_bf16), which needs compute capability 8.0. The formulas are written once, in float: every kernel
// converts its inputs to float32, computes in float32, and rounds its results to nearest, ties to even.
#pragma once

#ifndef CUDA_HOST
#include <cuda_fp16.h>
#ifdef STORAGE_BFLOAT16
#include <cuda_bf16.h>
#endif
#endif

#if defined(STORAGE_FLOAT16)
#define KERNEL(name) name##_f16
typedef __half Element;
#elif defined(STORAGE_BFLOAT16)
#define KERNEL(name) name##_bf16
typedef __nv_bfloat16 Element;
#else
#define KERNEL(name) name##_f32
typedef float Element;
#endif

// The number of elements that one thread moves at once: 16 bytes, the widest access.
#define PACK (16 / (int)sizeof(Element))

namespace {

__device__ __forceinline__ float widen(float v) { return v; }
__device__ __forceinline__ float widen(unsigned char v) { return (float)v; }
__device__ __forceinline__ float widen(__half v) { return __half2float(v); }
__device__ __forceinline__ void narrow(float &to, float v) { to = v; }
__device__ __forceinline__ void narrow(__half &to, float v) { to = __float2half_rn(v); }
#if defined(CUDA_HOST) || defined(STORAGE_BFLOAT16)
__device__ __forceinline__ float widen(__nv_bfloat16 v) { return __bfloat162float(v); }
__device__ __forceinline__ void narrow(__nv_bfloat16 &to, float v) { to = __float2bfloat16_rn(v); }
#endif

// Vector is W elements that are loaded and stored together, at an address that is a multiple of their total
// size.
template <class T, int W> struct alignas(W * sizeof(T) < 16 ? W * sizeof(T) : 16) Vector {
	T e[W];
};

template <class T, int W> __device__ __forceinline__ Vector<T, W> load(const T *from) {
	return *reinterpret_cast<const Vector<T, W> *>(from);
}

template <class T, int W> __device__ __forceinline__ void store(T *to, const Vector<T, W> &v) {
	*reinterpret_cast<Vector<T, W> *>(to) = v;
}

// aligned reports whether vectors may be loaded from p.
__device__ __forceinline__ bool aligned(const void *p) { return (reinterpret_cast<size_t>(p) & 15) == 0; }

} // namespace
