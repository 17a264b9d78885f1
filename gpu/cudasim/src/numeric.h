// numeric.h: the 16-bit floating-point types. All arithmetic of the libraries converts operands to float32,
// computes in float32, and rounds when it stores.
#pragma once
#include <cstdint>
#include <cstring>

namespace sim {

enum class Type { Float, Half, BFloat16 };

inline size_t bytesOf(Type t) { return t == Type::Float ? 4 : 2; }
inline const char *nameOf(Type t) { return t == Type::Float ? "float" : t == Type::Half ? "half" : "bfloat16"; }

inline float fromBits(uint32_t b) {
	float f;
	memcpy(&f, &b, 4);
	return f;
}

inline uint32_t toBits(float f) {
	uint32_t b;
	memcpy(&b, &f, 4);
	return b;
}

// binary16: 1 sign, 5 exponent bits with bias 15, 10 mantissa bits.
inline float halfToFloat(uint16_t h) {
	uint32_t sign = uint32_t(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 1023;
	if (exponent == 31) return fromBits(sign | 0x7F800000 | fraction << 13);
	if (exponent != 0) return fromBits(sign | (exponent + 112) << 23 | fraction << 13);
	float subnormal = float(fraction) * 0x1p-24f;
	return sign ? -subnormal : subnormal;
}

// To nearest, ties to even.
inline uint16_t floatToHalf(float f) {
	uint32_t b = toBits(f), sign = b >> 16 & 0x8000, magnitude = b & 0x7FFFFFFF;
	if (magnitude > 0x7F800000) return uint16_t(sign | 0x7FFF);
	if (magnitude >= 0x47800000) return uint16_t(sign | 0x7C00); // 2^16 or more
	if (magnitude < 0x38800000) { // below 2^-14: adding 1/2 rounds to a multiple of the smallest subnormal
		float sum = fromBits(magnitude) + 0.5f;
		return uint16_t(sign | (toBits(sum) - 0x3F000000));
	}
	uint32_t rounded = magnitude + 0xFFF + (magnitude >> 13 & 1);
	return uint16_t(sign | (rounded - (112u << 23)) >> 13);
}

inline float bfloat16ToFloat(uint16_t h) { return fromBits(uint32_t(h) << 16); }

inline uint16_t floatToBfloat16(float f) {
	uint32_t b = toBits(f);
	if ((b & 0x7FFFFFFF) > 0x7F800000) return 0x7FFF;
	return uint16_t((b + 0x7FFF + (b >> 16 & 1)) >> 16);
}

// loadRun reads n elements that lie `stride` elements apart.
inline void loadRun(Type t, const void *from, size_t stride, size_t n, float *to) {
	const char *p = static_cast<const char *>(from);
	if (t == Type::Float && stride == 1) {
		memcpy(to, p, 4 * n);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		const char *e = p + i * stride * bytesOf(t);
		uint16_t h;
		if (t == Type::Float) {
			memcpy(&to[i], e, 4);
			continue;
		}
		memcpy(&h, e, 2);
		to[i] = t == Type::Half ? halfToFloat(h) : bfloat16ToFloat(h);
	}
}

inline float loadOne(Type t, const void *from) {
	float f;
	loadRun(t, from, 1, 1, &f);
	return f;
}

inline void storeOne(Type t, void *to, float f) {
	if (t == Type::Float) {
		memcpy(to, &f, 4);
		return;
	}
	uint16_t h = t == Type::Half ? floatToHalf(f) : floatToBfloat16(f);
	memcpy(to, &h, 2);
}

// blend writes alpha*f + beta*(old value); if beta is 0, the old value is not read.
inline void blend(Type t, void *to, float f, float alpha, float beta) {
	f *= alpha;
	if (beta != 0) f += beta * loadOne(t, to);
	storeOne(t, to, f);
}

} // namespace sim
