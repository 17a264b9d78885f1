// philox.cuh: the random numbers of nn/device/philox.go, bit for bit: Philox4x32-10 of Salmon,
// Moraes, Dror and Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011.
#pragma once

namespace {

struct Words {
	unsigned w[4];
};

// randomWords returns the four words of (seed, stream, step, block), as device.Random does: the key
// is the seed, the counter (block, step, stream, upper half of block). One round is
//
//	(hi0, lo0) = 0xD2511F53 * c0      (hi1, lo1) = 0xCD9E8D57 * c2
//	c0, c1, c2, c3 = hi1^c1^k0, lo1, hi0^c3^k1, lo0
//
// and between rounds the key advances by the Weyl constants.
__device__ __forceinline__ Words randomWords(unsigned seedLow, unsigned seedHigh, unsigned stream, unsigned step,
	unsigned blockLow, unsigned blockHigh) {
	unsigned c0 = blockLow, c1 = step, c2 = stream, c3 = blockHigh, k0 = seedLow, k1 = seedHigh;
#pragma unroll
	for (int round = 0; round < 10; round++) {
		const unsigned hi0 = __umulhi(0xD2511F53u, c0), lo0 = 0xD2511F53u * c0;
		const unsigned hi1 = __umulhi(0xCD9E8D57u, c2), lo1 = 0xCD9E8D57u * c2;
		c0 = hi1 ^ c1 ^ k0;
		c1 = lo1;
		c2 = hi0 ^ c3 ^ k1;
		c3 = lo0;
		k0 += 0x9E3779B9u;
		k1 += 0xBB67AE85u;
	}
	return Words{{c0, c1, c2, c3}};
}

// uniform maps a word to [0, 1), as device.Uniform does.
__device__ __forceinline__ float uniform(unsigned word) { return (float)(word >> 8) * 5.9604644775390625e-8f; }

// below maps a word to [0, n), as device.Below does.
__device__ __forceinline__ int below(unsigned word, int n) { return (int)__umulhi(word, (unsigned)n); }

} // namespace
