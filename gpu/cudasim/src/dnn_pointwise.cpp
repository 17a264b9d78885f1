// The software cuDNN: activations, softmax, dropout, and arithmetic on tensors.
#include "dnn.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace sim {


namespace {

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// clamp is max(x, 0), limited to the ceiling; NaN passes only if the descriptor says so.
float clamp(const ActivationDesc &a, float x, float ceiling) {
	if (std::isnan(x)) return a.nan == CUDNN_PROPAGATE_NAN ? x : 0;
	return std::min(std::max(x, 0.0f), ceiling);
}

} // namespace

float activate(const ActivationDesc &a, float x) {
	switch (a.mode) {
	case CUDNN_ACTIVATION_SIGMOID: return float(sigmoid(x));
	case CUDNN_ACTIVATION_RELU: return clamp(a, x, std::numeric_limits<float>::infinity());
	case CUDNN_ACTIVATION_TANH: return std::tanh(x);
	case CUDNN_ACTIVATION_CLIPPED_RELU: return clamp(a, x, float(a.coef));
	case CUDNN_ACTIVATION_ELU: return x >= 0 ? x : float(a.coef * std::expm1(double(x)));
	case CUDNN_ACTIVATION_SWISH: return float(x * sigmoid(a.coef * x));
	default: return x;
	}
}

} // namespace sim

using namespace sim;

namespace {

// slope returns the derivative of the activation at x; y is its value there.
float slope(const ActivationDesc &a, float x, float y) {
	switch (a.mode) {
	case CUDNN_ACTIVATION_SIGMOID: return y * (1 - y);
	case CUDNN_ACTIVATION_RELU: return x > 0 ? 1 : 0;
	case CUDNN_ACTIVATION_TANH: return 1 - y * y;
	case CUDNN_ACTIVATION_CLIPPED_RELU: return x > 0 && x <= a.coef ? 1 : 0;
	case CUDNN_ACTIVATION_ELU: return x >= 0 ? 1 : float(a.coef) + y;
	case CUDNN_ACTIVATION_SWISH: {
		double s = sigmoid(a.coef * x);
		return float(s + a.coef * x * s * (1 - s));
	}
	default: return 1;
	}
}

cudnnStatus_t shapes(DnnCall &call, std::initializer_list<const TensorDesc *> all) {
	const TensorDesc &first = **all.begin();
	for (const TensorDesc *d : all) {
		if (!sameShape(first, *d)) return call.wrong(Status::BadParam, kind::descriptor, text("shapes %s and %s differ", shape(first).c_str(), shape(*d).c_str()));
		if (first.type != d->type) return call.unsupported("tensors differ in type");
	}
	return 0;
}

} // namespace

// ---- Activations -------------------------------------------------------------------

cudnnStatus_t cudnnActivationForward(cudnnHandle_t handle, cudnnActivationDescriptor_t activationDesc, const void *alpha,
	const cudnnTensorDescriptor_t xDesc, const void *x, const void *beta, const cudnnTensorDescriptor_t yDesc, void *y) {
	DNN_CALL(Current | Queues);
	FIND(ActivationDesc, act, activationDesc);
	FIND(TensorDesc, dx, xDesc);
	FIND(TensorDesc, dy, yDesc);
	if (cudnnStatus_t s = shapes(call, {dx, dy})) return s;
	if (act->mode == CUDNN_ACTIVATION_IDENTITY) return call.unsupported("the identity is for fused convolutions only");
	SCALARS(alpha, beta);
	ARGUMENTS(activationDesc, scalar(alpha), xDesc, x, scalar(beta), yDesc, y);
	float a = scalar(alpha), b = scalar(beta);
	ActivationDesc f = *act;
	Task t(call);
	Tensor tx = t.input("x", *dx, x), ty = t.output("y", *dy, y, b);
	return t.run([=] {
		Array v = tx.load();
		for (float &e : v) e = activate(f, e);
		ty.store(v, a, b);
	});
}

cudnnStatus_t cudnnActivationBackward(cudnnHandle_t handle, cudnnActivationDescriptor_t activationDesc, const void *alpha,
	const cudnnTensorDescriptor_t yDesc, const void *y, const cudnnTensorDescriptor_t dyDesc, const void *dy,
	const cudnnTensorDescriptor_t xDesc, const void *x, const void *beta, const cudnnTensorDescriptor_t dxDesc, void *dx) {
	DNN_CALL(Current | Queues);
	FIND(ActivationDesc, act, activationDesc);
	FIND(TensorDesc, dY, yDesc);
	FIND(TensorDesc, dDy, dyDesc);
	FIND(TensorDesc, dX, xDesc);
	FIND(TensorDesc, dDx, dxDesc);
	if (cudnnStatus_t s = shapes(call, {dX, dY, dDy, dDx})) return s;
	if (act->mode == CUDNN_ACTIVATION_IDENTITY) return call.unsupported("the identity is for fused convolutions only");
	SCALARS(alpha, beta);
	ARGUMENTS(activationDesc, scalar(alpha), yDesc, y, dyDesc, dy, xDesc, x, scalar(beta), dxDesc, dx);
	float a = scalar(alpha), b = scalar(beta);
	ActivationDesc f = *act;
	Task t(call);
	Tensor ty = t.input("y", *dY, y), tdy = t.input("dy", *dDy, dy), tx = t.input("x", *dX, x), tdx = t.output("dx", *dDx, dx, b);
	return t.run([=] {
		Array vx = tx.load(), vy = ty.load(), out = tdy.load();
		for (size_t i = 0; i < out.size(); i++) out[i] *= slope(f, vx[i], vy[i]);
		tdx.store(out, a, b);
	});
}

// ---- Softmax -----------------------------------------------------------------------

namespace {

// groupSize returns the number of neighbouring elements in [n][h][w][c] that one softmax covers.
size_t groupSize(cudnnSoftmaxMode_t mode, const TensorDesc &d) {
	return mode == CUDNN_SOFTMAX_MODE_CHANNEL ? size_t(d.c) : size_t(d.c) * d.h * d.w;
}

void softmax(float *v, size_t n, bool logarithm) {
	float most = *std::max_element(v, v + n);
	double sum = 0;
	for (size_t i = 0; i < n; i++) sum += std::exp(double(v[i]) - most);
	for (size_t i = 0; i < n; i++) {
		double d = double(v[i]) - most;
		v[i] = float(logarithm ? d - std::log(sum) : std::exp(d) / sum);
	}
}

} // namespace

cudnnStatus_t cudnnSoftmaxForward(cudnnHandle_t handle, cudnnSoftmaxAlgorithm_t algo, cudnnSoftmaxMode_t mode, const void *alpha,
	const cudnnTensorDescriptor_t xDesc, const void *x, const void *beta, const cudnnTensorDescriptor_t yDesc, void *y) {
	DNN_CALL(Current | Queues);
	FIND(TensorDesc, dx, xDesc);
	FIND(TensorDesc, dy, yDesc);
	if (cudnnStatus_t s = shapes(call, {dx, dy})) return s;
	SCALARS(alpha, beta);
	ARGUMENTS(algo, mode, scalar(alpha), xDesc, x, scalar(beta), yDesc, y);
	float a = scalar(alpha), b = scalar(beta);
	size_t n = groupSize(mode, *dx);
	Task t(call);
	Tensor tx = t.input("x", *dx, x), ty = t.output("y", *dy, y, b);
	return t.run([=] {
		Array v = tx.load();
		for (size_t i = 0; i < v.size(); i += n) softmax(&v[i], n, algo == CUDNN_SOFTMAX_LOG);
		ty.store(v, a, b);
	});
}

// dx = y (dy - sum y dy), and for the logarithm of softmax dx = dy - exp(y) sum dy
cudnnStatus_t cudnnSoftmaxBackward(cudnnHandle_t handle, cudnnSoftmaxAlgorithm_t algo, cudnnSoftmaxMode_t mode, const void *alpha,
	const cudnnTensorDescriptor_t yDesc, const void *y, const cudnnTensorDescriptor_t dyDesc, const void *dy, const void *beta,
	const cudnnTensorDescriptor_t dxDesc, void *dx) {
	DNN_CALL(Current | Queues);
	FIND(TensorDesc, dY, yDesc);
	FIND(TensorDesc, dDy, dyDesc);
	FIND(TensorDesc, dDx, dxDesc);
	if (cudnnStatus_t s = shapes(call, {dY, dDy, dDx})) return s;
	SCALARS(alpha, beta);
	ARGUMENTS(algo, mode, scalar(alpha), yDesc, y, dyDesc, dy, scalar(beta), dxDesc, dx);
	float a = scalar(alpha), b = scalar(beta);
	size_t n = groupSize(mode, *dY);
	bool logarithm = algo == CUDNN_SOFTMAX_LOG;
	Task t(call);
	Tensor ty = t.input("y", *dY, y), tdy = t.input("dy", *dDy, dy), tdx = t.output("dx", *dDx, dx, b);
	return t.run([=] {
		Array v = ty.load(), out = tdy.load();
		for (size_t from = 0; from < v.size(); from += n) {
			double sum = 0;
			for (size_t i = from; i < from + n; i++) sum += logarithm ? out[i] : double(v[i]) * out[i];
			for (size_t i = from; i < from + n; i++)
				out[i] = float(logarithm ? out[i] - std::exp(double(v[i])) * sum : v[i] * (out[i] - sum));
		}
		tdx.store(out, a, b);
	});
}

// ---- Dropout -----------------------------------------------------------------------
//
// The library chooses which elements are dropped, as the real library does.

namespace {

constexpr size_t dropoutStates = 1024;

// random returns a uniform number in [0, 1): the finalizer of SplitMix64 over a counter.
double random(uint64_t seed, uint64_t call, uint64_t i) {
	uint64_t z = seed + (call << 40) + i * 0x9E3779B97F4A7C15u;
	z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
	z = (z ^ z >> 27) * 0x94D049BB133111EBu;
	return double((z ^ z >> 31) >> 11) * 0x1p-53;
}

} // namespace

cudnnStatus_t cudnnDropoutGetStatesSize(cudnnHandle_t handle, size_t *sizeInBytes) {
	DNN_CALL(Current);
	*sizeInBytes = dropoutStates;
	return 0;
}

cudnnStatus_t cudnnDropoutGetReserveSpaceSize(cudnnTensorDescriptor_t xdesc, size_t *sizeInBytes) {
	DNN_BEGIN(Nothing);
	FIND(TensorDesc, x, xdesc);
	*sizeInBytes = x->elements();
	return 0;
}

cudnnStatus_t cudnnSetDropoutDescriptor(cudnnDropoutDescriptor_t dropoutDesc, cudnnHandle_t handle, float dropout, void *states,
	size_t stateSizeInBytes, unsigned long long seed) {
	DNN_CALL(Current | Queues);
	const DropoutDesc *d = call.descriptor<DropoutDesc>(dropoutDesc, "dropoutDesc", false);
	if (!d) return call.status;
	if (!(dropout >= 0 && dropout < 1)) return call.wrong(Status::BadParam, kind::descriptor, text("a rate of %g", dropout));
	if (states && stateSizeInBytes < dropoutStates)
		return call.wrong(Status::BadParam, kind::argument, text("states of %zu bytes, needed are %zu", stateSizeInBytes, dropoutStates));
	DropoutDesc *set = const_cast<DropoutDesc *>(d);
	*set = {true, dropout, states, seed, 0};
	if (!states) return 0;
	Task t(call);
	char *p = t.buffer("states", states, dropoutStates, Mode::Write);
	return t.run([=] { memset(p, 0, dropoutStates); });
}

cudnnStatus_t cudnnDropoutForward(cudnnHandle_t handle, const cudnnDropoutDescriptor_t dropoutDesc, const cudnnTensorDescriptor_t xdesc,
	const void *x, const cudnnTensorDescriptor_t ydesc, void *y, void *reserveSpace, size_t reserveSpaceSizeInBytes) {
	DNN_CALL(Current | Queues);
	FIND(DropoutDesc, d, dropoutDesc);
	FIND(TensorDesc, dx, xdesc);
	FIND(TensorDesc, dy, ydesc);
	if (cudnnStatus_t s = shapes(call, {dx, dy})) return s;
	size_t n = dx->elements();
	if (reserveSpaceSizeInBytes < n) return call.wrong(Status::BadParam, kind::argument, text("a reserve space of %zu bytes, needed are %zu", reserveSpaceSizeInBytes, n));
	Task t(call);
	Tensor tx = t.input("x", *dx, x), ty = t.output("y", *dy, y);
	char *mask = t.buffer("reserveSpace", reserveSpace, n, Mode::Write);
	if (d->states) t.buffer("states", d->states, dropoutStates, Mode::ReadWrite);
	float rate = d->rate;
	uint64_t seed = d->seed, number = const_cast<DropoutDesc *>(d)->calls++;
	return t.run([=] {
		Array v = tx.load();
		for (size_t i = 0; i < v.size(); i++) {
			mask[i] = random(seed, number, i) >= rate;
			v[i] = mask[i] ? v[i] / (1 - rate) : 0;
		}
		ty.store(v);
	});
}

cudnnStatus_t cudnnDropoutBackward(cudnnHandle_t handle, const cudnnDropoutDescriptor_t dropoutDesc, const cudnnTensorDescriptor_t dydesc,
	const void *dy, const cudnnTensorDescriptor_t dxdesc, void *dx, void *reserveSpace, size_t reserveSpaceSizeInBytes) {
	DNN_CALL(Current | Queues);
	FIND(DropoutDesc, d, dropoutDesc);
	FIND(TensorDesc, dDy, dydesc);
	FIND(TensorDesc, dDx, dxdesc);
	if (cudnnStatus_t s = shapes(call, {dDy, dDx})) return s;
	size_t n = dDy->elements();
	if (reserveSpaceSizeInBytes < n) return call.wrong(Status::BadParam, kind::argument, text("a reserve space of %zu bytes, needed are %zu", reserveSpaceSizeInBytes, n));
	Task t(call);
	Tensor tdy = t.input("dy", *dDy, dy), tdx = t.output("dx", *dDx, dx);
	const char *mask = t.buffer("reserveSpace", reserveSpace, n, Mode::Read);
	float rate = d->rate;
	return t.run([=] {
		Array v = tdy.load();
		for (size_t i = 0; i < v.size(); i++) v[i] = mask[i] ? v[i] / (1 - rate) : 0;
		tdx.store(v);
	});
}

// ---- Arithmetic --------------------------------------------------------------------

namespace {

// broadcasts reports whether b can be broadcast to the shape of c.
bool broadcasts(const TensorDesc &b, const TensorDesc &c) {
	return (b.n == c.n || b.n == 1) && (b.c == c.c || b.c == 1) && (b.h == c.h || b.h == 1) && (b.w == c.w || b.w == 1);
}

// Spread maps the index of an element of the large tensor to the index of the element of the small
// tensor that is broadcast to it.
struct Spread {
	TensorDesc large, small;
	size_t operator()(size_t i) const {
		size_t c = i % large.c, w = i / large.c % large.w, h = i / large.c / large.w % large.h, n = i / large.c / large.w / large.h;
		auto at = [](size_t k, int size) { return size == 1 ? 0 : k; };
		return ((at(n, small.n) * small.h + at(h, small.h)) * small.w + at(w, small.w)) * small.c + at(c, small.c);
	}
};

} // namespace

// C = alpha*A + beta*C, A broadcast to C's shape.
cudnnStatus_t cudnnAddTensor(cudnnHandle_t handle, const void *alpha, const cudnnTensorDescriptor_t aDesc, const void *A, const void *beta,
	const cudnnTensorDescriptor_t cDesc, void *C) {
	DNN_CALL(Current | Queues);
	FIND(TensorDesc, a, aDesc);
	FIND(TensorDesc, c, cDesc);
	if (!broadcasts(*a, *c)) return call.wrong(Status::BadParam, kind::descriptor, text("A %s does not spread over C %s", shape(*a).c_str(), shape(*c).c_str()));
	if (a->type != c->type) return call.unsupported("tensors differ in type");
	SCALARS(alpha, beta);
	ARGUMENTS(scalar(alpha), aDesc, A, scalar(beta), cDesc, C);
	float fa = scalar(alpha), fb = scalar(beta);
	Task t(call);
	Tensor ta = t.input("A", *a, A), tc = t.output("C", *c, C, fb);
	t.apart("C", "A");
	return t.run([=] {
		Array from = ta.load(), out(tc.desc.elements());
		Spread s = {tc.desc, ta.desc};
		for (size_t i = 0; i < out.size(); i++) out[i] = from[s(i)];
		tc.store(out, fa, fb);
	});
}

// C = op(alpha1*A, alpha2*B) + beta*C, B broadcast to A's shape.
cudnnStatus_t cudnnOpTensor(cudnnHandle_t handle, const cudnnOpTensorDescriptor_t opTensorDesc, const void *alpha1,
	const cudnnTensorDescriptor_t aDesc, const void *A, const void *alpha2, const cudnnTensorDescriptor_t bDesc, const void *B,
	const void *beta, const cudnnTensorDescriptor_t cDesc, void *C) {
	DNN_CALL(Current | Queues);
	FIND(OpTensorDesc, op, opTensorDesc);
	FIND(TensorDesc, a, aDesc);
	FIND(TensorDesc, c, cDesc);
	cudnnOpTensorOp_t o = op->op;
	bool unary = o == CUDNN_OP_TENSOR_SQRT || o == CUDNN_OP_TENSOR_NOT;
	if (cudnnStatus_t s = shapes(call, {a, c})) return s;
	SCALARS(alpha1, beta);
	float a1 = scalar(alpha1), a2 = 0, fb = scalar(beta);
	Task t(call);
	Tensor ta = t.input("A", *a, A), tb, tc = t.output("C", *c, C, fb);
	if (!unary) {
		FIND(TensorDesc, b, bDesc);
		if (!broadcasts(*b, *a)) return call.wrong(Status::BadParam, kind::descriptor, text("B %s does not spread over A %s", shape(*b).c_str(), shape(*a).c_str()));
		SCALARS(alpha2, beta);
		a2 = scalar(alpha2);
		tb = t.input("B", *b, B);
	}
	return t.run([=] {
		Array x = ta.load(), y;
		if (!unary) y = tb.load();
		Spread s = {ta.desc, tb.desc};
		for (size_t i = 0; i < x.size(); i++) {
			float p = a1 * x[i], q = unary ? 0 : a2 * y[s(i)];
			switch (o) {
			case CUDNN_OP_TENSOR_ADD: x[i] = p + q; break;
			case CUDNN_OP_TENSOR_MUL: x[i] = p * q; break;
			case CUDNN_OP_TENSOR_MIN: x[i] = std::min(p, q); break;
			case CUDNN_OP_TENSOR_MAX: x[i] = std::max(p, q); break;
			case CUDNN_OP_TENSOR_SQRT: x[i] = std::sqrt(p); break;
			case CUDNN_OP_TENSOR_NOT: x[i] = 1 - p; break;
			}
		}
		tc.store(x, 1, fb);
	});
}

cudnnStatus_t cudnnScaleTensor(cudnnHandle_t handle, const cudnnTensorDescriptor_t yDesc, void *y, const void *alpha) {
	DNN_CALL(Current | Queues);
	FIND(TensorDesc, d, yDesc);
	SCALARS(alpha, alpha);
	float a = scalar(alpha);
	Task t(call);
	Tensor ty = t.inPlace("y", *d, y);
	return t.run([=] { ty.store(ty.load(), a); });
}

cudnnStatus_t cudnnSetTensor(cudnnHandle_t handle, const cudnnTensorDescriptor_t yDesc, void *y, const void *valuePtr) {
	DNN_CALL(Current | Queues);
	FIND(TensorDesc, d, yDesc);
	SCALARS(valuePtr, valuePtr);
	Type type;
	if (!typeOf(d->type, &type)) return call.unsupported(text("data type %d", int(d->type)));
	float v = loadOne(type, valuePtr);
	Task t(call);
	Tensor ty = t.output("y", *d, y);
	return t.run([=] { ty.store(Array(ty.desc.elements(), v)); });
}

// y = alpha*x + beta*y, from one layout or type to another.
cudnnStatus_t cudnnTransformTensor(cudnnHandle_t handle, const void *alpha, const cudnnTensorDescriptor_t xDesc, const void *x,
	const void *beta, const cudnnTensorDescriptor_t yDesc, void *y) {
	DNN_CALL(Current | Queues);
	FIND(TensorDesc, dx, xDesc);
	FIND(TensorDesc, dy, yDesc);
	if (!sameShape(*dx, *dy)) return call.wrong(Status::BadParam, kind::descriptor, text("shapes %s and %s differ", shape(*dx).c_str(), shape(*dy).c_str()));
	SCALARS(alpha, beta);
	float a = scalar(alpha), b = scalar(beta);
	Task t(call);
	Tensor tx = t.input("x", *dx, x), ty = t.output("y", *dy, y, b);
	t.apart("y", "x");
	return t.run([=] { ty.store(tx.load(), a, b); });
}

// ---- Reductions --------------------------------------------------------------------

namespace {

constexpr size_t reductionWorkspace = 256;

struct Reduction {
	cudnnReduceTensorOp_t op;
	double start() const {
		switch (op) {
		case CUDNN_REDUCE_TENSOR_MUL:
		case CUDNN_REDUCE_TENSOR_MUL_NO_ZEROS: return 1;
		case CUDNN_REDUCE_TENSOR_MIN: return std::numeric_limits<double>::infinity();
		case CUDNN_REDUCE_TENSOR_MAX: return -std::numeric_limits<double>::infinity();
		default: return 0;
		}
	}
	void add(double *sum, float x) const {
		switch (op) {
		case CUDNN_REDUCE_TENSOR_ADD:
		case CUDNN_REDUCE_TENSOR_AVG: *sum += x; break;
		case CUDNN_REDUCE_TENSOR_MUL: *sum *= x; break;
		case CUDNN_REDUCE_TENSOR_MUL_NO_ZEROS: *sum *= x == 0 ? 1 : x; break;
		case CUDNN_REDUCE_TENSOR_MIN: *sum = std::min(*sum, double(x)); break;
		case CUDNN_REDUCE_TENSOR_MAX: *sum = std::max(*sum, double(x)); break;
		case CUDNN_REDUCE_TENSOR_AMAX: *sum = std::max(*sum, std::fabs(double(x))); break;
		case CUDNN_REDUCE_TENSOR_NORM1: *sum += std::fabs(double(x)); break;
		case CUDNN_REDUCE_TENSOR_NORM2: *sum += double(x) * x; break;
		}
	}
	double finish(double sum, double count) const {
		if (op == CUDNN_REDUCE_TENSOR_AVG) return sum / count;
		return op == CUDNN_REDUCE_TENSOR_NORM2 ? std::sqrt(sum) : sum;
	}
};

} // namespace

cudnnStatus_t cudnnGetReductionWorkspaceSize(cudnnHandle_t handle, const cudnnReduceTensorDescriptor_t reduceTensorDesc,
	const cudnnTensorDescriptor_t, const cudnnTensorDescriptor_t, size_t *sizeInBytes) {
	DNN_CALL(Current);
	FIND(ReduceDesc, r, reduceTensorDesc);
	*sizeInBytes = reductionWorkspace;
	return 0;
}

cudnnStatus_t cudnnGetReductionIndicesSize(cudnnHandle_t handle, const cudnnReduceTensorDescriptor_t reduceTensorDesc,
	const cudnnTensorDescriptor_t, const cudnnTensorDescriptor_t, size_t *sizeInBytes) {
	DNN_CALL(Current);
	FIND(ReduceDesc, r, reduceTensorDesc);
	if (r->indices != CUDNN_REDUCE_TENSOR_NO_INDICES) return call.unsupported("the emulation gives no indices");
	*sizeInBytes = 0;
	return 0;
}

// C = alpha*reduce(A) + beta*C, over the dimensions in which C has size 1.
cudnnStatus_t cudnnReduceTensor(cudnnHandle_t handle, const cudnnReduceTensorDescriptor_t reduceTensorDesc, void *, size_t, void *workspace,
	size_t workspaceSizeInBytes, const void *alpha, const cudnnTensorDescriptor_t aDesc, const void *A, const void *beta,
	const cudnnTensorDescriptor_t cDesc, void *C) {
	DNN_CALL(Current | Queues);
	FIND(ReduceDesc, d, reduceTensorDesc);
	FIND(TensorDesc, a, aDesc);
	FIND(TensorDesc, c, cDesc);
	if (d->indices != CUDNN_REDUCE_TENSOR_NO_INDICES) return call.unsupported("the emulation gives no indices");
	if (!broadcasts(*c, *a)) return call.wrong(Status::BadParam, kind::descriptor, text("A %s does not reduce to C %s", shape(*a).c_str(), shape(*c).c_str()));
	SCALARS(alpha, beta);
	float fa = scalar(alpha), fb = scalar(beta);
	Reduction r = {d->op};
	Task t(call);
	Tensor ta = t.input("A", *a, A), tc = t.output("C", *c, C, fb);
	t.apart("C", "A");
	t.workspace(workspace, workspaceSizeInBytes, reductionWorkspace);
	return t.run([=] {
		Array from = ta.load();
		std::vector<double> sum(tc.desc.elements(), r.start());
		Spread s = {ta.desc, tc.desc};
		for (size_t i = 0; i < from.size(); i++) r.add(&sum[s(i)], from[i]);
		double count = double(from.size() / sum.size());
		Array out(sum.size());
		for (size_t i = 0; i < out.size(); i++) out[i] = float(r.finish(sum[i], count));
		tc.store(out, fa, fb);
	});
}
