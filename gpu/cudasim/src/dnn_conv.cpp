// The arithmetic of convolutions, and the rules of their algorithms.
//
//     y[n,p,q,k] = sum_{r,s,c} x[n, p*strideH + r*dilationH - padH, q*strideW + s*dilationW - padW, c] w[k,r,s,c]
//
// All algorithms compute the same here. They differ in the workspace that they want and in the cases that they take,
// which follow cuDNN's documentation.
#include "dnn_conv.h"

#include <algorithm>

namespace sim {

namespace {

// Where tells which x a filter's element meets at an output position; flipped for a true convolution.
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

// each calls f(x offset, w offset, y offset) for all n, p, q, r, s inside of the image. w is [r][s].
template <class F> void each(const Geometry &g, const F &f) {
	Where where{g};
	for (int n = 0; n < g.n; n++)
		for (int p = 0; p < g.p; p++)
			for (int q = 0; q < g.q; q++) {
				size_t y = ((size_t(n) * g.p + p) * g.q + q) * g.k;
				for (int r = 0; r < g.r; r++) {
					int i = where.row(p, r);
					if (i < 0 || i >= g.h) continue;
					for (int s = 0; s < g.s; s++) {
						int j = where.column(q, s);
						if (j < 0 || j >= g.w) continue;
						f(((size_t(n) * g.h + i) * g.w + j) * g.c, size_t(r) * g.s + s, y);
					}
				}
			}
}

// addScaled is y += f*x, over contiguous elements.
void addScaled(float *__restrict y, float f, const float *__restrict x, int n) {
	for (int i = 0; i < n; i++) y[i] += f * x[i];
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

// The inner loop runs over output channels: the filter is turned to [group][r][s][c][k].
Array convolve(const Geometry &g, const Array &x, const Array &w) {
	const int cg = g.cPerGroup(), kg = g.kPerGroup(), taps = g.r * g.s;
	Array turned(w.size()), y(size_t(g.n) * g.p * g.q * g.k, 0.0f);
	for (int k = 0; k < g.k; k++)
		for (int t = 0; t < taps; t++)
			for (int c = 0; c < cg; c++)
				turned[((size_t(k / kg) * taps + t) * cg + c) * kg + k % kg] = w[(size_t(k) * taps + t) * cg + c];
	each(g, [&](size_t xAt, size_t tap, size_t yAt) {
		for (int group = 0; group < g.conv.groups; group++) {
			const float *filter = &turned[(size_t(group) * taps + tap) * cg * kg];
			for (int c = 0; c < cg; c++)
				addScaled(&y[yAt + size_t(group) * kg], x[xAt + size_t(group) * cg + c], filter + size_t(c) * kg, kg);
		}
	});
	return y;
}

// The inner loop runs over input channels.
Array convolveBackwardData(const Geometry &g, const Array &dy, const Array &w) {
	const int cg = g.cPerGroup(), kg = g.kPerGroup(), taps = g.r * g.s;
	Array dx(size_t(g.n) * g.h * g.w * g.c, 0.0f);
	each(g, [&](size_t xAt, size_t tap, size_t yAt) {
		for (int k = 0; k < g.k; k++)
			addScaled(&dx[xAt + size_t(k / kg) * cg], dy[yAt + k], &w[(size_t(k) * taps + tap) * cg], cg);
	});
	return dx;
}

// The inner loop runs over output channels, into [group][r][s][c][k].
Array convolveBackwardFilter(const Geometry &g, const Array &x, const Array &dy) {
	const int cg = g.cPerGroup(), kg = g.kPerGroup(), taps = g.r * g.s;
	Array turned(size_t(g.k) * taps * cg, 0.0f), dw(turned.size());
	each(g, [&](size_t xAt, size_t tap, size_t yAt) {
		for (int group = 0; group < g.conv.groups; group++) {
			float *filter = &turned[(size_t(group) * taps + tap) * cg * kg];
			for (int c = 0; c < cg; c++)
				addScaled(filter + size_t(c) * kg, x[xAt + size_t(group) * cg + c], &dy[yAt + size_t(group) * kg], kg);
		}
	});
	for (int k = 0; k < g.k; k++)
		for (int t = 0; t < taps; t++)
			for (int c = 0; c < cg; c++)
				dw[(size_t(k) * taps + t) * cg + c] = turned[((size_t(k / kg) * taps + t) * cg + c) * kg + k % kg];
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

// Family is what decides the cases that an algorithm takes.
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
	case Family::Any: return a == 1 ? rounded(filter) : 0; // the first two algorithms of each direction: 0 needs none
	default: return 0;
	}
}

} // namespace sim
