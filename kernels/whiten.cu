// whiten.cu: the convolution of images of 3 channels with filters of 2 x 2, a bias and an activation f (function.cuh), in one
// pass: airbench's whitening layer (Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", 2024), whose filters are
// computed from the images before training and then stay. Shapes: x [n,h,w,3]; filters [outC,2,2,3]; bias, dbias [outC];
// y, dy [n,h-1,w-1,outC].
//
//	z[n,i,j,o] = bias[o] + sum_{a,b,c} x[n,i+a,j+b,c] filter[o,a,b,c]        y = f(z)
//	dbias[o] = sum_{n,i,j} dy[n,i,j,o] f'(z[n,i,j,o])
//
// z is nowhere in memory: the backward pass computes it again, because 12 multiplications cost less than reading it. The
// filters need no gradient.
//
// A thread keeps 4 filters in registers, and takes strips of up to 8 pixels of a row: from one pixel to the next it loads one
// column of the image, 6 numbers. Neighbouring threads have neighbouring filters:
//
//	groups = outC/4        thread = lane*groups + group        lanes = 256/groups, each with strips of its own
//
// Launch: 256 threads, grid kernels.Whiten, any forward and exactly that one backward. 4 divides outC, outC <= 1024; the
// addresses of filters, bias, y and dy are multiples of 16. The pairs of ints are Divisors (division.cuh) of the strips per
// row and of h-1.
// Bytes per element of y, e being the element's size: e (1 + 3/outC) in both passes.
#include "columns.cuh"
#include "division.cuh"
#include "function.cuh"

namespace {

constexpr int taps = 12, filters = 4, strip = 8;

// Filters are the thread's.
struct Filters {
	float w[filters][taps], bias[filters];

	__device__ __forceinline__ Filters(const Element *from, const float *bias_, int group) {
#pragma unroll
		for (int i = 0; i < filters * taps; i += 4) {
			const Vector<Element, 4> v = load<Element, 4>(from + group * filters * taps + i);
#pragma unroll
			for (int k = 0; k < 4; k++) w[(i + k) / taps][(i + k) % taps] = widen(v.e[k]);
		}
		loadFloats<filters>(bias, bias_ + group * filters);
	}
};

// Strips is how threads share the strips of all rows.
struct Strips {
	int group, lane, lanes, groups;
	int perRow, outW, outC;
	unsigned count;
	Divisor byStrips, byHeight;

	__device__ __forceinline__ Strips(int rows, int outW, int outC, const Divisor &byStrips, const Divisor &byHeight)
		: groups(outC / filters), perRow((outW + strip - 1) / strip), outW(outW), outC(outC), byStrips(byStrips), byHeight(byHeight) {
		group = threadIdx.x % groups;
		lane = threadIdx.x / groups;
		lanes = columnThreads / groups;
		count = (unsigned)rows * perRow;
	}
	__device__ __forceinline__ bool active() const { return lane < lanes; }

	// forEach calls f(z, at) for the pixels of the thread's strips: its 4 values z, and the index of the first in y.
	template <class F> __device__ __forceinline__ void forEach(const Element *x, const Filters &w, F f) const {
#pragma unroll 1
		for (unsigned s = blockIdx.x * lanes + lane; s < count; s += gridDim.x * lanes) {
			const unsigned row = byStrips.quotient(s), first = (s - row * perRow) * strip;
			// An image has a row more than its output.
			const Element *upper = x + ((row + byHeight.quotient(row)) * (outW + 1) + first) * 3, *lower = upper + (outW + 1) * 3;
			unsigned at = (row * outW + first) * outC + group * filters;
			const int pixels = min(strip, outW - (int)first);
			float v[taps]; // [2][2][3], as the filters
#pragma unroll
			for (int c = 0; c < 3; c++) {
				v[3 + c] = widen(upper[c]);
				v[9 + c] = widen(lower[c]);
			}
#pragma unroll 1
			for (int j = 1; j <= pixels; j++, at += outC) {
#pragma unroll
				for (int c = 0; c < 3; c++) {
					v[c] = v[3 + c];
					v[6 + c] = v[9 + c];
					v[3 + c] = widen(upper[3 * j + c]);
					v[9 + c] = widen(lower[3 * j + c]);
				}
				float z[filters];
#pragma unroll
				for (int i = 0; i < filters; i++) {
					float sum = 0.0f;
#pragma unroll
					for (int k = 0; k < taps; k++) sum += v[k] * w.w[i][k];
					z[i] = sum + w.bias[i];
				}
				f(z, at);
			}
		}
	}
};

} // namespace

extern "C" __global__ void __launch_bounds__(256)
KERNEL(whiten_gelu_forward)(Element *y, const Element *x, const Element *filter, const float *bias, int rows, int outW, int outC,
	int stripsM, int stripsS, int heightM, int heightS) {
	const Strips strips(rows, outW, outC, Divisor(stripsM, stripsS), Divisor(heightM, heightS));
	if (!strips.active()) return;
	strips.forEach(x, Filters(filter, bias, strips.group), [&](const float (&z)[filters], unsigned at) {
		Vector<Element, filters> out;
#pragma unroll
		for (int i = 0; i < filters; i++) narrow(out.e[i], GELU::value(z[i], 0.0f));
		store(y + at, out);
	});
}

// whiten_gelu_bias computes dbias. partial is [gridDim.x, outC], arrived one number (columns.cuh).
extern "C" __global__ void __launch_bounds__(256)
KERNEL(whiten_gelu_bias)(float *dbias, float *partial, unsigned *arrived, const Element *dy, const Element *x, const Element *filter,
	const float *bias, int rows, int outW, int outC, int stripsM, int stripsS, int heightM, int heightS) {
	const Strips strips(rows, outW, outC, Divisor(stripsM, stripsS), Divisor(heightM, heightS));
	float sum[filters] = {};
	if (strips.active()) {
		strips.forEach(x, Filters(filter, bias, strips.group), [&](const float (&z)[filters], unsigned at) {
			const Vector<Element, filters> d = load<Element, filters>(dy + at);
#pragma unroll
			for (int i = 0; i < filters; i++) sum[i] += widen(d.e[i]) * GELU::slope(z[i], 0.0f);
		});
	}
	Place p;
	p.column = strips.group * filters;
	p.lane = strips.lane;
	p.lanes = strips.lanes;
	p.stride = strips.groups;
	p.first = p.end = 0;
	p.active = strips.active();
	if (finishSums<filters, 1>(sum, partial, arrived, p, outC)) storeFloats<filters>(dbias + p.column, sum);
}
