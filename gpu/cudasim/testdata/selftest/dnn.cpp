// The software cuDNN against loops over [n,c,h,w] in float64.
#include "selftest.h"
#include "../../src/numeric.h"

#include <algorithm>
#include <memory>

using sim::Type;

namespace {

const float one = 1, zero = 0;

cudnnDataType_t codeOf(Type t) { return t == Type::Float ? CUDNN_DATA_FLOAT : t == Type::Half ? CUDNN_DATA_HALF : CUDNN_DATA_BFLOAT16; }
double toleranceOf(Type t) { return t == Type::Float ? 2e-5 : t == Type::Half ? 2e-3 : 1.6e-2; }
int bad() { return cudnnGetVersion() >= 90000 ? 2000 : 3; }
int unsupported() { return cudnnGetVersion() >= 90000 ? 3000 : 9; }

// Array is a tensor on the host in float64, [n][c][h][w].
struct Array {
	int n, c, h, w;
	std::vector<double> v;
	Array(int n, int c, int h, int w) : n(n), c(c), h(h), w(w), v(size_t(n) * c * h * w, 0.0) {}
	double &operator()(int i, int j, int k, int l) { return v[((size_t(i) * c + j) * h + k) * w + l]; }
	double operator()(int i, int j, int k, int l) const { return v[((size_t(i) * c + j) * h + k) * w + l]; }
};

// Tensor is a tensor on the device, with its descriptor, in one of three layouts: NCHW, NHWC, or NHWC with
// gaps.
enum Layout { NCHW, NHWC, Gaps };

struct Tensor {
	Type type;
	Layout layout;
	Array host;
	cudnnTensorDescriptor_t desc;
	std::unique_ptr<Memory> memory;

	Tensor(Type t, Layout l, int n, int c, int h, int w, unsigned seed) : type(t), layout(l), host(n, c, h, w) {
		OK(cudnnCreateTensorDescriptor(&desc));
		int gap = l == Gaps ? 3 : 0;
		if (l == NCHW) OK(cudnnSetTensor4dDescriptor(desc, CUDNN_TENSOR_NCHW, codeOf(t), n, c, h, w));
		else OK(cudnnSetTensor4dDescriptorEx(desc, codeOf(t), n, c, h, w, (c + gap) * w * h, 1, (c + gap) * w, c + gap));
		memory.reset(new Memory(elements() * sim::bytesOf(t)));
		auto values = randoms(host.v.size(), seed);
		for (size_t i = 0; i < values.size(); i++) host.v[i] = rounded(values[i]);
		if (seed) upload();
	}
	~Tensor() { OK(cudnnDestroyTensorDescriptor(desc)); }
	float rounded(float f) const {
		char bytes[4];
		sim::storeOne(type, bytes, f);
		return sim::loadOne(type, bytes);
	}
	size_t at(int i, int j, int k, int l) const {
		if (layout == NCHW) return ((size_t(i) * host.c + j) * host.h + k) * host.w + l;
		size_t pixel = size_t(host.c) + (layout == Gaps ? 3 : 0);
		return ((size_t(i) * host.h + k) * host.w + l) * pixel + j;
	}
	size_t elements() const { return at(host.n - 1, host.c - 1, host.h - 1, host.w - 1) + 1; }
	template <class F> void each(F f) const {
		for (int i = 0; i < host.n; i++)
			for (int j = 0; j < host.c; j++)
				for (int k = 0; k < host.h; k++)
					for (int l = 0; l < host.w; l++) f(i, j, k, l);
	}
	// upload writes only the elements; gaps stay as they are.
	void upload() {
		size_t bytes = sim::bytesOf(type);
		if (layout != Gaps) {
			std::vector<char> all(elements() * bytes);
			each([&](int i, int j, int k, int l) { sim::storeOne(type, &all[at(i, j, k, l) * bytes], float(host(i, j, k, l))); });
			OK(cuMemcpyHtoD_v2(memory->p, all.data(), all.size()));
			return;
		}
		each([&](int i, int j, int k, int l) {
			char e[4];
			sim::storeOne(type, e, float(host(i, j, k, l)));
			OK(cuMemcpyHtoD_v2(memory->p + at(i, j, k, l) * bytes, e, bytes));
		});
	}
	std::vector<float> download() {
		size_t bytes = sim::bytesOf(type);
		std::vector<float> out;
		OK(cuCtxSynchronize());
		each([&](int i, int j, int k, int l) {
			char e[4];
			OK(cuMemcpyDtoH_v2(e, memory->p + at(i, j, k, l) * bytes, bytes));
			out.push_back(sim::loadOne(type, e));
		});
		return out;
	}
	void *data() const { return memory->at(); }
};

struct Handle {
	cudnnHandle_t h;
	Handle() { OK(cudnnCreate(&h)); }
	~Handle() { OK(cudnnDestroy(h)); }
};

struct Convolution {
	int n, c, h, w, k, r, s, padH, padW, strideH, strideW, dilationH, dilationW, groups;
	cudnnConvolutionMode_t mode;
	int p() const { return (h + 2 * padH - dilationH * (r - 1) - 1) / strideH + 1; }
	int q() const { return (w + 2 * padW - dilationW * (s - 1) - 1) / strideW + 1; }
	// each calls f for every product: x(n,c,i,j) w(k,cc,a,b) y(n,k,p,q).
	template <class F> void each(F f) const {
		int cg = c / groups, kg = k / groups;
		for (int in = 0; in < n; in++)
			for (int ik = 0; ik < k; ik++)
				for (int ip = 0; ip < p(); ip++)
					for (int iq = 0; iq < q(); iq++)
						for (int cc = 0; cc < cg; cc++)
							for (int a = 0; a < r; a++)
								for (int b = 0; b < s; b++) {
									int i = ip * strideH - padH + a * dilationH, j = iq * strideW - padW + b * dilationW;
									if (i < 0 || j < 0 || i >= h || j >= w) continue;
									bool flip = mode == CUDNN_CONVOLUTION;
									f(in, ik / kg * cg + cc, i, j, ik, cc, flip ? r - 1 - a : a, flip ? s - 1 - b : b, ip, iq);
								}
	}
};

void checkConvolution(const Convolution &v, Type type, Layout layout) {
	Handle dnn;
	int cg = v.c / v.groups;
	Tensor x(type, layout, v.n, v.c, v.h, v.w, 1), y(type, layout, v.n, v.k, v.p(), v.q(), 2), dx(type, layout, v.n, v.c, v.h, v.w, 3);
	Layout filterLayout = layout == NCHW ? NCHW : NHWC;
	Tensor w(type, filterLayout, v.k, cg, v.r, v.s, 4), dw(type, filterLayout, v.k, cg, v.r, v.s, 0), db(type, filterLayout, 1, v.k, 1, 1, 0), bias(type, filterLayout, 1, v.k, 1, 1, 5);
	cudnnFilterDescriptor_t filter;
	cudnnConvolutionDescriptor_t conv;
	OK(cudnnCreateFilterDescriptor(&filter));
	OK(cudnnSetFilter4dDescriptor(filter, codeOf(type), layout == NCHW ? CUDNN_TENSOR_NCHW : CUDNN_TENSOR_NHWC, v.k, cg, v.r, v.s));
	OK(cudnnCreateConvolutionDescriptor(&conv));
	OK(cudnnSetConvolution2dDescriptor(conv, v.padH, v.padW, v.strideH, v.strideW, v.dilationH, v.dilationW, v.mode, CUDNN_DATA_FLOAT));
	OK(cudnnSetConvolutionGroupCount(conv, v.groups));
	int n, k, p, q;
	OK(cudnnGetConvolution2dForwardOutputDim(conv, x.desc, filter, &n, &k, &p, &q));
	CHECK(n == v.n && k == v.k && p == v.p() && q == v.q());

	Array wantY(v.n, v.k, v.p(), v.q()), wantDx(v.n, v.c, v.h, v.w), wantDw(v.k, cg, v.r, v.s), wantDb(1, v.k, 1, 1);
	v.each([&](int in, int ic, int i, int j, int ik, int cc, int a, int b, int ip, int iq) {
		wantY(in, ik, ip, iq) += x.host(in, ic, i, j) * w.host(ik, cc, a, b);
		wantDx(in, ic, i, j) += y.host(in, ik, ip, iq) * w.host(ik, cc, a, b);
		wantDw(ik, cc, a, b) += y.host(in, ik, ip, iq) * x.host(in, ic, i, j);
	});
	y.each([&](int in, int ik, int ip, int iq) { wantDb(0, ik, 0, 0) += y.host(in, ik, ip, iq); });
	double tolerance = toleranceOf(type) * (type == Type::Float ? 3 : 2);
	Memory workspace(1 << 20);

	// The gradients use y as dy, so they come first.
	for (auto algo : {CUDNN_CONVOLUTION_BWD_DATA_ALGO_0, CUDNN_CONVOLUTION_BWD_DATA_ALGO_1}) {
		size_t bytes;
		OK(cudnnGetConvolutionBackwardDataWorkspaceSize(dnn.h, filter, y.desc, conv, dx.desc, algo, &bytes));
		OK(cudnnConvolutionBackwardData(dnn.h, &one, filter, w.data(), y.desc, y.data(), conv, algo, workspace.at(), bytes, &zero, dx.desc, dx.data()));
		NEAR(dx.download(), wantDx.v, tolerance);
	}
	for (auto algo : {CUDNN_CONVOLUTION_BWD_FILTER_ALGO_0, CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1}) {
		OK(cudnnConvolutionBackwardFilter(dnn.h, &one, x.desc, x.data(), y.desc, y.data(), conv, algo, workspace.at(), workspace.bytes, &zero, filter, dw.data()));
		NEAR(dw.download(), wantDw.v, tolerance * 2);
	}
	OK(cudnnConvolutionBackwardBias(dnn.h, &one, y.desc, y.data(), &zero, db.desc, db.data()));
	NEAR(db.download(), wantDb.v, tolerance);

	// Forward: twice, the second time added to the old values.
	const float half = 0.5f;
	OK(cudnnConvolutionForward(dnn.h, &half, x.desc, x.data(), filter, w.data(), conv, CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM, nullptr, 0, &zero, y.desc, y.data()));
	OK(cudnnConvolutionForward(dnn.h, &half, x.desc, x.data(), filter, w.data(), conv, CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM, workspace.at(), workspace.bytes, &one, y.desc, y.data()));
	NEAR(y.download(), wantY.v, tolerance * 2);
	cudnnActivationDescriptor_t relu;
	OK(cudnnCreateActivationDescriptor(&relu));
	OK(cudnnSetActivationDescriptor(relu, CUDNN_ACTIVATION_RELU, CUDNN_PROPAGATE_NAN, 0));
	OK(cudnnConvolutionBiasActivationForward(dnn.h, &one, x.desc, x.data(), filter, w.data(), conv, CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM, workspace.at(), workspace.bytes, &zero,
		y.desc, y.data(), bias.desc, bias.data(), relu, y.desc, y.data()));
	y.each([&](int in, int ik, int ip, int iq) { wantY(in, ik, ip, iq) = std::max(0.0, wantY(in, ik, ip, iq) + bias.host(0, ik, 0, 0)); });
	NEAR(y.download(), wantY.v, tolerance * 2);
	OK(cudnnDestroyActivationDescriptor(relu));
	OK(cudnnDestroyConvolutionDescriptor(conv));
	OK(cudnnDestroyFilterDescriptor(filter));
}

} // namespace

TEST(convolutions) {
	Gpu gpu;
	const Convolution cases[] = {
		{2, 3, 7, 6, 4, 3, 3, 1, 1, 1, 1, 1, 1, 1, CUDNN_CROSS_CORRELATION},
		{1, 4, 9, 8, 6, 3, 2, 0, 1, 2, 3, 1, 1, 2, CUDNN_CROSS_CORRELATION},
		{2, 2, 8, 9, 3, 2, 3, 2, 1, 1, 2, 2, 3, 1, CUDNN_CROSS_CORRELATION},
		{1, 6, 5, 5, 6, 1, 1, 0, 0, 1, 1, 1, 1, 6, CUDNN_CROSS_CORRELATION},
		{2, 3, 6, 5, 2, 3, 2, 1, 0, 1, 1, 1, 1, 1, CUDNN_CONVOLUTION},
	};
	for (const Convolution &c : cases)
		for (Type t : {Type::Float, Type::Half, Type::BFloat16})
			for (Layout l : {NCHW, NHWC}) checkConvolution(c, t, l);
}

TEST(algorithms) {
	Gpu gpu;
	Handle dnn;
	for (Layout layout : {NCHW, NHWC}) {
		Tensor x(Type::Float, layout, 2, 3, 8, 8, 1), y(Type::Float, layout, 2, 4, 8, 8, 0), w(Type::Float, layout, 4, 3, 3, 3, 2);
		cudnnFilterDescriptor_t filter;
		cudnnConvolutionDescriptor_t conv;
		OK(cudnnCreateFilterDescriptor(&filter));
		OK(cudnnSetFilter4dDescriptor(filter, CUDNN_DATA_FLOAT, layout == NCHW ? CUDNN_TENSOR_NCHW : CUDNN_TENSOR_NHWC, 4, 3, 3, 3));
		OK(cudnnCreateConvolutionDescriptor(&conv));
		OK(cudnnSetConvolution2dDescriptor(conv, 1, 1, 1, 1, 1, 1, CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT));
		cudnnConvolutionFwdAlgoPerf_t results[8];
		int count;
		OK(cudnnGetConvolutionForwardAlgorithm_v7(dnn.h, x.desc, filter, conv, y.desc, 8, &count, results));
		SAME(count, 8);
		int supported = 0;
		for (auto &r : results) {
			size_t bytes = 0;
			int s = cudnnGetConvolutionForwardWorkspaceSize(dnn.h, x.desc, filter, conv, y.desc, r.algo, &bytes);
			SAME(s, r.status);
			if (s == 0) SAME(bytes, r.memory);
			supported += s == 0;
		}
		SAME(supported, layout == NCHW ? 7 : 2);
		SAME(results[0].algo, CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM);
		// A search without workspace finds only algorithms that need none, and writes the output.
		OK(cudnnFindConvolutionForwardAlgorithmEx(dnn.h, x.desc, x.data(), filter, w.data(), conv, y.desc, y.data(), 8, &count, results, nullptr, 0));
		SAME(results[0].status, 0);
		SAME(results[0].memory, 0);
		SAME(results[0].algo, CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM);
		y.download();
		// A workspace that is too small.
		FAILS(cudnnConvolutionForward(dnn.h, &one, x.desc, x.data(), filter, w.data(), conv, CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM, nullptr, 0, &zero, y.desc, y.data()), bad());
		FINDING("bad-argument", "a workspace of 0 bytes, needed are");
		FAILS(cudnnConvolutionForward(dnn.h, &one, x.desc, x.data(), filter, w.data(), conv, CUDNN_CONVOLUTION_FWD_ALGO_DIRECT, nullptr, 0, &zero, y.desc, y.data()), unsupported());
		OK(cudnnDestroyConvolutionDescriptor(conv));
		OK(cudnnDestroyFilterDescriptor(filter));
	}
}

TEST(pooling) {
	Gpu gpu;
	Handle dnn;
	for (auto mode : {CUDNN_POOLING_MAX, CUDNN_POOLING_MAX_DETERMINISTIC, CUDNN_POOLING_AVERAGE_COUNT_INCLUDE_PADDING, CUDNN_POOLING_AVERAGE_COUNT_EXCLUDE_PADDING})
		for (Type type : {Type::Float, Type::Half, Type::BFloat16})
			for (Layout layout : {NCHW, NHWC, Gaps}) {
				const int wh = 3, ww = 2, ph = 1, pw = 1, sh = 2, sw = 1;
				cudnnPoolingDescriptor_t pool;
				OK(cudnnCreatePoolingDescriptor(&pool));
				OK(cudnnSetPooling2dDescriptor(pool, mode, CUDNN_PROPAGATE_NAN, wh, ww, ph, pw, sh, sw));
				Tensor x(type, layout, 2, 3, 7, 5, 1), dx(type, layout, 2, 3, 7, 5, 0);
				int n, c, h, w;
				OK(cudnnGetPooling2dForwardOutputDim(pool, x.desc, &n, &c, &h, &w));
				CHECK(n == 2 && c == 3 && h == 4 && w == 6);
				Tensor y(type, layout, n, c, h, w, 0), dy(type, layout, n, c, h, w, 2);
				x.host(1, 2, 3, 4) = NAN;
				x.host(0, 0, 0, 0) = x.host(0, 0, 0, 1) = 3; // equal: the first counts
				x.upload();
				Array wantY(n, c, h, w), wantDx(2, 3, 7, 5);
				bool max = mode == CUDNN_POOLING_MAX || mode == CUDNN_POOLING_MAX_DETERMINISTIC;
				y.each([&](int in, int ic, int i, int j) {
					double best = -INFINITY, sum = 0;
					int bi = -1, bj = -1, count = 0;
					for (int a = i * sh - ph; a < i * sh - ph + wh; a++)
						for (int b = j * sw - pw; b < j * sw - pw + ww; b++) {
							if (a < 0 || b < 0 || a >= 7 || b >= 5) continue;
							double v = x.host(in, ic, a, b);
							count++;
							sum += v;
							if (bi < 0 || v > best || (std::isnan(v) && !std::isnan(best))) best = v, bi = a, bj = b;
						}
					double divisor = mode == CUDNN_POOLING_AVERAGE_COUNT_INCLUDE_PADDING ? wh * ww : count;
					wantY(in, ic, i, j) = max ? best : sum / divisor;
					if (max) {
						wantDx(in, ic, bi, bj) += dy.host(in, ic, i, j);
						return;
					}
					for (int a = std::max(0, i * sh - ph); a < std::min(7, i * sh - ph + wh); a++)
						for (int b = std::max(0, j * sw - pw); b < std::min(5, j * sw - pw + ww); b++) wantDx(in, ic, a, b) += dy.host(in, ic, i, j) / divisor;
				});
				OK(cudnnPoolingForward(dnn.h, pool, &one, x.desc, x.data(), &zero, y.desc, y.data()));
				NEAR(y.download(), wantY.v, toleranceOf(type));
				OK(cudnnPoolingBackward(dnn.h, pool, &one, y.desc, y.data(), dy.desc, dy.data(), x.desc, x.data(), &zero, dx.desc, dx.data()));
				NEAR(dx.download(), wantDx.v, toleranceOf(type));
				OK(cudnnDestroyPoolingDescriptor(pool));
			}
}

TEST(activations) {
	Gpu gpu;
	Handle dnn;
	struct Case {
		cudnnActivationMode_t mode;
		double coef;
		std::function<double(double)> f, slope;
	} cases[] = {
		{CUDNN_ACTIVATION_SIGMOID, 0, [](double x) { return 1 / (1 + exp(-x)); }, [](double x) { return exp(-x) / pow(1 + exp(-x), 2); }},
		{CUDNN_ACTIVATION_RELU, 0, [](double x) { return x > 0 ? x : 0; }, [](double x) { return x > 0 ? 1 : 0; }},
		{CUDNN_ACTIVATION_TANH, 0, [](double x) { return tanh(x); }, [](double x) { return 1 - pow(tanh(x), 2); }},
		{CUDNN_ACTIVATION_CLIPPED_RELU, 0.75, [](double x) { return std::min(0.75, std::max(0.0, x)); }, [](double x) { return x > 0 && x <= 0.75 ? 1 : 0; }},
		{CUDNN_ACTIVATION_ELU, 0.5, [](double x) { return x >= 0 ? x : 0.5 * (exp(x) - 1); }, [](double x) { return x >= 0 ? 1 : 0.5 * exp(x); }},
		{CUDNN_ACTIVATION_SWISH, 1.5, [](double x) { return x / (1 + exp(-1.5 * x)); },
			[](double x) { double s = 1 / (1 + exp(-1.5 * x)); return s + 1.5 * x * s * (1 - s); }},
	};
	for (const Case &c : cases)
		for (Layout layout : {NCHW, NHWC, Gaps}) {
			cudnnActivationDescriptor_t act;
			OK(cudnnCreateActivationDescriptor(&act));
			OK(cudnnSetActivationDescriptor(act, c.mode, CUDNN_PROPAGATE_NAN, c.coef));
			Tensor x(Type::Float, layout, 2, 3, 2, 5, 1), y(Type::Float, layout, 2, 3, 2, 5, 0), dy(Type::Float, layout, 2, 3, 2, 5, 2);
			Array wantY = x.host, wantDx = x.host;
			for (size_t i = 0; i < x.host.v.size(); i++) {
				wantY.v[i] = c.f(x.host.v[i]);
				wantDx.v[i] = dy.host.v[i] * c.slope(x.host.v[i]);
			}
			OK(cudnnActivationForward(dnn.h, act, &one, x.desc, x.data(), &zero, y.desc, y.data()));
			NEAR(y.download(), wantY.v, 1e-6);
			OK(cudnnActivationBackward(dnn.h, act, &one, y.desc, y.data(), dy.desc, dy.data(), x.desc, x.data(), &zero, dy.desc, dy.data())); // in place
			NEAR(dy.download(), wantDx.v, 1e-6);
			OK(cudnnDestroyActivationDescriptor(act));
		}
}

TEST(softmaxes) {
	Gpu gpu;
	Handle dnn;
	for (auto algo : {CUDNN_SOFTMAX_FAST, CUDNN_SOFTMAX_ACCURATE, CUDNN_SOFTMAX_LOG})
		for (auto mode : {CUDNN_SOFTMAX_MODE_CHANNEL, CUDNN_SOFTMAX_MODE_INSTANCE})
			for (Layout layout : {NCHW, NHWC}) {
				Tensor x(Type::Float, layout, 2, 4, 3, 2, 1), y(Type::Float, layout, 2, 4, 3, 2, 0), dy(Type::Float, layout, 2, 4, 3, 2, 2), dx(Type::Float, layout, 2, 4, 3, 2, 0);
				bool channel = mode == CUDNN_SOFTMAX_MODE_CHANNEL, logarithm = algo == CUDNN_SOFTMAX_LOG;
				Array wantY = x.host, wantDx = x.host;
				auto inGroup = [&](int k, int l, int k2, int l2) { return !channel || (k == k2 && l == l2); };
				x.each([&](int i, int j, int k, int l) {
					double sum = 0;
					x.each([&](int i2, int j2, int k2, int l2) {
						if (i == i2 && inGroup(k, l, k2, l2)) sum += exp(x.host(i2, j2, k2, l2));
					});
					double p = exp(x.host(i, j, k, l)) / sum;
					wantY(i, j, k, l) = logarithm ? log(p) : p;
				});
				x.each([&](int i, int j, int k, int l) {
					double sum = 0;
					x.each([&](int i2, int j2, int k2, int l2) {
						if (i == i2 && inGroup(k, l, k2, l2)) sum += dy.host(i2, j2, k2, l2) * (logarithm ? 1 : wantY(i2, j2, k2, l2));
					});
					double p = wantY(i, j, k, l), g = dy.host(i, j, k, l);
					wantDx(i, j, k, l) = logarithm ? g - exp(p) * sum : p * (g - sum);
				});
				OK(cudnnSoftmaxForward(dnn.h, algo, mode, &one, x.desc, x.data(), &zero, y.desc, y.data()));
				NEAR(y.download(), wantY.v, 1e-6);
				OK(cudnnSoftmaxBackward(dnn.h, algo, mode, &one, y.desc, y.data(), dy.desc, dy.data(), &zero, dx.desc, dx.data()));
				NEAR(dx.download(), wantDx.v, 1e-5);
			}
}

TEST(batch_normalisation) {
	Gpu gpu;
	Handle dnn;
	const double epsilon = 1e-3, factor = 0.25;
	for (auto mode : {CUDNN_BATCHNORM_SPATIAL, CUDNN_BATCHNORM_SPATIAL_PERSISTENT, CUDNN_BATCHNORM_PER_ACTIVATION})
		for (Type type : {Type::Float, Type::Half, Type::BFloat16})
			for (Layout layout : {NCHW, NHWC}) {
				bool per = mode == CUDNN_BATCHNORM_PER_ACTIVATION;
				int ph = per ? 2 : 1, pw = per ? 5 : 1;
				Tensor x(type, layout, 4, 3, 2, 5, 1), y(type, layout, 4, 3, 2, 5, 0), dy(type, layout, 4, 3, 2, 5, 2), dx(type, layout, 4, 3, 2, 5, 0);
				Tensor scale(Type::Float, layout, 1, 3, ph, pw, 3), bias(Type::Float, layout, 1, 3, ph, pw, 4), mean(Type::Float, layout, 1, 3, ph, pw, 5), var(Type::Float, layout, 1, 3, ph, pw, 6),
					saved(Type::Float, layout, 1, 3, ph, pw, 0), inverse(Type::Float, layout, 1, 3, ph, pw, 0), dscale(Type::Float, layout, 1, 3, ph, pw, 0), dbias(Type::Float, layout, 1, 3, ph, pw, 0);
				for (double &v : var.host.v) v = v * v + 1;
				var.upload();
				OK(cudnnDeriveBNTensorDescriptor(saved.desc, x.desc, mode));
				Array m(1, 3, ph, pw), s(1, 3, ph, pw), sumDy(1, 3, ph, pw), sumDyHat(1, 3, ph, pw), wantY = x.host, wantInference = x.host, wantDx = x.host, wantMean = mean.host, wantVar = var.host;
				auto column = [&](Array &a, int j, int k, int l) -> double & { return a(0, j, per ? k : 0, per ? l : 0); };
				double rows = per ? 4 : 40;
				x.each([&](int i, int j, int k, int l) { column(m, j, k, l) += x.host(i, j, k, l) / rows; });
				x.each([&](int i, int j, int k, int l) { column(s, j, k, l) += pow(x.host(i, j, k, l) - column(m, j, k, l), 2) / rows; });
				x.each([&](int i, int j, int k, int l) {
					double hat = (x.host(i, j, k, l) - column(m, j, k, l)) / sqrt(column(s, j, k, l) + epsilon), g = column(scale.host, j, k, l), b = column(bias.host, j, k, l);
					wantY(i, j, k, l) = g * hat + b;
					wantInference(i, j, k, l) = g * (x.host(i, j, k, l) - column(mean.host, j, k, l)) / sqrt(column(var.host, j, k, l) + epsilon) + b;
					column(sumDy, j, k, l) += dy.host(i, j, k, l);
					column(sumDyHat, j, k, l) += dy.host(i, j, k, l) * hat;
				});
				x.each([&](int i, int j, int k, int l) {
					double inv = 1 / sqrt(column(s, j, k, l) + epsilon), hat = (x.host(i, j, k, l) - column(m, j, k, l)) * inv;
					wantDx(i, j, k, l) = column(scale.host, j, k, l) * inv * (dy.host(i, j, k, l) - column(sumDy, j, k, l) / rows - hat * column(sumDyHat, j, k, l) / rows);
				});
				for (size_t i = 0; i < m.v.size(); i++) {
					wantMean.v[i] = 0.75 * wantMean.v[i] + 0.25 * m.v[i];
					wantVar.v[i] = 0.75 * wantVar.v[i] + 0.25 * s.v[i] * rows / (rows - 1);
				}
				double tolerance = 4 * toleranceOf(type);
				OK(cudnnBatchNormalizationForwardInference(dnn.h, mode, &one, &zero, x.desc, x.data(), y.desc, y.data(), saved.desc, scale.data(), bias.data(), mean.data(), var.data(), epsilon));
				NEAR(y.download(), wantInference.v, tolerance);
				OK(cudnnBatchNormalizationForwardTraining(dnn.h, mode, &one, &zero, x.desc, x.data(), y.desc, y.data(), saved.desc, scale.data(), bias.data(), factor, mean.data(), var.data(), epsilon, saved.data(),
					inverse.data()));
				NEAR(y.download(), wantY.v, tolerance);
				NEAR(mean.download(), wantMean.v, 1e-5);
				NEAR(var.download(), wantVar.v, 1e-5);
				OK(cudnnBatchNormalizationBackward(dnn.h, mode, &one, &zero, &one, &zero, x.desc, x.data(), dy.desc, dy.data(), dx.desc, dx.data(), saved.desc, scale.data(), dscale.data(), dbias.data(), epsilon,
					saved.data(), inverse.data()));
				NEAR(dx.download(), wantDx.v, tolerance);
				NEAR(dscale.download(), sumDyHat.v, 1e-4);
				NEAR(dbias.download(), sumDy.v, 1e-4);
				// Without the values that the forward pass saved, the statistics are computed again; here in place.
				OK(cudnnBatchNormalizationBackward(dnn.h, mode, &one, &zero, &one, &zero, x.desc, x.data(), dy.desc, dy.data(), dy.desc, dy.data(), saved.desc, scale.data(), dscale.data(), dbias.data(), epsilon,
					nullptr, nullptr));
				NEAR(dy.download(), wantDx.v, tolerance);
			}
}

TEST(batch_normalisation_fused) {
	Gpu gpu;
	Handle dnn;
	auto mode = CUDNN_BATCHNORM_SPATIAL_PERSISTENT;
	auto ops = CUDNN_BATCHNORM_OPS_BN_ADD_ACTIVATION;
	Tensor x(Type::Half, NHWC, 2, 4, 3, 3, 1), z(Type::Half, NHWC, 2, 4, 3, 3, 2), y(Type::Half, NHWC, 2, 4, 3, 3, 0), plain(Type::Half, NHWC, 2, 4, 3, 3, 0), dy(Type::Half, NHWC, 2, 4, 3, 3, 3),
		dz(Type::Half, NHWC, 2, 4, 3, 3, 0), dx(Type::Half, NHWC, 2, 4, 3, 3, 0);
	Tensor scale(Type::Float, NHWC, 1, 4, 1, 1, 4), bias(Type::Float, NHWC, 1, 4, 1, 1, 5), dscale(Type::Float, NHWC, 1, 4, 1, 1, 0), dbias(Type::Float, NHWC, 1, 4, 1, 1, 0);
	cudnnActivationDescriptor_t relu;
	OK(cudnnCreateActivationDescriptor(&relu));
	OK(cudnnSetActivationDescriptor(relu, CUDNN_ACTIVATION_RELU, CUDNN_PROPAGATE_NAN, 0));
	size_t work, work2, reserve;
	OK(cudnnGetBatchNormalizationForwardTrainingExWorkspaceSize(dnn.h, mode, ops, x.desc, z.desc, y.desc, scale.desc, relu, &work));
	OK(cudnnGetBatchNormalizationBackwardExWorkspaceSize(dnn.h, mode, ops, x.desc, y.desc, dy.desc, dz.desc, dx.desc, scale.desc, relu, &work2));
	OK(cudnnGetBatchNormalizationTrainingExReserveSpaceSize(dnn.h, mode, ops, relu, x.desc, &reserve));
	Memory workspace(std::max(work, work2)), reserved(reserve);
	OK(cudnnBatchNormalizationForwardTrainingEx(dnn.h, mode, ops, &one, &zero, x.desc, x.data(), z.desc, z.data(), y.desc, y.data(), scale.desc, scale.data(), bias.data(), 1, nullptr, nullptr, 1e-5, nullptr,
		nullptr, relu, workspace.at(), work, reserved.at(), reserve));
	OK(cudnnBatchNormalizationForwardTraining(dnn.h, mode, &one, &zero, x.desc, x.data(), plain.desc, plain.data(), scale.desc, scale.data(), bias.data(), 1, nullptr, nullptr, 1e-5, nullptr, nullptr));
	auto got = y.download(), normalized = plain.download();
	std::vector<double> want, wantDz;
	for (size_t i = 0; i < got.size(); i++) {
		want.push_back(std::max(0.0, normalized[i] + z.host.v[i]));
		wantDz.push_back(want[i] > 0 ? dy.host.v[i] : 0);
	}
	NEAR(got, want, 4e-3);
	OK(cudnnBatchNormalizationBackwardEx(dnn.h, mode, ops, &one, &zero, &one, &zero, x.desc, x.data(), y.desc, y.data(), dy.desc, dy.data(), dz.desc, dz.data(), dx.desc, dx.data(), scale.desc, scale.data(),
		bias.data(), dscale.data(), dbias.data(), 1e-5, nullptr, nullptr, relu, workspace.at(), work2, reserved.at(), reserve));
	NEAR(dz.download(), wantDz, 1e-3);
	// The rest is the plain backward pass of dz.
	auto fused = dx.download();
	OK(cudnnBatchNormalizationBackward(dnn.h, mode, &one, &zero, &one, &zero, x.desc, x.data(), dz.desc, dz.data(), dx.desc, dx.data(), scale.desc, scale.data(), dscale.data(), dbias.data(), 1e-5, nullptr, nullptr));
	CHECK(dx.download() == fused);
	Tensor single(Type::Float, NHWC, 2, 4, 3, 3, 1);
	FAILS(cudnnGetBatchNormalizationTrainingExReserveSpaceSize(dnn.h, mode, ops, relu, single.desc, &reserve), unsupported());
	OK(cudnnDestroyActivationDescriptor(relu));
}

TEST(tensor_arithmetic) {
	Gpu gpu;
	Handle dnn;
	const float two = 2, three = 3;
	for (Layout layout : {NCHW, NHWC}) {
		Tensor a(Type::Float, layout, 2, 3, 4, 5, 1), b(Type::Float, layout, 1, 3, 1, 1, 2), c(Type::Float, layout, 2, 3, 4, 5, 3);
		Array want = c.host;
		c.each([&](int i, int j, int k, int l) { want(i, j, k, l) = 2 * b.host(0, j, 0, 0) + 3 * c.host(i, j, k, l); });
		OK(cudnnAddTensor(dnn.h, &two, b.desc, b.data(), &three, c.desc, c.data()));
		NEAR(c.download(), want.v, 1e-6);
		OK(cudnnScaleTensor(dnn.h, c.desc, c.data(), &two));
		for (double &v : want.v) v *= 2;
		NEAR(c.download(), want.v, 1e-6);
		cudnnOpTensorDescriptor_t op;
		OK(cudnnCreateOpTensorDescriptor(&op));
		for (auto o : {CUDNN_OP_TENSOR_ADD, CUDNN_OP_TENSOR_MUL, CUDNN_OP_TENSOR_MIN, CUDNN_OP_TENSOR_MAX}) {
			OK(cudnnSetOpTensorDescriptor(op, o, CUDNN_DATA_FLOAT, CUDNN_PROPAGATE_NAN));
			OK(cudnnOpTensor(dnn.h, op, &two, a.desc, a.data(), &three, b.desc, b.data(), &zero, c.desc, c.data()));
			c.each([&](int i, int j, int k, int l) {
				double p = 2 * a.host(i, j, k, l), q = 3 * b.host(0, j, 0, 0);
				want(i, j, k, l) = o == CUDNN_OP_TENSOR_ADD ? p + q : o == CUDNN_OP_TENSOR_MUL ? p * q : o == CUDNN_OP_TENSOR_MIN ? std::min(p, q) : std::max(p, q);
			});
			NEAR(c.download(), want.v, 1e-5);
		}
		OK(cudnnDestroyOpTensorDescriptor(op));
		cudnnReduceTensorDescriptor_t r;
		OK(cudnnCreateReduceTensorDescriptor(&r));
		size_t bytes;
		for (auto o : {CUDNN_REDUCE_TENSOR_ADD, CUDNN_REDUCE_TENSOR_AVG, CUDNN_REDUCE_TENSOR_MAX, CUDNN_REDUCE_TENSOR_MIN, CUDNN_REDUCE_TENSOR_AMAX, CUDNN_REDUCE_TENSOR_NORM1, CUDNN_REDUCE_TENSOR_NORM2}) {
			OK(cudnnSetReduceTensorDescriptor(r, o, CUDNN_DATA_FLOAT, CUDNN_PROPAGATE_NAN, CUDNN_REDUCE_TENSOR_NO_INDICES, CUDNN_32BIT_INDICES));
			OK(cudnnGetReductionWorkspaceSize(dnn.h, r, a.desc, b.desc, &bytes));
			Memory workspace(bytes);
			OK(cudnnReduceTensor(dnn.h, r, nullptr, 0, workspace.at(), bytes, &two, a.desc, a.data(), &zero, b.desc, b.data()));
			std::vector<double> reduced;
			for (int j = 0; j < 3; j++) {
				double sum = 0, absolute = 0, squares = 0, most = -INFINITY, least = INFINITY, amax = 0;
				a.each([&](int i, int jj, int k, int l) {
					if (jj != j) return;
					double v = a.host(i, jj, k, l);
					sum += v, absolute += fabs(v), squares += v * v, most = std::max(most, v), least = std::min(least, v), amax = std::max(amax, fabs(v));
				});
				const double all[] = {sum, 0, least, most, amax, sum / 40, absolute, sqrt(squares)};
				reduced.push_back(2 * all[o]);
			}
			NEAR(b.download(), reduced, 1e-5);
		}
		OK(cudnnDestroyReduceTensorDescriptor(r));
	}
	Tensor from(Type::Float, NCHW, 2, 3, 4, 5, 1), to(Type::Half, NHWC, 2, 3, 4, 5, 0);
	OK(cudnnTransformTensor(dnn.h, &one, from.desc, from.data(), &zero, to.desc, to.data()));
	NEAR(to.download(), from.host.v, 1e-3);
	OK(cudnnSetTensor(dnn.h, from.desc, from.data(), &three));
	NEAR(from.download(), std::vector<double>(from.host.v.size(), 3.0), 0);
}

TEST(dropout) {
	Gpu gpu;
	Handle dnn;
	Tensor x(Type::Float, NHWC, 4, 8, 16, 16, 1), y(Type::Float, NHWC, 4, 8, 16, 16, 0), dx(Type::Float, NHWC, 4, 8, 16, 16, 0);
	size_t states, reserve;
	OK(cudnnDropoutGetStatesSize(dnn.h, &states));
	OK(cudnnDropoutGetReserveSpaceSize(x.desc, &reserve));
	Memory state(states), mask(reserve);
	cudnnDropoutDescriptor_t d;
	OK(cudnnCreateDropoutDescriptor(&d));
	OK(cudnnSetDropoutDescriptor(d, dnn.h, 0.25f, state.at(), states, 7));
	OK(cudnnDropoutForward(dnn.h, d, x.desc, x.data(), y.desc, y.data(), mask.at(), reserve));
	auto first = y.download();
	size_t dropped = 0;
	for (size_t i = 0; i < first.size(); i++) {
		if (first[i] == 0) dropped++;
		else CHECK(std::fabs(first[i] - x.host.v[i] / 0.75) < 1e-5);
	}
	CHECK(dropped > 1800 && dropped < 2300); // 2048 of 8192 are expected
	OK(cudnnDropoutBackward(dnn.h, d, x.desc, x.data(), dx.desc, dx.data(), mask.at(), reserve));
	CHECK(dx.download() == first);
	OK(cudnnDropoutForward(dnn.h, d, x.desc, x.data(), y.desc, y.data(), mask.at(), reserve));
	CHECK(y.download() != first);
	OK(cudnnDestroyDropoutDescriptor(d));
}

TEST(dnn_descriptors) {
	cudnnTensorDescriptor_t t;
	OK(cudnnCreateTensorDescriptor(&t));
	FAILS(cudnnSetTensor4dDescriptor(t, CUDNN_TENSOR_NHWC, CUDNN_DATA_FLOAT, 0, 1, 1, 1), bad());
	FINDING("descriptor", "a dimension of 0");
	size_t bytes;
	FAILS(cudnnGetTensorSizeInBytes(t, &bytes), bad());
	FINDING("descriptor", "was never set");
	int dims[] = {2, 3, 4, 5}, strides[] = {60, 1, 15, 3}, got[8];
	cudnnDataType_t type;
	OK(cudnnSetTensorNdDescriptor(t, CUDNN_DATA_HALF, 4, dims, strides));
	OK(cudnnGetTensor4dDescriptor(t, &type, &got[0], &got[1], &got[2], &got[3], &got[4], &got[5], &got[6], &got[7]));
	for (int i = 0; i < 4; i++) CHECK(got[i] == dims[i] && got[i + 4] == strides[i]);
	SAME(type, CUDNN_DATA_HALF);
	OK(cudnnGetTensorSizeInBytes(t, &bytes));
	SAME(bytes, 240);
	OK(cudnnSetTensorNdDescriptorEx(t, CUDNN_TENSOR_NHWC, CUDNN_DATA_FLOAT, 4, dims));
	OK(cudnnGetTensor4dDescriptor(t, &type, &got[0], &got[1], &got[2], &got[3], &got[4], &got[5], &got[6], &got[7]));
	for (int i = 0; i < 4; i++) CHECK(got[i + 4] == strides[i]);
	OK(cudnnDestroyTensorDescriptor(t));
	FAILS(cudnnDestroyTensorDescriptor(t), bad());
	FINDING("bad-handle", "was destroyed");
	cudnnPoolingDescriptor_t p;
	OK(cudnnCreatePoolingDescriptor(&p));
	FAILS(cudnnSetPooling2dDescriptor(p, CUDNN_POOLING_MAX, CUDNN_PROPAGATE_NAN, 2, 2, 2, 0, 1, 1), bad());
	FINDING("descriptor", "padding of 2 x 0");
	OK(cudnnDestroyPoolingDescriptor(p));
	CHECK(std::string(cudnnGetErrorString(bad())) == "CUDNN_STATUS_BAD_PARAM");
	SAME(cudnnGetVersion(), bad() == 2000 ? 90100 : 8905);
}

TEST(misuse_of_dnn) {
	Gpu gpu;
	Handle dnn;
	Tensor x(Type::Float, NHWC, 2, 3, 8, 8, 1), y(Type::Float, NHWC, 2, 4, 8, 8, 0), w(Type::Float, NHWC, 4, 3, 3, 3, 2), unwritten(Type::Float, NHWC, 2, 3, 8, 8, 0), large(Type::Float, NHWC, 3, 3, 8, 8, 1);
	cudnnFilterDescriptor_t filter;
	cudnnConvolutionDescriptor_t conv;
	OK(cudnnCreateFilterDescriptor(&filter));
	OK(cudnnSetFilter4dDescriptor(filter, CUDNN_DATA_FLOAT, CUDNN_TENSOR_NHWC, 4, 3, 3, 3));
	OK(cudnnCreateConvolutionDescriptor(&conv));
	OK(cudnnSetConvolution2dDescriptor(conv, 1, 1, 1, 1, 1, 1, CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT));
	auto forward = [&](const Tensor &dx, const void *px, const Tensor &dy, void *py) {
		return cudnnConvolutionForward(dnn.h, &one, dx.desc, px, filter, w.data(), conv, CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM, nullptr, 0, &zero, dy.desc, py);
	};
	OK(forward(x, x.data(), y, y.data()));
	FAILS(forward(large, x.data(), y, y.data()), bad());
	FINDING("descriptor", "y is [2,4,8,8], and should be [3,4,8,8]");
	FAILS(forward(x, x.data(), y, x.data()), bad());
	FINDING("descriptor", "y [2,4,8,8] of float needs 2048 bytes from byte 0 of the 1536 bytes");
	FAILS(forward(x, x.memory->at(8), y, y.data()), bad());
	FINDING("descriptor", "x [2,3,8,8] of float needs 1536 bytes from byte 8");
	FAILS(forward(x, x.memory->at(2), y, y.data()), bad());
	FINDING("bad-argument", "x is not aligned");
	FAILS(forward(x, nullptr, y, y.data()), bad());
	FINDING("bad-pointer", "x is the null pointer");
	FAILS(forward(x, y.data(), y, y.data()), bad());
	FINDING("bad-argument", "y overlaps x");
	OK(forward(unwritten, unwritten.data(), y, y.data()));
	OK(cuCtxSynchronize());
	FINDING("uninitialised-read", "cudnnConvolutionForward: x holds byte 0");
	FAILS(cudnnConvolutionForward(dnn.h, nullptr, x.desc, x.data(), filter, w.data(), conv, CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM, nullptr, 0, &zero, y.desc, y.data()), bad());
	FINDING("bad-argument", "alpha or beta is null");
	OK(cudnnSetConvolutionGroupCount(conv, 2));
	FAILS(forward(x, x.data(), y, y.data()), bad());
	FINDING("descriptor", "x has 3 channels, the filter 3 in each of 2 groups");
	OK(cudnnDestroyConvolutionDescriptor(conv));
	FAILS(forward(x, x.data(), y, y.data()), bad());
	FINDING("bad-handle", "convDesc was destroyed");
	OK(cudnnDestroyFilterDescriptor(filter));
	CUstream s;
	OK(cuStreamCreate(&s, 0));
	OK(cudnnSetStream(dnn.h, s));
	OK(cuStreamDestroy_v2(s));
	FAILS(cudnnScaleTensor(dnn.h, x.desc, x.data(), &one), cudnnGetVersion() >= 90000 ? 5000 : 8);
	FINDING("bad-handle", "the stream");
}
