// A libcudnn for tests, of the version VERSION: descriptors keep what was set, and calls check
// that what they get is what the test gives, or write it where y points.
#include <cudnn.h>
#include <stdlib.h>
#include <string.h>

// The statuses of both numberings.
#if VERSION >= 9000
enum { not_initialized = 1001, bad_param = 2000, not_supported = 3000, arch_mismatch = 3007 };
#else
enum { not_initialized = 1, bad_param = 3, not_supported = 9, arch_mismatch = 6 };
#endif

struct descriptor { int kind, type, format, n[12]; };
enum { tensor = 1, filter, convolution, pooling, activation };
static int alive; // descriptors
static int backend_alive; // of these, of the graph interface

size_t cudnnGetVersion(void) { return VERSION; }
size_t cudnnGetCudartVersion(void) { return 12010; }
cudnnStatus_t cudnnCreate(cudnnHandle_t *handle) {
	return *handle = (cudnnHandle_t)&alive, getenv("FAKE_CUDNN") ? (cudnnStatus_t)not_initialized : CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
	return (void *)handle == &alive && !backend_alive ? CUDNN_STATUS_SUCCESS : (cudnnStatus_t)bad_param;
}
cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t s) { return (void)handle, (void)s, CUDNN_STATUS_SUCCESS; }
#if VERSION >= 9000
void cudnnGetLastErrorString(char *message, size_t size) { strncpy(message, "the fake's reason", size); }
#endif
int fake_alive(void) { return alive; }

static cudnnStatus_t make(void *d, int what) {
	struct descriptor *new = calloc(1, sizeof *new);
	new->kind = what;
	alive++;
	return memcpy(d, &new, sizeof new), CUDNN_STATUS_SUCCESS;
}
static cudnnStatus_t destroy(void *d, int what) {
	if (((struct descriptor *)d)->kind != what)
		return (cudnnStatus_t)bad_param;
	return alive--, free(d), CUDNN_STATUS_SUCCESS;
}
static cudnnStatus_t set(void *d, int type, int format, int n, ...) {
	struct descriptor *to = d;
	to->type = type, to->format = format;
	__builtin_va_list list;
	__builtin_va_start(list, n);
	for (int i = 0; i < n; i++)
		if ((to->n[i] = __builtin_va_arg(list, int)) < 0)
			return (cudnnStatus_t)bad_param;
	__builtin_va_end(list);
	return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnCreateTensorDescriptor(cudnnTensorDescriptor_t *d) { return make(d, tensor); }
cudnnStatus_t cudnnDestroyTensorDescriptor(cudnnTensorDescriptor_t d) { return destroy(d, tensor); }
cudnnStatus_t cudnnSetTensor4dDescriptor(cudnnTensorDescriptor_t d, cudnnTensorFormat_t format, cudnnDataType_t type, int n,
	int c, int h, int w) {
	return set(d, type, format, 4, n, c, h, w);
}
cudnnStatus_t cudnnCreateFilterDescriptor(cudnnFilterDescriptor_t *d) { return make(d, filter); }
cudnnStatus_t cudnnDestroyFilterDescriptor(cudnnFilterDescriptor_t d) { return destroy(d, filter); }
cudnnStatus_t cudnnSetFilter4dDescriptor(cudnnFilterDescriptor_t d, cudnnDataType_t type, cudnnTensorFormat_t format, int k,
	int c, int h, int w) {
	return set(d, type, format, 4, k, c, h, w);
}
cudnnStatus_t cudnnCreateConvolutionDescriptor(cudnnConvolutionDescriptor_t *d) { return make(d, convolution); }
cudnnStatus_t cudnnDestroyConvolutionDescriptor(cudnnConvolutionDescriptor_t d) { return destroy(d, convolution); }
cudnnStatus_t cudnnSetConvolutionMathType(cudnnConvolutionDescriptor_t d, cudnnMathType_t math) {
	return ((struct descriptor *)d)->n[10] = math, CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetConvolutionGroupCount(cudnnConvolutionDescriptor_t d, int groups) {
	return ((struct descriptor *)d)->n[11] = groups, CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetConvolution2dDescriptor(cudnnConvolutionDescriptor_t d, int ph, int pw, int sh, int sw, int dh, int dw,
	cudnnConvolutionMode_t mode, cudnnDataType_t type) {
	return mode == CUDNN_CROSS_CORRELATION ? set(d, type, 0, 6, ph, pw, sh, sw, dh, dw) : (cudnnStatus_t)bad_param;
}
cudnnStatus_t cudnnCreatePoolingDescriptor(cudnnPoolingDescriptor_t *d) { return make(d, pooling); }
cudnnStatus_t cudnnDestroyPoolingDescriptor(cudnnPoolingDescriptor_t d) { return destroy(d, pooling); }
cudnnStatus_t cudnnSetPooling2dDescriptor(cudnnPoolingDescriptor_t d, cudnnPoolingMode_t mode, cudnnNanPropagation_t nan,
	int h, int w, int ph, int pw, int sh, int sw) {
	return set(d, mode, nan, 6, h, w, ph, pw, sh, sw);
}
cudnnStatus_t cudnnCreateActivationDescriptor(cudnnActivationDescriptor_t *d) { return make(d, activation); }
cudnnStatus_t cudnnDestroyActivationDescriptor(cudnnActivationDescriptor_t d) { return destroy(d, activation); }
cudnnStatus_t cudnnSetActivationDescriptor(cudnnActivationDescriptor_t d, cudnnActivationMode_t mode,
	cudnnNanPropagation_t nan, double coefficient) {
	return set(d, mode, nan, 1, (int)coefficient);
}

// Whether the descriptors are those of a convolution, and the pointers those of its tensors: each
// points to a float, 1 for x, 2 for w, 3 for y, 4 for the workspace, of 64 bytes.
static cudnnStatus_t check(const void *x, const void *w, const void *conv, const void *y, const float *px,
	const float *pw, const float *py, const float *ws, size_t size) {
	const struct descriptor *dx = x, *dw = w, *dc = conv, *dy = y;
	if (dx->kind != tensor || dw->kind != filter || dc->kind != convolution || dy->kind != tensor)
		return (cudnnStatus_t)bad_param;
	if (px && (*px != 1 || *pw != 2 || *py != 3 || *ws != 4 || size != 64))
		return (cudnnStatus_t)bad_param;
	return CUDNN_STATUS_SUCCESS;
}

// Three algorithms: the second can't do it, the first isn't deterministic. They are numbered from
// first, by the pass.
#define LIST(first) \
	*returned = 3; \
	memset(list, 0, 3 * sizeof *list); \
	for (int i = 0; i < 3; i++) \
		list[i].algo = (first) + i, list[i].time = 0.5f * (i + 1), list[i].memory = 64 * i, \
		list[i].determinism = i != 0, list[i].mathType = CUDNN_TENSOR_OP_MATH; \
	list[1].status = (cudnnStatus_t)not_supported

cudnnStatus_t cudnnGetConvolutionForwardAlgorithm_v7(cudnnHandle_t handle, const cudnnTensorDescriptor_t x,
	const cudnnFilterDescriptor_t w, const cudnnConvolutionDescriptor_t c, const cudnnTensorDescriptor_t y, const int most,
	int *returned, cudnnConvolutionFwdAlgoPerf_t *list) {
	(void)handle, (void)most;
	LIST(0);
	return check(x, w, c, y, 0, 0, 0, 0, 0);
}
cudnnStatus_t cudnnGetConvolutionBackwardDataAlgorithm_v7(cudnnHandle_t handle, const cudnnFilterDescriptor_t w,
	const cudnnTensorDescriptor_t y, const cudnnConvolutionDescriptor_t c, const cudnnTensorDescriptor_t x, const int most,
	int *returned, cudnnConvolutionBwdDataAlgoPerf_t *list) {
	(void)handle, (void)most;
	LIST(1);
	return check(x, w, c, y, 0, 0, 0, 0, 0);
}
cudnnStatus_t cudnnGetConvolutionBackwardFilterAlgorithm_v7(cudnnHandle_t handle, const cudnnTensorDescriptor_t x,
	const cudnnTensorDescriptor_t y, const cudnnConvolutionDescriptor_t c, const cudnnFilterDescriptor_t w, const int most,
	int *returned, cudnnConvolutionBwdFilterAlgoPerf_t *list) {
	(void)handle, (void)most;
	LIST(2);
	return check(x, w, c, y, 0, 0, 0, 0, 0);
}
cudnnStatus_t cudnnFindConvolutionForwardAlgorithmEx(cudnnHandle_t handle, const cudnnTensorDescriptor_t x, const void *px,
	const cudnnFilterDescriptor_t w, const void *pw, const cudnnConvolutionDescriptor_t c, const cudnnTensorDescriptor_t y,
	void *py, const int most, int *returned, cudnnConvolutionFwdAlgoPerf_t *list, void *ws, size_t size) {
	(void)handle, (void)most;
	LIST(0);
	return check(x, w, c, y, px, pw, py, ws, size);
}
cudnnStatus_t cudnnFindConvolutionBackwardDataAlgorithmEx(cudnnHandle_t handle, const cudnnFilterDescriptor_t w,
	const void *pw, const cudnnTensorDescriptor_t y, const void *py, const cudnnConvolutionDescriptor_t c,
	const cudnnTensorDescriptor_t x, void *px, const int most, int *returned, cudnnConvolutionBwdDataAlgoPerf_t *list,
	void *ws, size_t size) {
	(void)handle, (void)most;
	LIST(1);
	return check(x, w, c, y, px, pw, py, ws, size);
}
cudnnStatus_t cudnnFindConvolutionBackwardFilterAlgorithmEx(cudnnHandle_t handle, const cudnnTensorDescriptor_t x,
	const void *px, const cudnnTensorDescriptor_t y, const void *py, const cudnnConvolutionDescriptor_t c,
	const cudnnFilterDescriptor_t w, void *pw, const int most, int *returned, cudnnConvolutionBwdFilterAlgoPerf_t *list,
	void *ws, size_t size) {
	(void)handle, (void)most;
	LIST(2);
	return check(x, w, c, y, px, pw, py, ws, size);
}

static cudnnStatus_t workspace(int algo, size_t *size) {
	*size = 64 * algo;
	return algo == 7 ? (cudnnStatus_t)arch_mismatch : CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnGetConvolutionForwardWorkspaceSize(cudnnHandle_t handle, const cudnnTensorDescriptor_t x,
	const cudnnFilterDescriptor_t w, const cudnnConvolutionDescriptor_t c, const cudnnTensorDescriptor_t y,
	cudnnConvolutionFwdAlgo_t algo, size_t *size) {
	(void)handle;
	cudnnStatus_t status = check(x, w, c, y, 0, 0, 0, 0, 0);
	return status ? status : workspace(algo, size);
}
cudnnStatus_t cudnnGetConvolutionBackwardDataWorkspaceSize(cudnnHandle_t handle, const cudnnFilterDescriptor_t w,
	const cudnnTensorDescriptor_t y, const cudnnConvolutionDescriptor_t c, const cudnnTensorDescriptor_t x,
	cudnnConvolutionBwdDataAlgo_t algo, size_t *size) {
	(void)handle;
	cudnnStatus_t status = check(x, w, c, y, 0, 0, 0, 0, 0);
	return status ? status : workspace(algo, size);
}
cudnnStatus_t cudnnGetConvolutionBackwardFilterWorkspaceSize(cudnnHandle_t handle, const cudnnTensorDescriptor_t x,
	const cudnnTensorDescriptor_t y, const cudnnConvolutionDescriptor_t c, const cudnnFilterDescriptor_t w,
	cudnnConvolutionBwdFilterAlgo_t algo, size_t *size) {
	(void)handle;
	cudnnStatus_t status = check(x, w, c, y, 0, 0, 0, 0, 0);
	return status ? status : workspace(algo, size);
}

// result checks the arguments, and then is 10 times the algorithm + alpha + beta / 100.
static cudnnStatus_t result(cudnnStatus_t status, float *to, int algo, const void *alpha, const void *beta) {
	if (!status)
		*to = 10 * algo + *(float *)alpha + *(float *)beta / 100;
	return status;
}
cudnnStatus_t cudnnConvolutionForward(cudnnHandle_t handle, const void *alpha, const cudnnTensorDescriptor_t x,
	const void *px, const cudnnFilterDescriptor_t w, const void *pw, const cudnnConvolutionDescriptor_t c,
	cudnnConvolutionFwdAlgo_t algo, void *ws, size_t size, const void *beta, const cudnnTensorDescriptor_t y, void *py) {
	(void)handle;
	return result(check(x, w, c, y, px, pw, py, ws, size), py, algo, alpha, beta);
}
cudnnStatus_t cudnnConvolutionBackwardData(cudnnHandle_t handle, const void *alpha, const cudnnFilterDescriptor_t w,
	const void *pw, const cudnnTensorDescriptor_t y, const void *py, const cudnnConvolutionDescriptor_t c,
	cudnnConvolutionBwdDataAlgo_t algo, void *ws, size_t size, const void *beta, const cudnnTensorDescriptor_t x, void *px) {
	(void)handle;
	return result(check(x, w, c, y, px, pw, py, ws, size), px, algo, alpha, beta);
}
cudnnStatus_t cudnnConvolutionBackwardFilter(cudnnHandle_t handle, const void *alpha, const cudnnTensorDescriptor_t x,
	const void *px, const cudnnTensorDescriptor_t y, const void *py, const cudnnConvolutionDescriptor_t c,
	cudnnConvolutionBwdFilterAlgo_t algo, void *ws, size_t size, const void *beta, const cudnnFilterDescriptor_t w,
	void *pw) {
	(void)handle;
	return result(check(x, w, c, y, px, pw, py, ws, size), pw, algo, alpha, beta);
}

// The layers write the values that their arguments point to, in the order of the arguments.
static cudnnStatus_t record(void *to, int n, ...) {
	__builtin_va_list list;
	__builtin_va_start(list, n);
	for (int i = 0; i < n; i++)
		((float *)to)[i] = *__builtin_va_arg(list, const float *);
	__builtin_va_end(list);
	return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnConvolutionBiasActivationForward(cudnnHandle_t handle, const void *alpha, const cudnnTensorDescriptor_t x,
	const void *px, const cudnnFilterDescriptor_t w, const void *pw, const cudnnConvolutionDescriptor_t c,
	cudnnConvolutionFwdAlgo_t algo, void *ws, size_t size, const void *beta, const cudnnTensorDescriptor_t z, const void *pz,
	const cudnnTensorDescriptor_t bias, const void *pbias, const cudnnActivationDescriptor_t a,
	const cudnnTensorDescriptor_t y, void *py) {
	(void)handle;
	if (((struct descriptor *)z)->kind != tensor || ((struct descriptor *)bias)->kind != tensor ||
		((struct descriptor *)a)->kind != activation || algo != 1 || check(x, w, c, y, 0, 0, 0, 0, 0) || size != 64)
		return (cudnnStatus_t)bad_param;
	return record(py, 7, px, pw, ws, pz, pbias, alpha, beta);
}
cudnnStatus_t cudnnConvolutionBackwardBias(cudnnHandle_t handle, const void *alpha, const cudnnTensorDescriptor_t y,
	const void *py, const void *beta, const cudnnTensorDescriptor_t b, void *pb) {
	(void)handle, (void)y, (void)b;
	return record(pb, 3, py, alpha, beta);
}
cudnnStatus_t cudnnAddTensor(cudnnHandle_t handle, const void *alpha, const cudnnTensorDescriptor_t a, const void *pa,
	const void *beta, const cudnnTensorDescriptor_t c, void *pc) {
	(void)handle, (void)a, (void)c;
	return record(pc, 3, pa, alpha, beta);
}
cudnnStatus_t cudnnPoolingForward(cudnnHandle_t handle, const cudnnPoolingDescriptor_t p, const void *alpha,
	const cudnnTensorDescriptor_t x, const void *px, const void *beta, const cudnnTensorDescriptor_t y, void *py) {
	(void)handle, (void)p, (void)x, (void)y;
	return record(py, 3, px, alpha, beta);
}
cudnnStatus_t cudnnPoolingBackward(cudnnHandle_t handle, const cudnnPoolingDescriptor_t p, const void *alpha,
	const cudnnTensorDescriptor_t y, const void *py, const cudnnTensorDescriptor_t dy, const void *pdy,
	const cudnnTensorDescriptor_t x, const void *px, const void *beta, const cudnnTensorDescriptor_t dx, void *pdx) {
	(void)handle;
	if (((struct descriptor *)p)->kind != pooling || y != dy || x != dx)
		return (cudnnStatus_t)bad_param;
	return record(pdx, 5, py, pdy, px, alpha, beta);
}
cudnnStatus_t cudnnActivationForward(cudnnHandle_t handle, cudnnActivationDescriptor_t a, const void *alpha,
	const cudnnTensorDescriptor_t x, const void *px, const void *beta, const cudnnTensorDescriptor_t y, void *py) {
	(void)handle, (void)a, (void)x, (void)y;
	return record(py, 3, px, alpha, beta);
}
cudnnStatus_t cudnnActivationBackward(cudnnHandle_t handle, cudnnActivationDescriptor_t a, const void *alpha,
	const cudnnTensorDescriptor_t y, const void *py, const cudnnTensorDescriptor_t dy, const void *pdy,
	const cudnnTensorDescriptor_t x, const void *px, const void *beta, const cudnnTensorDescriptor_t dx, void *pdx) {
	(void)handle, (void)a, (void)y, (void)dy, (void)x, (void)dx;
	return record(pdx, 5, py, pdy, px, alpha, beta);
}
cudnnStatus_t cudnnSoftmaxForward(cudnnHandle_t handle, cudnnSoftmaxAlgorithm_t algo, cudnnSoftmaxMode_t mode,
	const void *alpha, const cudnnTensorDescriptor_t x, const void *px, const void *beta, const cudnnTensorDescriptor_t y,
	void *py) {
	(void)handle, (void)x, (void)y;
	if (algo != CUDNN_SOFTMAX_LOG || mode != CUDNN_SOFTMAX_MODE_CHANNEL)
		return (cudnnStatus_t)bad_param;
	return record(py, 3, px, alpha, beta);
}
cudnnStatus_t cudnnSoftmaxBackward(cudnnHandle_t handle, cudnnSoftmaxAlgorithm_t algo, cudnnSoftmaxMode_t mode,
	const void *alpha, const cudnnTensorDescriptor_t y, const void *py, const cudnnTensorDescriptor_t dy, const void *pdy,
	const void *beta, const cudnnTensorDescriptor_t dx, void *pdx) {
	(void)handle, (void)algo, (void)mode, (void)y, (void)dy, (void)dx;
	return record(pdx, 4, py, pdy, alpha, beta);
}
cudnnStatus_t cudnnBatchNormalizationForwardTraining(cudnnHandle_t handle, cudnnBatchNormMode_t mode, const void *alpha,
	const void *beta, const cudnnTensorDescriptor_t x, const void *px, const cudnnTensorDescriptor_t y, void *py,
	const cudnnTensorDescriptor_t p, const void *scale, const void *bias, double factor, void *mean, void *variance,
	double epsilon, void *saved_mean, void *saved_inv) {
	(void)handle, (void)p;
	if (mode != CUDNN_BATCHNORM_SPATIAL || x != y || factor != 0.25 || epsilon != 1e-5)
		return (cudnnStatus_t)bad_param;
	return record(py, 9, px, scale, bias, mean, variance, saved_mean, saved_inv, alpha, beta);
}
cudnnStatus_t cudnnBatchNormalizationForwardInference(cudnnHandle_t handle, cudnnBatchNormMode_t mode, const void *alpha,
	const void *beta, const cudnnTensorDescriptor_t x, const void *px, const cudnnTensorDescriptor_t y, void *py,
	const cudnnTensorDescriptor_t p, const void *scale, const void *bias, const void *mean, const void *variance,
	double epsilon) {
	(void)handle, (void)mode, (void)x, (void)y, (void)p, (void)epsilon;
	return record(py, 7, px, scale, bias, mean, variance, alpha, beta);
}
cudnnStatus_t cudnnBatchNormalizationBackward(cudnnHandle_t handle, cudnnBatchNormMode_t mode, const void *alpha,
	const void *beta, const void *alpha_p, const void *beta_p, const cudnnTensorDescriptor_t x, const void *px,
	const cudnnTensorDescriptor_t dy, const void *pdy, const cudnnTensorDescriptor_t dx, void *pdx,
	const cudnnTensorDescriptor_t p, const void *scale, void *dscale, void *dbias, double epsilon, const void *mean,
	const void *inv) {
	(void)handle, (void)mode, (void)x, (void)dy, (void)dx, (void)p, (void)epsilon;
	return record(pdx, 11, px, pdy, scale, dscale, dbias, mean, inv, alpha, beta, alpha_p, beta_p);
}

// The graph interface. A descriptor keeps what was set last of each attribute. Engines: 40 + the operation's pass, with the
// note of tensor cores; 50, nondeterministic; and 60, of which no plan can be made. The fallback is engine 7. An engine
// works in
// 8 bytes for each unit of its number.
struct element { int name, type; int64_t count; char bytes[64]; };
struct backend { int kind, finalized, number, pass, n; struct element list[16]; };
static const struct element *attribute(const void *d, int name) {
	const struct backend *b = d;
	for (int i = 0; i < b->n; i++)
		if (b->list[i].name == name)
			return &b->list[i];
	return NULL;
}
static void *descriptor_of(const void *d, int name) {
	const struct element *e = attribute(d, name);
	return e ? *(void **)e->bytes : NULL;
}
static int size_of(int type) {
	switch (type) {
	case CUDNN_TYPE_BOOLEAN: return 1;
	case CUDNN_TYPE_INT64: case CUDNN_TYPE_VOID_PTR: case CUDNN_TYPE_BACKEND_DESCRIPTOR: case CUDNN_TYPE_HANDLE: return 8;
	}
	return 4;
}
cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t kind, cudnnBackendDescriptor_t *d) {
	struct backend *b = calloc(1, sizeof *b);
	b->kind = kind;
	backend_alive++;
	return *d = b, CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t d) { return backend_alive--, free(d), CUDNN_STATUS_SUCCESS; }
cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name,
	cudnnBackendAttributeType_t type, int64_t count, const void *elements) {
	struct backend *b = d;
	struct element *e = (struct element *)attribute(d, name);
	int bytes = size_of(type) * (int)count;
	if (b->finalized || bytes > 64 || (!e && b->n == 16))
		return (cudnnStatus_t)bad_param;
	if (type == CUDNN_TYPE_BACKEND_DESCRIPTOR)
		for (int i = 0; i < count; i++)
			if (!((struct backend *const *)elements)[i]->finalized)
				return (cudnnStatus_t)bad_param;
	e = e ? e : &b->list[b->n++];
	e->name = name, e->type = type, e->count = count;
	return memcpy(e->bytes, elements, bytes), CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t d) {
	struct backend *b = d, *config = descriptor_of(d, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
	const struct element *strides = attribute(d, CUDNN_ATTR_TENSOR_STRIDES);
	if (strides && ((const int64_t *)strides->bytes)[0] <= 0)
		return (cudnnStatus_t)bad_param;
	if (config && config->number == 60)
		return (cudnnStatus_t)arch_mismatch;
	return b->finalized = 1, CUDNN_STATUS_SUCCESS;
}
// pass_of returns the type of a graph's first operation, less that of the forward pass.
static int pass_of(const void *graph) {
	struct backend *operation = descriptor_of(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS);
	return operation->kind - CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR;
}
static cudnnStatus_t give(void *to, int64_t *count, const void *value, int bytes) {
	*count = 1;
	return memcpy(to, value, bytes), CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnBackendGetAttribute(const cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name,
	cudnnBackendAttributeType_t type, int64_t wanted, int64_t *count, void *elements) {
	struct backend *b = (struct backend *)d, **out = elements;
	int note = b->number == 50 ? CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC : CUDNN_NUMERICAL_NOTE_TENSOR_CORE;
	(void)type;
	if (!b->finalized)
		return (cudnnStatus_t)not_initialized;
	switch ((int)name) {
	case CUDNN_ATTR_ENGINEHEUR_RESULTS: {
		void *graph = descriptor_of(d, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
		int fallback = *(int *)attribute(d, CUDNN_ATTR_ENGINEHEUR_MODE)->bytes == CUDNN_HEUR_MODE_FALLBACK;
		int numbers[] = {fallback ? 7 : 40 + pass_of(graph), 50, 60};
		*count = fallback ? 1 : 3;
		for (int i = 0; i < *count && i < wanted; i++)
			out[i]->number = numbers[i], out[i]->pass = pass_of(graph), out[i]->finalized = 1;
		return CUDNN_STATUS_SUCCESS;
	}
	case CUDNN_ATTR_ENGINECFG_ENGINE:
		out[0]->number = b->number, out[0]->finalized = 1;
		return *count = 1, CUDNN_STATUS_SUCCESS;
	case CUDNN_ATTR_ENGINE_GLOBAL_INDEX:
		return give(elements, count, &(int64_t){b->number}, 8);
	case CUDNN_ATTR_ENGINE_NUMERICAL_NOTE:
		give(elements, count, &note, 4);
		return *count = b->number != 7, CUDNN_STATUS_SUCCESS;
	case CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE:
		return give(elements, count, &(int64_t){8 * ((struct backend *)descriptor_of(d, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG))->number}, 8);
	}
	return (cudnnStatus_t)not_supported;
}
// The result is at y, x or w by the pass: what the other tensors, the bias and the workspace begin with, each if it is
// there, and the engine's number.
cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan, cudnnBackendDescriptor_t pack) {
	struct backend *p = plan, *v = pack, *config = descriptor_of(plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
	const struct element *uids = attribute(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
	const struct element *data = attribute(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
	float *workspace = descriptor_of(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE), *to, *at[5] = {0};
	if ((void *)handle != &alive || !p->finalized || !v->finalized || uids->count != data->count ||
		descriptor_of(plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE) != (void *)handle)
		return (cudnnStatus_t)bad_param;
	for (int i = 0; i < uids->count; i++)
		at[((const int64_t *)uids->bytes)[i]] = ((float *const *)data->bytes)[i];
	int out = config->pass == 0 ? 3 : config->pass == 1 ? 2 : 1;
	to = at[out];
	for (int i = 1; i <= 4; i++)
		if (i != out && at[i])
			*to++ = at[i][0];
	if (workspace)
		*to++ = workspace[0];
	*to = config->number;
	return CUDNN_STATUS_SUCCESS;
}
