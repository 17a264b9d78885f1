// transform.cu: the first and the last step of device.TransformSpec, and its targets. Between loading and normalising,
// the kernels of image_NAME.cu modify the float32 images:
//
//	x[n] = images[n] / 255, or images[ids[n]] / 255        y[n,i] = (x[n,i] - mean[k]) / std[k], k being i's channel
//
// An id outside [0, set) gives NaN.
#include "special.cuh"
#include "storage.cuh"

namespace {

// known reports whether the block's image is in the set.
__device__ __forceinline__ bool known(const int *ids, int set) {
	return !ids || (ids[blockIdx.x] >= 0 && ids[blockIdx.x] < set);
}

} // namespace

// transform_load: x = images / 255; ids is null if images holds the batch itself.
// Launch: 256 threads, grid (n), exactly.
// Bytes per element: 1 read, 4 written.
extern "C" __global__ void __launch_bounds__(256)
KERNEL(transform_load)(float *x, const unsigned char *images, const int *ids, int size, int set) {
	const size_t from = !ids ? blockIdx.x : known(ids, set) ? ids[blockIdx.x] : 0;
	x += blockIdx.x * (size_t)size;
	images += from * size;
	for (int i = threadIdx.x; i < size; i += blockDim.x) x[i] = (float)images[i] / 255.0f;
}

// transform_normalize: y = (x - mean) / std.
// Launch: 256 threads, grid (n), exactly.
// Bytes per element: 4 read, one element written.
extern "C" __global__ void __launch_bounds__(256)
KERNEL(transform_normalize)(Element *y, const float *x, const int *ids, const float *mean, const float *std, int size, int c, int set) {
	x += blockIdx.x * (size_t)size;
	y += blockIdx.x * (size_t)size;
	const bool ok = known(ids, set);
	for (int i = threadIdx.x; i < size; i += blockDim.x) narrow(y[i], ok ? (x[i] - mean[i % c]) / std[i % c] : notANumber());
}

// transform_targets: dst[i,k] is the sum of the weights of those partners j = 0 to partners-1 for which the label of
// image (i+j) mod n is k. The weights are in the last columns of drawn; if partners is 0, the image's own label has the
// weight 1. If one of its labels is not a class, the row is NaN.
// Launch: 256 threads, grid ceil(n / 256).
extern "C" __global__ void __launch_bounds__(256)
KERNEL(transform_targets)(float *dst, const int *labels, const float *drawn, int n, int classes, int columns, int partners) {
	const int i = blockIdx.x * blockDim.x + threadIdx.x;
	if (i >= n) return;
	dst += (size_t)i * classes;
	for (int k = 0; k < classes; k++) dst[k] = 0;
	const float *shares = drawn + (size_t)i * columns + columns - partners;
	for (int j = 0; j < max(partners, 1); j++) {
		const int label = labels[(i + j) % n];
		if (label < 0 || label >= classes) {
			for (int k = 0; k < classes; k++) dst[k] = notANumber();
			return;
		}
		dst[label] += partners > 0 ? shares[j] : 1.0f;
	}
}
