// batchnorm.cuh: the formulas of batch normalisation (batchnorm.cu) for W neighbouring channels.
#pragma once

namespace {

// affine and inputGradient are the formulas of Affine and InputGradient, from centred = x-mean.
__device__ __forceinline__ float affine(float centred, float scale, float beta) { return centred * scale + beta; }
__device__ __forceinline__ float inputGradient(float dz, float centred, float scale, float slope, float shift) {
	return scale * dz + (slope * centred + shift);
}

// Affine is z = (x-mean) scale + beta, with scale = gamma/sqrt(var+epsilon). Subtracting first loses nothing where the mean is
// far from 0.
template <int W> struct Affine {
	float mean[W], scale[W], beta[W];

	// first is the first channel. Without active nothing is read.
	__device__ __forceinline__ Affine(int first, bool active, const float *gamma, const float *beta_, const float *mean_, const float *variance, float epsilon) {
#pragma unroll
		for (int k = 0; k < W; k++) {
			mean[k] = active ? mean_[first + k] : 0.0f;
			scale[k] = active ? gamma[first + k] * rsqrtf(variance[first + k] + epsilon) : 0.0f;
			beta[k] = active ? beta_[first + k] : 0.0f;
		}
	}
	// of returns z of channel k, from centred = x-mean.
	__device__ __forceinline__ float of(float centred, int k) const { return affine(centred, scale[k], beta[k]); }
};

// InputGradient is dx = scale dz + slope (x-mean) + shift, for dz with respect to Affine's z, with
//
//	slope = -scale dgamma/m / sqrt(var+epsilon)      shift = -scale dbeta/m
//
// sums is [2, c], dbeta and then dgamma, and m the number of rows.
template <int W> struct InputGradient {
	float slope[W], shift[W];

	__device__ __forceinline__ InputGradient(const Affine<W> &z, int first, const float *sums, int c, const float *variance, float epsilon, int rows) {
		const float each = 1.0f / rows;
#pragma unroll
		for (int k = 0; k < W; k++) {
			const int j = first + k;
			shift[k] = -z.scale[k] * sums[j] * each;
			slope[k] = -z.scale[k] * sums[c + j] * each * rsqrtf(variance[j] + epsilon);
		}
	}
	__device__ __forceinline__ float of(const Affine<W> &z, float dz, float centred, int k) const {
		return inputGradient(dz, centred, z.scale[k], slope[k], shift[k]);
	}
};

} // namespace
