// The software cuDNN: the functions for convolutions.
#include "dnn_conv.h"

#include <algorithm>

using namespace sim;

namespace {

cudnnStatus_t checkAlgorithm(DnnCall &call, Direction d, int a, const Geometry &g, const TensorDesc &x, const FilterDesc &w, const TensorDesc &y) {
	if (!call.part(d == Direction::Forward ? dnnVersion.forward : dnnVersion.backward)) return call.status;
	std::string why;
	if (y.type != x.type || (w.format == CUDNN_TENSOR_NHWC && !nhwc(y))) return call.unsupported("x and y differ in type or format");
	return supports(d, a, g, x, w, &why) ? 0 : call.unsupported(why);
}

// CONVOLUTION finds the descriptors of a call.
#define CONVOLUTION(xHandle, wHandle, convHandle, yHandle) \
	FIND(TensorDesc, x_, xHandle);                         \
	FIND(FilterDesc, w_, wHandle);                         \
	FIND(ConvolutionDesc, conv_, convHandle);              \
	FIND(TensorDesc, y_, yHandle);                         \
	Geometry g;                                            \
	if (cudnnStatus_t s_ = fit(call, *conv_, *x_, *w_, *y_, &g)) return s_

cudnnStatus_t workspaceOf(DnnCall &call, Direction d, int a, const Geometry &g, const TensorDesc &x, const FilterDesc &w, const TensorDesc &y, size_t *bytes) {
	if (!bytes) return call.wrong(Status::BadParam, kind::argument, "sizeInBytes is null");
	if (cudnnStatus_t s = checkAlgorithm(call, d, a, g, x, w, y)) return s;
	*bytes = workspaceBytes(d, a, g, w);
	return 0;
}

// list fills in the results of a heuristic, or of a search within a workspace. The times of a search are ranks: the
// emulation reports no speed.
template <class Perf> cudnnStatus_t list(DnnCall &call, Direction d, const Geometry &g, const TensorDesc &x, const FilterDesc &w, int requested, int *returned, Perf *results, bool search, size_t limit) {
	if (requested < 1 || !returned || !results) return call.wrong(Status::BadParam, kind::argument, text("%d results requested", requested));
	std::vector<Perf> good, bad;
	for (const Algorithm &a : algorithms(d)) {
		Perf p = {};
		p.algo = decltype(p.algo)(a.number);
		p.determinism = a.deterministic ? CUDNN_DETERMINISTIC : CUDNN_NON_DETERMINISTIC;
		p.mathType = g.conv.math;
		p.time = -1;
		std::string why;
		if (!supports(d, a.number, g, x, w, &why)) {
			p.status = codeOf(Status::NotSupported);
		} else {
			p.memory = workspaceBytes(d, a.number, g, w);
			p.status = search && p.memory > limit ? codeOf(Status::AllocFailed) : 0;
		}
		if (search && p.status == 0) p.time = float(good.size() + 1);
		(p.status ? bad : good).push_back(p);
	}
	good.insert(good.end(), bad.begin(), bad.end());
	*returned = std::min(requested, int(good.size()));
	std::copy(good.begin(), good.begin() + *returned, results);
	return 0;
}

// searched queues the changes that a search makes to the output, and waits for them.
cudnnStatus_t searched(DnnCall &call, Task &t, std::function<void()> body) {
	if (cudnnStatus_t s = t.run(std::move(body))) return s;
	Ref<Context> c = call.context;
	Ref<Stream> s = call.stream(call.dnn->stream);
	synchronise(call, s);
	return c->error ? codeOf(Status::ExecutionFailed) : 0;
}

} // namespace

cudnnStatus_t cudnnGetConvolution2dForwardOutputDim(const cudnnConvolutionDescriptor_t convDesc, const cudnnTensorDescriptor_t inputTensorDesc,
	const cudnnFilterDescriptor_t filterDesc, int *n, int *c, int *h, int *w) {
	DNN_BEGIN(Nothing);
	FIND(ConvolutionDesc, conv, convDesc);
	FIND(TensorDesc, x, inputTensorDesc);
	FIND(FilterDesc, f, filterDesc);
	if (x->c != f->c * conv->groups)
		return call.wrong(Status::BadParam, kind::descriptor, text("x has %d channels, the filter %d in each of %d groups", x->c, f->c, conv->groups));
	*n = x->n;
	*c = f->k;
	*h = (x->h + 2 * conv->padH - conv->dilationH * (f->h - 1) - 1) / conv->strideH + 1;
	*w = (x->w + 2 * conv->padW - conv->dilationW * (f->w - 1) - 1) / conv->strideW + 1;
	return 0;
}

cudnnStatus_t cudnnGetConvolutionNdForwardOutputDim(const cudnnConvolutionDescriptor_t convDesc, const cudnnTensorDescriptor_t inputTensorDesc,
	const cudnnFilterDescriptor_t filterDesc, int nbDims, int tensorOuputDimA[]) {
	{
		DNN_BEGIN(Nothing);
		if (!tensorOuputDimA) return call.wrong(Status::BadParam, kind::argument, "tensorOuputDimA is null");
		if (nbDims != 4) return call.unsupported(text("%d dimensions: the emulation has 4", nbDims));
	}
	int *o = tensorOuputDimA;
	return cudnnGetConvolution2dForwardOutputDim(convDesc, inputTensorDesc, filterDesc, &o[0], &o[1], &o[2], &o[3]);
}

// ---- Choice of algorithms ----------------------------------------------------------

cudnnStatus_t cudnnGetConvolutionForwardAlgorithm_v7(cudnnHandle_t handle, const cudnnTensorDescriptor_t srcDesc,
	const cudnnFilterDescriptor_t filterDesc, const cudnnConvolutionDescriptor_t convDesc, const cudnnTensorDescriptor_t destDesc,
	const int requestedAlgoCount, int *returnedAlgoCount, cudnnConvolutionFwdAlgoPerf_t *perfResults) {
	DNN_CALL(Current);
	CONVOLUTION(srcDesc, filterDesc, convDesc, destDesc);
	return list(call, Direction::Forward, g, *x_, *w_, requestedAlgoCount, returnedAlgoCount, perfResults, false, 0);
}

cudnnStatus_t cudnnGetConvolutionBackwardDataAlgorithm_v7(cudnnHandle_t handle, const cudnnFilterDescriptor_t filterDesc,
	const cudnnTensorDescriptor_t diffDesc, const cudnnConvolutionDescriptor_t convDesc, const cudnnTensorDescriptor_t gradDesc,
	const int requestedAlgoCount, int *returnedAlgoCount, cudnnConvolutionBwdDataAlgoPerf_t *perfResults) {
	DNN_CALL(Current);
	CONVOLUTION(gradDesc, filterDesc, convDesc, diffDesc);
	return list(call, Direction::BackwardData, g, *x_, *w_, requestedAlgoCount, returnedAlgoCount, perfResults, false, 0);
}

cudnnStatus_t cudnnGetConvolutionBackwardFilterAlgorithm_v7(cudnnHandle_t handle, const cudnnTensorDescriptor_t srcDesc,
	const cudnnTensorDescriptor_t diffDesc, const cudnnConvolutionDescriptor_t convDesc, const cudnnFilterDescriptor_t gradDesc,
	const int requestedAlgoCount, int *returnedAlgoCount, cudnnConvolutionBwdFilterAlgoPerf_t *perfResults) {
	DNN_CALL(Current);
	CONVOLUTION(srcDesc, gradDesc, convDesc, diffDesc);
	return list(call, Direction::BackwardFilter, g, *x_, *w_, requestedAlgoCount, returnedAlgoCount, perfResults, false, 0);
}

// The searches run on real buffers: the contents of the output are lost. The inputs may hold anything.
cudnnStatus_t cudnnFindConvolutionForwardAlgorithmEx(cudnnHandle_t handle, const cudnnTensorDescriptor_t xDesc, const void *x,
	const cudnnFilterDescriptor_t wDesc, const void *w, const cudnnConvolutionDescriptor_t convDesc, const cudnnTensorDescriptor_t yDesc,
	void *y, const int requestedAlgoCount, int *returnedAlgoCount, cudnnConvolutionFwdAlgoPerf_t *perfResults, void *workSpace,
	size_t workSpaceSizeInBytes) {
	DNN_CALL(Current | Unsafe | Queues);
	ARGUMENTS(xDesc, x, wDesc, w, convDesc, yDesc, y, workSpace, workSpaceSizeInBytes);
	CONVOLUTION(xDesc, wDesc, convDesc, yDesc);
	if (!call.part(dnnVersion.forward)) return call.status;
	if (cudnnStatus_t s = list(call, Direction::Forward, g, *x_, *w_, requestedAlgoCount, returnedAlgoCount, perfResults, true, workSpaceSizeInBytes)) return s;
	Task t(call);
	Tensor tx = t.unchecked("x", *x_, x), tw = t.unchecked("w", w_->tensor(), w), ty = t.output("y", *y_, y);
	t.apart("y", "x");
	t.workspace(workSpace, workSpaceSizeInBytes, workSpaceSizeInBytes);
	return searched(call, t, [=] { ty.store(convolve(g, tx.load(), tw.load())); });
}

cudnnStatus_t cudnnFindConvolutionBackwardDataAlgorithmEx(cudnnHandle_t handle, const cudnnFilterDescriptor_t wDesc, const void *w,
	const cudnnTensorDescriptor_t dyDesc, const void *dy, const cudnnConvolutionDescriptor_t convDesc, const cudnnTensorDescriptor_t dxDesc,
	void *dx, const int requestedAlgoCount, int *returnedAlgoCount, cudnnConvolutionBwdDataAlgoPerf_t *perfResults, void *workSpace,
	size_t workSpaceSizeInBytes) {
	DNN_CALL(Current | Unsafe | Queues);
	ARGUMENTS(wDesc, w, dyDesc, dy, convDesc, dxDesc, dx, workSpace, workSpaceSizeInBytes);
	CONVOLUTION(dxDesc, wDesc, convDesc, dyDesc);
	if (!call.part(dnnVersion.backward)) return call.status;
	if (cudnnStatus_t s = list(call, Direction::BackwardData, g, *x_, *w_, requestedAlgoCount, returnedAlgoCount, perfResults, true, workSpaceSizeInBytes)) return s;
	Task t(call);
	Tensor tw = t.unchecked("w", w_->tensor(), w), tdy = t.unchecked("dy", *y_, dy), tdx = t.output("dx", *x_, dx);
	t.apart("dx", "dy");
	t.workspace(workSpace, workSpaceSizeInBytes, workSpaceSizeInBytes);
	return searched(call, t, [=] { tdx.store(convolveBackwardData(g, tdy.load(), tw.load())); });
}

cudnnStatus_t cudnnFindConvolutionBackwardFilterAlgorithmEx(cudnnHandle_t handle, const cudnnTensorDescriptor_t xDesc, const void *x,
	const cudnnTensorDescriptor_t dyDesc, const void *y, const cudnnConvolutionDescriptor_t convDesc, const cudnnFilterDescriptor_t dwDesc,
	void *dw, const int requestedAlgoCount, int *returnedAlgoCount, cudnnConvolutionBwdFilterAlgoPerf_t *perfResults, void *workSpace,
	size_t workSpaceSizeInBytes) {
	DNN_CALL(Current | Unsafe | Queues);
	ARGUMENTS(xDesc, x, dyDesc, y, convDesc, dwDesc, dw, workSpace, workSpaceSizeInBytes);
	CONVOLUTION(xDesc, dwDesc, convDesc, dyDesc);
	if (!call.part(dnnVersion.backward)) return call.status;
	if (cudnnStatus_t s = list(call, Direction::BackwardFilter, g, *x_, *w_, requestedAlgoCount, returnedAlgoCount, perfResults, true, workSpaceSizeInBytes)) return s;
	Task t(call);
	Tensor tx = t.unchecked("x", *x_, x), tdy = t.unchecked("dy", *y_, y), tdw = t.output("dw", w_->tensor(), dw);
	t.apart("dw", "x");
	t.workspace(workSpace, workSpaceSizeInBytes, workSpaceSizeInBytes);
	return searched(call, t, [=] { tdw.store(convolveBackwardFilter(g, tx.load(), tdy.load())); });
}

cudnnStatus_t cudnnGetConvolutionForwardWorkspaceSize(cudnnHandle_t handle, const cudnnTensorDescriptor_t xDesc,
	const cudnnFilterDescriptor_t wDesc, const cudnnConvolutionDescriptor_t convDesc, const cudnnTensorDescriptor_t yDesc,
	cudnnConvolutionFwdAlgo_t algo, size_t *sizeInBytes) {
	DNN_CALL(Current);
	CONVOLUTION(xDesc, wDesc, convDesc, yDesc);
	return workspaceOf(call, Direction::Forward, algo, g, *x_, *w_, *y_, sizeInBytes);
}

cudnnStatus_t cudnnGetConvolutionBackwardDataWorkspaceSize(cudnnHandle_t handle, const cudnnFilterDescriptor_t wDesc,
	const cudnnTensorDescriptor_t dyDesc, const cudnnConvolutionDescriptor_t convDesc, const cudnnTensorDescriptor_t dxDesc,
	cudnnConvolutionBwdDataAlgo_t algo, size_t *sizeInBytes) {
	DNN_CALL(Current);
	CONVOLUTION(dxDesc, wDesc, convDesc, dyDesc);
	return workspaceOf(call, Direction::BackwardData, algo, g, *x_, *w_, *y_, sizeInBytes);
}

cudnnStatus_t cudnnGetConvolutionBackwardFilterWorkspaceSize(cudnnHandle_t handle, const cudnnTensorDescriptor_t xDesc,
	const cudnnTensorDescriptor_t dyDesc, const cudnnConvolutionDescriptor_t convDesc, const cudnnFilterDescriptor_t gradDesc,
	cudnnConvolutionBwdFilterAlgo_t algo, size_t *sizeInBytes) {
	DNN_CALL(Current);
	CONVOLUTION(xDesc, gradDesc, convDesc, dyDesc);
	return workspaceOf(call, Direction::BackwardFilter, algo, g, *x_, *w_, *y_, sizeInBytes);
}

// ---- The products ------------------------------------------------------------------

cudnnStatus_t cudnnConvolutionForward(cudnnHandle_t handle, const void *alpha, const cudnnTensorDescriptor_t xDesc, const void *x,
	const cudnnFilterDescriptor_t wDesc, const void *w, const cudnnConvolutionDescriptor_t convDesc, cudnnConvolutionFwdAlgo_t algo,
	void *workSpace, size_t workSpaceSizeInBytes, const void *beta, const cudnnTensorDescriptor_t yDesc, void *y) {
	DNN_CALL(Current | Queues);
	CONVOLUTION(xDesc, wDesc, convDesc, yDesc);
	if (cudnnStatus_t s = checkAlgorithm(call, Direction::Forward, algo, g, *x_, *w_, *y_)) return s;
	SCALARS(alpha, beta);
	ARGUMENTS(scalar(alpha), xDesc, x, wDesc, w, convDesc, algo, workSpace, workSpaceSizeInBytes, scalar(beta), yDesc, y);
	float a = scalar(alpha), b = scalar(beta);
	Task t(call);
	Tensor tx = t.input("x", *x_, x), tw = t.input("w", w_->tensor(), w), ty = t.output("y", *y_, y, b);
	t.apart("y", "x");
	t.apart("y", "w");
	t.workspace(workSpace, workSpaceSizeInBytes, workspaceBytes(Direction::Forward, algo, g, *w_));
	return t.run([=] { ty.store(convolve(g, tx.load(), tw.load()), a, b); });
}

// y = act(alpha1*conv(x, w) + alpha2*z + bias)
cudnnStatus_t cudnnConvolutionBiasActivationForward(cudnnHandle_t handle, const void *alpha1, const cudnnTensorDescriptor_t xDesc,
	const void *x, const cudnnFilterDescriptor_t wDesc, const void *w, const cudnnConvolutionDescriptor_t convDesc,
	cudnnConvolutionFwdAlgo_t algo, void *workSpace, size_t workSpaceSizeInBytes, const void *alpha2, const cudnnTensorDescriptor_t zDesc,
	const void *z, const cudnnTensorDescriptor_t biasDesc, const void *bias, const cudnnActivationDescriptor_t activationDesc,
	const cudnnTensorDescriptor_t yDesc, void *y) {
	DNN_CALL(Current | Queues);
	CONVOLUTION(xDesc, wDesc, convDesc, yDesc);
	FIND(TensorDesc, z_, zDesc);
	FIND(TensorDesc, bias_, biasDesc);
	FIND(ActivationDesc, act_, activationDesc);
	if (cudnnStatus_t s = checkAlgorithm(call, Direction::Forward, algo, g, *x_, *w_, *y_)) return s;
	SCALARS(alpha1, alpha2);
	ARGUMENTS(scalar(alpha1), xDesc, x, wDesc, w, convDesc, algo, workSpace, workSpaceSizeInBytes, scalar(alpha2), zDesc, z, biasDesc, bias, activationDesc, yDesc, y);
	bool identity = act_->mode == CUDNN_ACTIVATION_IDENTITY;
	if (!identity && act_->mode != CUDNN_ACTIVATION_RELU) return call.unsupported(text("activation %d: only ReLU and identity are fused", int(act_->mode)));
	if (identity && algo != CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM)
		return call.unsupported("the identity goes with IMPLICIT_PRECOMP_GEMM only");
	if (bias_->n != 1 || bias_->c != g.k || bias_->h != 1 || bias_->w != 1)
		return call.wrong(Status::BadParam, kind::descriptor, text("bias is %s, and should be [1,%d,1,1]", shape(*bias_).c_str(), g.k));
	if (bias_->type != y_->type) return call.unsupported("bias and y differ in type");
	if (!sameShape(*z_, *y_)) return call.wrong(Status::BadParam, kind::descriptor, text("z is %s, y is %s", shape(*z_).c_str(), shape(*y_).c_str()));
	float a1 = scalar(alpha1), a2 = scalar(alpha2);
	ActivationDesc act = *act_;
	Task t(call);
	Tensor tx = t.input("x", *x_, x), tw = t.input("w", w_->tensor(), w), tb = t.input("bias", *bias_, bias), ty = t.output("y", *y_, y), tz;
	if (a2 != 0) tz = t.input("z", *z_, z);
	t.apart("y", "x");
	t.apart("y", "w");
	t.apart("y", "bias");
	t.workspace(workSpace, workSpaceSizeInBytes, workspaceBytes(Direction::Forward, algo, g, *w_));
	return t.run([=] {
		Array out = convolve(g, tx.load(), tw.load()), b = tb.load(), add;
		if (a2 != 0) add = tz.load();
		for (size_t i = 0; i < out.size(); i++)
			out[i] = activate(act, a1 * out[i] + (a2 != 0 ? a2 * add[i] : 0) + b[i % size_t(g.k)]);
		ty.store(out);
	});
}

cudnnStatus_t cudnnConvolutionBackwardData(cudnnHandle_t handle, const void *alpha, const cudnnFilterDescriptor_t wDesc, const void *w,
	const cudnnTensorDescriptor_t dyDesc, const void *dy, const cudnnConvolutionDescriptor_t convDesc, cudnnConvolutionBwdDataAlgo_t algo,
	void *workSpace, size_t workSpaceSizeInBytes, const void *beta, const cudnnTensorDescriptor_t dxDesc, void *dx) {
	DNN_CALL(Current | Queues);
	CONVOLUTION(dxDesc, wDesc, convDesc, dyDesc);
	if (cudnnStatus_t s = checkAlgorithm(call, Direction::BackwardData, algo, g, *x_, *w_, *y_)) return s;
	SCALARS(alpha, beta);
	ARGUMENTS(scalar(alpha), wDesc, w, dyDesc, dy, convDesc, algo, workSpace, workSpaceSizeInBytes, scalar(beta), dxDesc, dx);
	float a = scalar(alpha), b = scalar(beta);
	Task t(call);
	Tensor tw = t.input("w", w_->tensor(), w), tdy = t.input("dy", *y_, dy), tdx = t.output("dx", *x_, dx, b);
	t.apart("dx", "dy");
	t.apart("dx", "w");
	t.workspace(workSpace, workSpaceSizeInBytes, workspaceBytes(Direction::BackwardData, algo, g, *w_));
	return t.run([=] { tdx.store(convolveBackwardData(g, tdy.load(), tw.load()), a, b); });
}

cudnnStatus_t cudnnConvolutionBackwardFilter(cudnnHandle_t handle, const void *alpha, const cudnnTensorDescriptor_t xDesc, const void *x,
	const cudnnTensorDescriptor_t dyDesc, const void *dy, const cudnnConvolutionDescriptor_t convDesc, cudnnConvolutionBwdFilterAlgo_t algo,
	void *workSpace, size_t workSpaceSizeInBytes, const void *beta, const cudnnFilterDescriptor_t dwDesc, void *dw) {
	DNN_CALL(Current | Queues);
	CONVOLUTION(xDesc, dwDesc, convDesc, dyDesc);
	if (cudnnStatus_t s = checkAlgorithm(call, Direction::BackwardFilter, algo, g, *x_, *w_, *y_)) return s;
	SCALARS(alpha, beta);
	ARGUMENTS(scalar(alpha), xDesc, x, dyDesc, dy, convDesc, algo, workSpace, workSpaceSizeInBytes, scalar(beta), dwDesc, dw);
	float a = scalar(alpha), b = scalar(beta);
	Task t(call);
	Tensor tx = t.input("x", *x_, x), tdy = t.input("dy", *y_, dy), tdw = t.output("dw", w_->tensor(), dw, b);
	t.apart("dw", "x");
	t.apart("dw", "dy");
	t.workspace(workSpace, workSpaceSizeInBytes, workspaceBytes(Direction::BackwardFilter, algo, g, *w_));
	return t.run([=] { tdw.store(convolveBackwardFilter(g, tx.load(), tdy.load()), a, b); });
}

// db[k] = sum_{n,p,q} dy[n,p,q,k]
cudnnStatus_t cudnnConvolutionBackwardBias(cudnnHandle_t handle, const void *alpha, const cudnnTensorDescriptor_t dyDesc, const void *dy,
	const void *beta, const cudnnTensorDescriptor_t dbDesc, void *db) {
	DNN_CALL(Current | Queues);
	FIND(TensorDesc, dy_, dyDesc);
	FIND(TensorDesc, db_, dbDesc);
	SCALARS(alpha, beta);
	ARGUMENTS(scalar(alpha), dyDesc, dy, scalar(beta), dbDesc, db);
	if (db_->n != 1 || db_->c != dy_->c || db_->h != 1 || db_->w != 1)
		return call.wrong(Status::BadParam, kind::descriptor, text("db is %s, and should be [1,%d,1,1]", shape(*db_).c_str(), dy_->c));
	float a = scalar(alpha), b = scalar(beta);
	Task t(call);
	Tensor tdy = t.input("dy", *dy_, dy), tdb = t.output("db", *db_, db, b);
	t.apart("db", "dy");
	return t.run([=] {
		Array in = tdy.load();
		std::vector<double> sum(size_t(tdb.desc.c), 0.0);
		for (size_t i = 0; i < in.size(); i++) sum[i % sum.size()] += in[i];
		tdb.store(Array(sum.begin(), sum.end()), a, b);
	});
}
