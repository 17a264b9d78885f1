// The arithmetic of convolutions, and the rules of their algorithms.
//
//     y[n,p,q,k] = sum_{r,s,c} x[n, p*strideH + r*dilationH - padH, q*strideW + s*dilationW - padW, c] w[k,r,s,c]
//
// Convolutions are products with the im2col matrix [pixels][taps*channels], for one image after the other. All
// algorithms compute the same here. They differ in the workspace that they need and in the cases that they support,
// which follow cuDNN's documentation.
#include "dnn_conv.h"
#include "product.h"

#include <algorithm>

namespace sim {

namespace {

// Where gives the element of x that an element of the filter is multiplied by, for each output position; for a true
// convolution the filter is flipped.
struct Where {
	const Geometry &g;
	int row(int p, int r) const {
		if (g.conv.mode == CUDNN_CONVOLUTION) r = g.r - 1 - r;
		return p * g.conv.strideH + r * g.conv.dilationH - g.conv.padH;
	}
	int column(int q, int s) const {
		if (g.conv.mode == CUDNN_CONVOLUTION) s = g.s - 1 - s;
		return q * g.conv.strideW + s * g.conv.dilationW - g.conv.padW;
	}
};

// each calls f(x offset, tap, pixel) for all pixels p, q of an output image and all taps r, s that lie inside the input
// image.
template <class F> void each(const Geometry &g, const F &f) {
	Where where{g};
	for (int p = 0; p < g.p; p++)
		for (int q = 0; q < g.q; q++)
			for (int r = 0; r < g.r; r++) {
				int i = where.row(p, r);
				if (i < 0 || i >= g.h) continue;
				for (int s = 0; s < g.s; s++) {
					int j = where.column(q, s);
					if (j < 0 || j >= g.w) continue;
					f((size_t(i) * g.w + j) * g.c, size_t(r) * g.s + s, size_t(p) * g.q + q);
				}
			}
}

// Sizes of the im2col matrix of one image, [pixels][taps*c/groups] for each group.
struct Patches {
	size_t pixels, taps, channels, length, filters, x, y;
	explicit Patches(const Geometry &g)
		: pixels(size_t(g.p) * g.q), taps(size_t(g.r) * g.s), channels(g.cPerGroup()), length(taps * channels),
		  filters(g.kPerGroup()), x(size_t(g.h) * g.w * g.c), y(pixels * g.k) {}
};

// gather copies the patches of one group of an image, with zeros outside the image.
void gather(const Geometry &g, const Patches &s, const float *x, int group, Array *patches) {
	std::fill(patches->begin(), patches->end(), 0.0f);
	each(g, [&](size_t xAt, size_t tap, size_t pixel) {
		std::copy_n(x + xAt + group * s.channels, s.channels, &(*patches)[pixel * s.length + tap * s.channels]);
	});
}

// scatter adds patches to an image, the reverse of gather.
void scatter(const Geometry &g, const Patches &s, const Array &patches, int group, float *x) {
	each(g, [&](size_t xAt, size_t tap, size_t pixel) {
		float *to = x + xAt + group * s.channels;
		const float *from = &patches[pixel * s.length + tap * s.channels];
		for (size_t c = 0; c < s.channels; c++) to[c] += from[c];
	});
}

// transposed returns the filters of a group as [taps*c][k].
Array transposed(const Patches &s, const float *w) {
	Array t(s.length * s.filters);
	for (size_t k = 0; k < s.filters; k++)
		for (size_t l = 0; l < s.length; l++) t[l * s.filters + k] = w[k * s.length + l];
	return t;
}

} // namespace

cudnnStatus_t fit(DnnCall &call, const ConvolutionDesc &c, const TensorDesc &x, const FilterDesc &w, const TensorDesc &y, Geometry *g) {
	auto out = [](int in, int pad, int dilation, int filter, int stride) {
		int room = in + 2 * pad - dilation * (filter - 1) - 1;
		return room < 0 ? 0 : room / stride + 1;
	};
	*g = {x.n, x.c, x.h, x.w, w.k, w.h, w.w, out(x.h, c.padH, c.dilationH, w.h, c.strideH), out(x.w, c.padW, c.dilationW, w.w, c.strideW), c};
	auto wrong = [&](const std::string &what) { return call.wrong(Status::BadParam, kind::descriptor, what); };
	if (x.c != w.c * c.groups) return wrong(text("x has %d channels, the filter %d in each of %d groups", x.c, w.c, c.groups));
	if (w.k % c.groups) return wrong(text("%d filters in %d groups", w.k, c.groups));
	if (g->p < 1 || g->q < 1) return wrong(text("the %d x %d filter is larger than the %d x %d image", w.h, w.w, x.h, x.w));
	if (y.n != g->n || y.c != g->k || y.h != g->p || y.w != g->q)
		return wrong(text("y is %s, and should be [%d,%d,%d,%d]", shape(y).c_str(), g->n, g->k, g->p, g->q));
	return 0;
}

// y = patches w^T
Array convolve(const Geometry &g, const Array &x, const Array &w) {
	Patches s(g);
	Array y(g.n * s.y, 0.0f), patches(s.pixels * s.length);
	for (int group = 0; group < g.conv.groups; group++) {
		Array filters = transposed(s, &w[group * s.filters * s.length]);
		for (int n = 0; n < g.n; n++) {
			gather(g, s, &x[n * s.x], group, &patches);
			addProduct(s.pixels, s.filters, s.length, {patches.data(), s.length, 1}, filters.data(), s.filters, &y[n * s.y + group * s.filters], g.k);
		}
	}
	return y;
}

// The gradient of the patches is dy w; each element is added to the pixel that it came from.
Array convolveBackwardData(const Geometry &g, const Array &dy, const Array &w) {
	Patches s(g);
	Array dx(g.n * s.x, 0.0f), patches(s.pixels * s.length);
	for (int group = 0; group < g.conv.groups; group++)
		for (int n = 0; n < g.n; n++) {
			std::fill(patches.begin(), patches.end(), 0.0f);
			addProduct(s.pixels, s.length, s.filters, {&dy[n * s.y + group * s.filters], size_t(g.k), 1}, &w[group * s.filters * s.length], s.length, patches.data(), s.length);
			scatter(g, s, patches, group, &dx[n * s.x]);
		}
	return dx;
}

// dw = dy^T patches, summed over the images
Array convolveBackwardFilter(const Geometry &g, const Array &x, const Array &dy) {
	Patches s(g);
	Array dw(size_t(g.k) * s.length, 0.0f), patches(s.pixels * s.length);
	for (int group = 0; group < g.conv.groups; group++)
		for (int n = 0; n < g.n; n++) {
			gather(g, s, &x[n * s.x], group, &patches);
			addProduct(s.filters, s.length, s.pixels, {&dy[n * s.y + group * s.filters], 1, size_t(g.k)}, patches.data(), s.length, &dw[group * s.filters * s.length], s.length);
		}
	return dw;
}

const std::vector<Algorithm> &algorithms(Direction d) {
	static const std::vector<Algorithm> forward = {
		{CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM, true}, {CUDNN_CONVOLUTION_FWD_ALGO_WINOGRAD, true},
		{CUDNN_CONVOLUTION_FWD_ALGO_WINOGRAD_NONFUSED, true}, {CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM, true},
		{CUDNN_CONVOLUTION_FWD_ALGO_GEMM, true}, {CUDNN_CONVOLUTION_FWD_ALGO_FFT, true},
		{CUDNN_CONVOLUTION_FWD_ALGO_FFT_TILING, true}, {CUDNN_CONVOLUTION_FWD_ALGO_DIRECT, true}};
	static const std::vector<Algorithm> data = {
		{CUDNN_CONVOLUTION_BWD_DATA_ALGO_1, true}, {CUDNN_CONVOLUTION_BWD_DATA_ALGO_WINOGRAD, true},
		{CUDNN_CONVOLUTION_BWD_DATA_ALGO_WINOGRAD_NONFUSED, true}, {CUDNN_CONVOLUTION_BWD_DATA_ALGO_0, false},
		{CUDNN_CONVOLUTION_BWD_DATA_ALGO_FFT, true}, {CUDNN_CONVOLUTION_BWD_DATA_ALGO_FFT_TILING, true}};
	static const std::vector<Algorithm> filter = {
		{CUDNN_CONVOLUTION_BWD_FILTER_ALGO_0, false}, {CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1, true},
		{CUDNN_CONVOLUTION_BWD_FILTER_ALGO_WINOGRAD_NONFUSED, true}, {CUDNN_CONVOLUTION_BWD_FILTER_ALGO_3, false},
		{CUDNN_CONVOLUTION_BWD_FILTER_ALGO_FFT, true}, {CUDNN_CONVOLUTION_BWD_FILTER_ALGO_FFT_TILING, true},
		{CUDNN_CONVOLUTION_BWD_FILTER_ALGO_WINOGRAD, true}};
	return d == Direction::Forward ? forward : d == Direction::BackwardData ? data : filter;
}

namespace {

// Family decides the cases that an algorithm supports.
enum class Family { Any, GemmNchw, Fft, Winograd, WinogradNonfused, None };

Family familyOf(Direction d, int a) {
	if (d == Direction::Forward) {
		const Family f[] = {Family::Any, Family::Any, Family::GemmNchw, Family::None, Family::Fft, Family::Fft, Family::Winograd, Family::WinogradNonfused};
		return a >= 0 && a < 8 ? f[a] : Family::None;
	}
	if (d == Direction::BackwardData) {
		const Family f[] = {Family::Any, Family::Any, Family::Fft, Family::Fft, Family::Winograd, Family::WinogradNonfused};
		return a >= 0 && a < 6 ? f[a] : Family::None;
	}
	const Family f[] = {Family::Any, Family::Any, Family::Fft, Family::GemmNchw, Family::None, Family::WinogradNonfused, Family::Fft};
	return a >= 0 && a < 7 ? f[a] : Family::None;
}

} // namespace

bool supports(Direction d, int a, const Geometry &g, const TensorDesc &x, const FilterDesc &w, std::string *why) {
	const ConvolutionDesc &c = g.conv;
	Type t;
	auto no = [&](const char *reason) { return *why = text("algorithm %d ", a) + reason, false; };
	if (!typeOf(x.type, &t) || x.type != w.type || c.compute != CUDNN_DATA_FLOAT)
		return no("takes float, half and bfloat16 of one type, computed in float");
	if (w.format == CUDNN_TENSOR_NHWC ? !nhwc(x) : nhwc(x) && !nchw(x)) return no("takes no tensors and filters of different formats");
	Family f = familyOf(d, a);
	if (f == Family::Any) return true;
	if (f == Family::None) return no("is not there");
	if (w.format == CUDNN_TENSOR_NHWC || !nchw(x)) return no("takes NCHW only");
	if (c.dilationH != 1 || c.dilationW != 1) return no("takes no dilation");
	if (f == Family::GemmNchw) return true;
	if (c.strideH != 1 || c.strideW != 1) return no("takes stride 1 only");
	bool square = w.h == w.w, three = square && w.h == 3, five = square && w.h == 5;
	if (f == Family::Winograd) return three || no("takes 3 x 3 filters only");
	if (f == Family::WinogradNonfused) return three || five || no("takes 3 x 3 and 5 x 5 filters only");
	bool fits = x.h + 2 * c.padH <= 256 && x.w + 2 * c.padW <= 256 && c.padH < w.h && c.padW < w.w;
	return (fits && t == Type::Float) || no("takes images up to 256 x 256 in float only");
}

size_t workspaceBytes(Direction d, int a, const Geometry &g, const FilterDesc &w) {
	size_t filter = size_t(w.k) * w.c * w.h * w.w * 4, patches = size_t(g.p) * g.q * w.c * w.h * w.w * 4;
	auto rounded = [](size_t n) { return (n + 255) / 256 * 256; };
	switch (familyOf(d, a)) {
	case Family::GemmNchw: return rounded(patches);
	case Family::Winograd: return rounded(filter * 2);
	case Family::WinogradNonfused: return rounded(filter * 4 + patches);
	case Family::Fft: return rounded((size_t(g.c) + g.k) * 4096);
	case Family::Any: return a == 1 ? rounded(filter) : 0; // the first two algorithms of each direction: algorithm 0 needs no workspace
	default: return 0;
	}
}

} // namespace sim
