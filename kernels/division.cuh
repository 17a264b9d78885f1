// division.cuh: division of indices by a number that is the same for all threads, with a multiplication. A GPU has no
// instruction for integer division; the compiler's code for a divisor that it doesn't know takes about 20.
//
// For 0 <= n < 2^31 and d >= 1, with l = ceil(log2 d) and m = ceil(2^(31+l) / d), which is below 2^32,
//
//	floor(n/d) = floor(n m / 2^(31+l))
//
// because m d exceeds 2^(31+l) by less than d <= 2^l, so that n m / 2^(31+l) exceeds n/d by less than 1/d (Granlund and
// Montgomery, "Division by Invariant Integers using Multiplication", 1994, theorem 4.2). kernels.DivisorOf computes
// multiplier = m and shift = l.
#pragma once

namespace {

struct Divisor {
	unsigned multiplier, shift;

	__device__ __forceinline__ Divisor(int multiplier, int shift) : multiplier((unsigned)multiplier), shift((unsigned)shift) {}
	__device__ __forceinline__ unsigned quotient(unsigned n) const { return __umulhi(2 * n, multiplier) >> shift; }
};

} // namespace
