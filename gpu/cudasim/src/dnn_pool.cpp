// The software cuDNN: pooling. In max pooling the first of equal elements, row by row, is the maximum.
#include "dnn.h"

#include <algorithm>
#include <cmath>

using namespace sim;

namespace {

int outDim(int in, int pad, int window, int stride) { return (in + 2 * pad - window) / stride + 1; }

cudnnStatus_t check(DnnCall &call, const PoolingDesc &p, const TensorDesc &x, const TensorDesc &y) {
	int h = outDim(x.h, p.padH, p.windowH, p.strideH), w = outDim(x.w, p.padW, p.windowW, p.strideW);
	if (x.type != y.type) return call.unsupported("x and y differ in type");
	if (y.n != x.n || y.c != x.c || y.h != h || y.w != w || h < 1 || w < 1)
		return call.wrong(Status::BadParam, kind::descriptor, text("y is %s, and should be [%d,%d,%d,%d]", shape(y).c_str(), x.n, x.c, h, w));
	return 0;
}

bool isMax(const PoolingDesc &p) { return p.mode == CUDNN_POOLING_MAX || p.mode == CUDNN_POOLING_MAX_DETERMINISTIC; }

// Window is the part of a pooling window that lies inside the image.
struct Window {
	int top, bottom, left, right; // ends excluded
	float divisor;                // of an average
};

Window windowAt(const PoolingDesc &p, const TensorDesc &x, int i, int j) {
	int top = i * p.strideH - p.padH, left = j * p.strideW - p.padW;
	Window w = {std::max(top, 0), std::min(top + p.windowH, x.h), std::max(left, 0), std::min(left + p.windowW, x.w), 0};
	bool padding = p.mode == CUDNN_POOLING_AVERAGE_COUNT_INCLUDE_PADDING;
	w.divisor = float(padding ? p.windowH * p.windowW : (w.bottom - w.top) * (w.right - w.left));
	return w;
}

// each calls f(window, base, index of y) for all elements of y, where base is the index of the image
// and channel in x. An element of x is at base + (row*width + column)*channels.
template <class F> void each(const PoolingDesc &p, const TensorDesc &x, const TensorDesc &y, const F &f) {
	size_t out = 0;
	for (int n = 0; n < y.n; n++)
		for (int i = 0; i < y.h; i++)
			for (int j = 0; j < y.w; j++) {
				Window w = windowAt(p, x, i, j);
				for (int c = 0; c < y.c; c++, out++) f(w, size_t(n) * x.h * x.w * x.c + c, out);
			}
}

size_t argmax(const PoolingDesc &p, const TensorDesc &d, const Array &x, const Window &w, size_t base) {
	size_t best = base + (size_t(w.top) * d.w + w.left) * d.c;
	for (int i = w.top; i < w.bottom; i++)
		for (int j = w.left; j < w.right; j++) {
			size_t at = base + (size_t(i) * d.w + j) * d.c;
			bool nan = std::isnan(x[at]) && !std::isnan(x[best]) && p.nan == CUDNN_PROPAGATE_NAN;
			bool first = std::isnan(x[best]) && p.nan == CUDNN_NOT_PROPAGATE_NAN && !std::isnan(x[at]);
			if (x[at] > x[best] || nan || first) best = at;
		}
	return best;
}

Array forward(const PoolingDesc &p, const TensorDesc &dx, const TensorDesc &dy, const Array &x) {
	Array y(dy.elements());
	each(p, dx, dy, [&](const Window &w, size_t base, size_t out) {
		if (isMax(p)) {
			y[out] = x[argmax(p, dx, x, w, base)];
			return;
		}
		float sum = 0;
		for (int i = w.top; i < w.bottom; i++)
			for (int j = w.left; j < w.right; j++) sum += x[base + (size_t(i) * dx.w + j) * dx.c];
		y[out] = sum / w.divisor;
	});
	return y;
}

Array backward(const PoolingDesc &p, const TensorDesc &dx, const TensorDesc &dy, const Array &x, const Array &grad) {
	Array out(dx.elements(), 0.0f);
	each(p, dx, dy, [&](const Window &w, size_t base, size_t from) {
		if (isMax(p)) {
			out[argmax(p, dx, x, w, base)] += grad[from];
			return;
		}
		float share = grad[from] / w.divisor;
		for (int i = w.top; i < w.bottom; i++)
			for (int j = w.left; j < w.right; j++) out[base + (size_t(i) * dx.w + j) * dx.c] += share;
	});
	return out;
}

} // namespace

cudnnStatus_t cudnnGetPooling2dForwardOutputDim(const cudnnPoolingDescriptor_t poolingDesc, const cudnnTensorDescriptor_t inputTensorDesc,
	int *n, int *c, int *h, int *w) {
	DNN_BEGIN(Nothing);
	FIND(PoolingDesc, p, poolingDesc);
	FIND(TensorDesc, x, inputTensorDesc);
	*n = x->n;
	*c = x->c;
	*h = outDim(x->h, p->padH, p->windowH, p->strideH);
	*w = outDim(x->w, p->padW, p->windowW, p->strideW);
	return 0;
}

cudnnStatus_t cudnnGetPoolingNdForwardOutputDim(const cudnnPoolingDescriptor_t poolingDesc, const cudnnTensorDescriptor_t inputTensorDesc,
	int nbDims, int outputTensorDimA[]) {
	{
		DNN_BEGIN(Nothing);
		if (!outputTensorDimA) return call.wrong(Status::BadParam, kind::argument, "outputTensorDimA is null");
		if (nbDims != 4) return call.unsupported(text("%d dimensions: the emulation has 4", nbDims));
	}
	int *o = outputTensorDimA;
	return cudnnGetPooling2dForwardOutputDim(poolingDesc, inputTensorDesc, &o[0], &o[1], &o[2], &o[3]);
}

cudnnStatus_t cudnnPoolingForward(cudnnHandle_t handle, const cudnnPoolingDescriptor_t poolingDesc, const void *alpha,
	const cudnnTensorDescriptor_t xDesc, const void *x, const void *beta, const cudnnTensorDescriptor_t yDesc, void *y) {
	DNN_CALL(Current | Queues);
	FIND(PoolingDesc, pool, poolingDesc);
	FIND(TensorDesc, dx, xDesc);
	FIND(TensorDesc, dy, yDesc);
	if (cudnnStatus_t s = check(call, *pool, *dx, *dy)) return s;
	SCALARS(alpha, beta);
	ARGUMENTS(poolingDesc, scalar(alpha), xDesc, x, scalar(beta), yDesc, y);
	float a = scalar(alpha), b = scalar(beta);
	PoolingDesc p = *pool;
	Task t(call);
	Tensor tx = t.input("x", *dx, x), ty = t.output("y", *dy, y, b);
	t.apart("y", "x");
	return t.run([=] { ty.store(forward(p, tx.desc, ty.desc, tx.load()), a, b); });
}

cudnnStatus_t cudnnPoolingBackward(cudnnHandle_t handle, const cudnnPoolingDescriptor_t poolingDesc, const void *alpha,
	const cudnnTensorDescriptor_t yDesc, const void *y, const cudnnTensorDescriptor_t dyDesc, const void *dy,
	const cudnnTensorDescriptor_t xDesc, const void *x, const void *beta, const cudnnTensorDescriptor_t dxDesc, void *dx) {
	DNN_CALL(Current | Queues);
	FIND(PoolingDesc, pool, poolingDesc);
	FIND(TensorDesc, dY, yDesc);
	FIND(TensorDesc, dDy, dyDesc);
	FIND(TensorDesc, dX, xDesc);
	FIND(TensorDesc, dDx, dxDesc);
	if (cudnnStatus_t s = check(call, *pool, *dX, *dY)) return s;
	if (!sameShape(*dX, *dDx) || !sameShape(*dY, *dDy))
		return call.wrong(Status::BadParam, kind::descriptor, text("x %s, dx %s, y %s, dy %s", shape(*dX).c_str(), shape(*dDx).c_str(), shape(*dY).c_str(), shape(*dDy).c_str()));
	SCALARS(alpha, beta);
	ARGUMENTS(poolingDesc, scalar(alpha), yDesc, y, dyDesc, dy, xDesc, x, scalar(beta), dxDesc, dx);
	float a = scalar(alpha), b = scalar(beta);
	PoolingDesc p = *pool;
	Task t(call);
	t.input("y", *dY, y);
	Tensor tdy = t.input("dy", *dDy, dy), tx = t.input("x", *dX, x), tdx = t.output("dx", *dDx, dx, b);
	t.apart("dx", "dy");
	t.apart("dx", "x");
	return t.run([=] { tdx.store(backward(p, tx.desc, tdy.desc, tx.load(), tdy.load()), a, b); });
}
