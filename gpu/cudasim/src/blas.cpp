// The software cuBLAS: matrix products.
//
//     C = alpha op(A) op(B) + beta C,  C [m, n], op(A) [m, k], op(B) [k, n], all column-major
//
// Storage is float32, float16 or bfloat16; sums are always float32, in every math mode.
#include "include/cublas_v2.h"
#include "numeric.h"
#include "product.h"
#include "sim.h"

#include <algorithm>
#include <vector>

using namespace sim;

// Defined by the library's two builds: blas_version12.cpp and blas_version13.cpp.
extern const int cublasVersionNumber;

namespace {

struct Blas {
	Context *context;
	CUstream stream = nullptr;
	cublasMath_t math = CUBLAS_DEFAULT_MATH;
	cublasPointerMode_t pointers = CUBLAS_POINTER_MODE_HOST;
};

Handles<Blas> &handles() {
	static auto *h = new Handles<Blas>;
	return *h;
}

const struct {
	cublasStatus_t status;
	const char *name;
} names[] = {
	{CUBLAS_STATUS_SUCCESS, "CUBLAS_STATUS_SUCCESS"},
	{CUBLAS_STATUS_NOT_INITIALIZED, "CUBLAS_STATUS_NOT_INITIALIZED"},
	{CUBLAS_STATUS_ALLOC_FAILED, "CUBLAS_STATUS_ALLOC_FAILED"},
	{CUBLAS_STATUS_INVALID_VALUE, "CUBLAS_STATUS_INVALID_VALUE"},
	{CUBLAS_STATUS_ARCH_MISMATCH, "CUBLAS_STATUS_ARCH_MISMATCH"},
	{CUBLAS_STATUS_MAPPING_ERROR, "CUBLAS_STATUS_MAPPING_ERROR"},
	{CUBLAS_STATUS_EXECUTION_FAILED, "CUBLAS_STATUS_EXECUTION_FAILED"},
	{CUBLAS_STATUS_INTERNAL_ERROR, "CUBLAS_STATUS_INTERNAL_ERROR"},
	{CUBLAS_STATUS_NOT_SUPPORTED, "CUBLAS_STATUS_NOT_SUPPORTED"},
	{CUBLAS_STATUS_LICENSE_ERROR, "CUBLAS_STATUS_LICENSE_ERROR"},
};

cublasStatus_t statusOf(const Fault &f) {
	for (auto &n : names)
		if (f.code == n.name || "CUBLAS_STATUS_" + f.code == n.name) return n.status;
	return cublasStatus_t(f.number);
}

// failed returns the status of a call that the driver's state, or a fault, makes fail.
cublasStatus_t failed(const Call &call) {
	if (call.fault) return statusOf(*call.fault);
	switch (call.result) {
	case CUDA_SUCCESS: return CUBLAS_STATUS_SUCCESS;
	case CUDA_ERROR_NOT_INITIALIZED:
	case CUDA_ERROR_INVALID_CONTEXT:
	case CUDA_ERROR_CONTEXT_IS_DESTROYED:
	case CUDA_ERROR_INVALID_HANDLE: return CUBLAS_STATUS_NOT_INITIALIZED;
	case CUDA_ERROR_OUT_OF_MEMORY: return CUBLAS_STATUS_ALLOC_FAILED;
	default: return CUBLAS_STATUS_EXECUTION_FAILED;
	}
}

cublasStatus_t wrong(Call &call, cublasStatus_t s, const char *kind, const std::string &what) {
	call.wrong(CUDA_SUCCESS, kind, what);
	return s;
}

// BLAS_CALL begins a function; with a handle it finds the object behind it.
#define BLAS_BEGIN(needs)                       \
	static ::sim::Function function_(__func__); \
	::sim::Call call(function_, needs);         \
	if (cublasStatus_t s_ = failed(call)) return s_
#define BLAS_CALL(needs)                                                  \
	BLAS_BEGIN(needs);                                                    \
	Ref<Blas> blas = call.object(handles(), handle, "cuBLAS handle");     \
	if (!blas) return CUBLAS_STATUS_NOT_INITIALIZED;                      \
	if (blas->context != call.context.get())                              \
	return wrong(call, CUBLAS_STATUS_NOT_INITIALIZED, kind::context, "the handle belongs to another context")

bool typeOf(cudaDataType t, Type *out) {
	switch (t) {
	case CUDA_R_32F: *out = Type::Float; return true;
	case CUDA_R_16F: *out = Type::Half; return true;
	case CUDA_R_16BF: *out = Type::BFloat16; return true;
	default: return false;
	}
}

// Matrix is an operand: its rows and columns as stored, and whether the product uses it
// transposed.
struct Matrix {
	const char *name;
	Type type;
	Address at;
	size_t rows, columns, ld;
	long long stride; // from one matrix of a batch to the next, in elements
	bool transposed;
};

Use useOf(const Matrix &m, Mode mode, size_t batch) {
	size_t bytes = bytesOf(m.type);
	Address at = m.at + Address(m.stride * (long long)batch * (long long)bytes);
	bool dense = m.rows == m.ld;
	size_t run = dense ? m.rows * m.columns : m.rows;
	return {mode, at, run * bytes, m.name, dense ? 1 : m.columns, m.ld * bytes, nullptr};
}

// gather reads the operand as [k][size]: element (l, i) of the product at l*size + i.
std::vector<float> gather(const Matrix &m, const char *at, size_t k, size_t size, bool sizeIsRows) {
	std::vector<float> out(k * size);
	size_t bytes = bytesOf(m.type);
	for (size_t l = 0; l < k; l++) {
		const char *run = at + (sizeIsRows ? l * m.ld : l) * bytes;
		loadRun(m.type, run, sizeIsRows ? 1 : m.ld, size, &out[l * size]);
	}
	return out;
}

// product computes sum_l outer[l][o] inner[l][i] into out[o][i].
void product(size_t outerSize, size_t innerSize, size_t k, const float *outer, const float *inner, float *out) {
	std::fill(out, out + outerSize * innerSize, 0.0f);
	addProduct(outerSize, innerSize, k, {outer, 1, outerSize}, inner, innerSize, out, innerSize);
}

struct Gemm {
	size_t m, n, k, batches;
	Matrix a, b, c;
	float alpha, beta;
	const float *deviceAlpha, *deviceBeta; // with pointer mode device
};

void compute(const Gemm &g, const std::vector<const char *> &a, const std::vector<const char *> &b, const std::vector<char *> &c) {
	float alpha = g.deviceAlpha ? *g.deviceAlpha : g.alpha, beta = g.deviceBeta ? *g.deviceBeta : g.beta;
	std::vector<float> out(g.m * g.n);
	size_t bytes = bytesOf(g.c.type);
	for (size_t i = 0; i < g.batches; i++) {
		if (alpha != 0 && g.k != 0) {
			auto pa = gather(g.a, a[i], g.k, g.m, !g.a.transposed), pb = gather(g.b, b[i], g.k, g.n, g.b.transposed);
			// The longer side is the inner loop.
			if (g.m >= g.n) product(g.n, g.m, g.k, pb.data(), pa.data(), out.data());
			else product(g.m, g.n, g.k, pa.data(), pb.data(), out.data());
		} else {
			std::fill(out.begin(), out.end(), 0.0f);
		}
		for (size_t column = 0; column < g.n; column++)
			for (size_t row = 0; row < g.m; row++)
				blend(g.c.type, c[i] + (column * g.c.ld + row) * bytes, out[g.m >= g.n ? column * g.m + row : row * g.n + column], alpha, beta);
	}
}

cublasStatus_t checkMatrix(Call &call, const Matrix &m) {
	if (m.rows && m.ld < m.rows)
		return wrong(call, CUBLAS_STATUS_INVALID_VALUE, kind::argument, text("%s has %zu rows and leading dimension %zu", m.name, m.rows, m.ld));
	if (m.at % bytesOf(m.type))
		return wrong(call, CUBLAS_STATUS_INVALID_VALUE, kind::argument, text("%s is not aligned to its %zu-byte elements", m.name, bytesOf(m.type)));
	return CUBLAS_STATUS_SUCCESS;
}

bool overlaps(const Use &x, const Use &y) { return x.at < y.at + y.extent() && y.at < x.at + x.extent(); }

cublasStatus_t run(Call &call, const Blas &blas, Gemm g, const void *alpha, const void *beta) {
	if (!alpha || !beta) return wrong(call, CUBLAS_STATUS_INVALID_VALUE, kind::argument, "alpha or beta is null");
	for (const Matrix *m : {&g.a, &g.b, &g.c})
		if (cublasStatus_t s = checkMatrix(call, *m)) return s;
	if (g.m == 0 || g.n == 0 || g.batches == 0) return CUBLAS_STATUS_SUCCESS;
	Ref<Stream> s = call.stream(blas.stream);
	if (!s) return CUBLAS_STATUS_EXECUTION_FAILED;
	Op op;
	op.name = call.name();
	op.launch = true;
	bool device = blas.pointers == CUBLAS_POINTER_MODE_DEVICE;
	if (device) {
		op.uses.push_back({Mode::Read, Address(alpha), 4, "alpha", 1, 0, nullptr});
		op.uses.push_back({Mode::Read, Address(beta), 4, "beta", 1, 0, nullptr});
		g.deviceAlpha = static_cast<const float *>(view(Address(alpha)));
		g.deviceBeta = static_cast<const float *>(view(Address(beta)));
	} else {
		g.alpha = *static_cast<const float *>(alpha);
		g.beta = *static_cast<const float *>(beta);
	}
	std::vector<const char *> a, b;
	std::vector<char *> c;
	for (size_t i = 0; i < g.batches; i++) {
		Use uses[] = {useOf(g.a, Mode::Read, i), useOf(g.b, Mode::Read, i),
			useOf(g.c, device || g.beta != 0 ? Mode::ReadWrite : Mode::Write, i)};
		bool unread = g.k == 0 || (!device && g.alpha == 0);
		if (!unread && (overlaps(uses[0], uses[2]) || overlaps(uses[1], uses[2])))
			return wrong(call, CUBLAS_STATUS_INVALID_VALUE, kind::argument, "C overlaps A or B");
		for (Use &u : uses) {
			if (&u != &uses[2] && unread) continue;
			if (resolve(call, u)) return CUBLAS_STATUS_EXECUTION_FAILED;
			op.uses.push_back(u);
		}
		a.push_back(static_cast<const char *>(view(uses[0].at)));
		b.push_back(static_cast<const char *>(view(uses[1].at)));
		c.push_back(static_cast<char *>(view(uses[2].at)));
	}
	op.run = [g, a, b, c] { return compute(g, a, b, c), CUDA_SUCCESS; };
	return enqueue(call, s, std::move(op)) == CUDA_SUCCESS ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}

// Shape holds the arguments that all functions for products share.
struct Shape {
	cublasOperation_t transA, transB;
	int m, n, k;
	const void *a;
	cudaDataType typeA;
	int lda;
	long long strideA;
	const void *b;
	cudaDataType typeB;
	int ldb;
	long long strideB;
	void *c;
	cudaDataType typeC;
	int ldc;
	long long strideC;
	int batches;
};

cublasStatus_t gemm(Call &call, const Blas &blas, const Shape &s, const void *alpha, const void *beta) {
	Type a, b, c;
	if (!typeOf(s.typeA, &a) || !typeOf(s.typeB, &b) || !typeOf(s.typeC, &c) || a != b || (c != a && c != Type::Float))
		return CUBLAS_STATUS_NOT_SUPPORTED;
	for (int n : {s.m, s.n, s.k, s.lda, s.ldb, s.ldc, s.batches})
		if (n < 0) return wrong(call, CUBLAS_STATUS_INVALID_VALUE, kind::argument, text("m %d, n %d, k %d, lda %d, ldb %d, ldc %d: one is negative", s.m, s.n, s.k, s.lda, s.ldb, s.ldc));
	for (int t : {int(s.transA), int(s.transB)})
		if (t < 0 || t > CUBLAS_OP_C) return wrong(call, CUBLAS_STATUS_INVALID_VALUE, kind::argument, text("there is no operation %d", t));
	Gemm g = {};
	g.m = size_t(s.m);
	g.n = size_t(s.n);
	g.k = size_t(s.k);
	g.batches = size_t(s.batches);
	bool ta = s.transA != CUBLAS_OP_N, tb = s.transB != CUBLAS_OP_N;
	g.a = {"A", a, Address(s.a), ta ? g.k : g.m, ta ? g.m : g.k, size_t(s.lda), s.strideA, ta};
	g.b = {"B", b, Address(s.b), tb ? g.n : g.k, tb ? g.k : g.n, size_t(s.ldb), s.strideB, tb};
	g.c = {"C", c, Address(s.c), g.m, g.n, size_t(s.ldc), s.strideC, false};
	return run(call, blas, g, alpha, beta);
}

bool sumsInFloat(cublasComputeType_t t) {
	switch (t) {
	case CUBLAS_COMPUTE_32F:
	case CUBLAS_COMPUTE_32F_PEDANTIC:
	case CUBLAS_COMPUTE_32F_FAST_16F:
	case CUBLAS_COMPUTE_32F_FAST_16BF:
	case CUBLAS_COMPUTE_32F_FAST_TF32: return true;
	default: return false;
	}
}

} // namespace

cublasStatus_t cublasCreate_v2(cublasHandle_t *handle) {
	BLAS_BEGIN(Current | Unsafe);
	if (!handle) return wrong(call, CUBLAS_STATUS_INVALID_VALUE, kind::argument, "handle is null");
	// The CUDA runtime inside the library needs a driver of its own major version.
	if (engine().settings.driver / 1000 < cublasVersionNumber / 10000) return CUBLAS_STATUS_NOT_INITIALIZED;
	static bool listed;
	if (!listed) {
		listed = true;
		engine().holders.push_back([](Context *c) {
			std::vector<std::string> all;
			for (auto &[h, b] : handles().live)
				if (b->context == c) all.push_back(text("cuBLAS handle %p was not destroyed", h));
			return all;
		});
	}
	auto b = std::make_shared<Blas>();
	b->context = call.context.get();
	*handle = cublasHandle_t(handles().add(b));
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDestroy_v2(cublasHandle_t handle) {
	BLAS_BEGIN(Current | Anyhow);
	if (!call.object(handles(), handle, "cuBLAS handle")) return CUBLAS_STATUS_NOT_INITIALIZED;
	handles().remove(handle);
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGetVersion_v2(cublasHandle_t, int *version) {
	BLAS_BEGIN(Nothing);
	if (!version) return wrong(call, CUBLAS_STATUS_INVALID_VALUE, kind::argument, "version is null");
	*version = cublasVersionNumber;
	return CUBLAS_STATUS_SUCCESS;
}

// This works before any other call, and without a device.
cublasStatus_t cublasGetProperty(libraryPropertyType type, int *value) {
	const int parts[] = {cublasVersionNumber / 10000, cublasVersionNumber / 100 % 100, cublasVersionNumber % 100};
	if (!value || type < MAJOR_VERSION || type > PATCH_LEVEL) return CUBLAS_STATUS_INVALID_VALUE;
	*value = parts[type];
	return CUBLAS_STATUS_SUCCESS;
}

const char *cublasGetStatusString(cublasStatus_t status) {
	for (auto &n : names)
		if (n.status == status) return n.name;
	return "unknown cuBLAS status";
}

cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, CUstream streamId) {
	BLAS_CALL(Current);
	if (!call.stream(streamId)) return CUBLAS_STATUS_INVALID_VALUE;
	blas->stream = streamId;
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGetStream_v2(cublasHandle_t handle, CUstream *streamId) {
	BLAS_CALL(Current);
	*streamId = blas->stream;
	return CUBLAS_STATUS_SUCCESS;
}

// The workspace must be device memory, but is not used.
cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t handle, void *workspace, size_t bytes) {
	BLAS_CALL(Current);
	Use u = {Mode::Touch, Address(workspace), bytes, "workspace", 1, 0, nullptr};
	if (resolve(call, u)) return CUBLAS_STATUS_INVALID_VALUE;
	if (bytes && Address(workspace) % 256)
		return wrong(call, CUBLAS_STATUS_INVALID_VALUE, kind::argument, "workspace is not aligned to 256 bytes");
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode) {
	BLAS_CALL(Current);
	int base = int(mode) & ~int(CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION);
	if (base < 0 || base > CUBLAS_TF32_TENSOR_OP_MATH)
		return wrong(call, CUBLAS_STATUS_INVALID_VALUE, kind::argument, text("there is no math mode %d", int(mode)));
	blas->math = mode;
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGetMathMode(cublasHandle_t handle, cublasMath_t *mode) {
	BLAS_CALL(Current);
	*mode = blas->math;
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetPointerMode_v2(cublasHandle_t handle, cublasPointerMode_t mode) {
	BLAS_CALL(Current);
	blas->pointers = mode;
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSgemm_v2(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb, int m, int n, int k,
	const float *alpha, const float *A, int lda, const float *B, int ldb, const float *beta, float *C, int ldc) {
	BLAS_CALL(Current | Queues);
	return gemm(call, *blas, {transa, transb, m, n, k, A, CUDA_R_32F, lda, 0, B, CUDA_R_32F, ldb, 0, C, CUDA_R_32F, ldc, 0, 1}, alpha, beta);
}

cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb, int m, int n, int k,
	const void *alpha, const void *A, cudaDataType Atype, int lda, const void *B, cudaDataType Btype, int ldb,
	const void *beta, void *C, cudaDataType Ctype, int ldc, cublasComputeType_t computeType, cublasGemmAlgo_t) {
	BLAS_CALL(Current | Queues);
	if (!sumsInFloat(computeType)) return CUBLAS_STATUS_NOT_SUPPORTED;
	return gemm(call, *blas, {transa, transb, m, n, k, A, Atype, lda, 0, B, Btype, ldb, 0, C, Ctype, ldc, 0, 1}, alpha, beta);
}

cublasStatus_t cublasGemmStridedBatchedEx(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb, int m, int n, int k,
	const void *alpha, const void *A, cudaDataType Atype, int lda, long long strideA, const void *B, cudaDataType Btype, int ldb, long long strideB,
	const void *beta, void *C, cudaDataType Ctype, int ldc, long long strideC, int batchCount, cublasComputeType_t computeType, cublasGemmAlgo_t) {
	BLAS_CALL(Current | Queues);
	if (!sumsInFloat(computeType)) return CUBLAS_STATUS_NOT_SUPPORTED;
	return gemm(call, *blas, {transa, transb, m, n, k, A, Atype, lda, strideA, B, Btype, ldb, strideB, C, Ctype, ldc, strideC, batchCount}, alpha, beta);
}
