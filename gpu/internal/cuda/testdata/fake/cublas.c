// A libcublas for tests: products of float32 matrices, column-major as cuBLAS's.
#include <cublas_v2.h>
#include <stdlib.h>

static char handles[2];
static void *stream, *workspace;
static cublasMath_t mode;

cublasStatus_t cublasCreate_v2(cublasHandle_t *handle) {
	return *handle = (cublasHandle_t)handles, getenv("FAKE_CUBLAS") ? CUBLAS_STATUS_ALLOC_FAILED : CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasDestroy_v2(cublasHandle_t handle) {
	return (void *)handle == handles ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_INITIALIZED;
}
cublasStatus_t cublasGetProperty(libraryPropertyType property, int *value) {
	const int version[] = {VERSION, 4, 1};
	return *value = version[property], CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t s) {
	return (void)handle, stream = s, CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t handle, void *p, size_t size) {
	(void)handle, (void)size;
	return (uintptr_t)p % 256 ? CUBLAS_STATUS_INVALID_VALUE : (workspace = p, CUBLAS_STATUS_SUCCESS);
}
cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t m) { return (void)handle, mode = m, CUBLAS_STATUS_SUCCESS; }

cublasStatus_t cublasSgemm_v2(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, int m, int n, int k,
	const float *alpha, const float *a, int lda, const float *b, int ldb, const float *beta, float *c, int ldc) {
	(void)handle;
	if (lda < (op_a ? k : m) || ldb < (op_b ? n : k) || ldc < m)
		return CUBLAS_STATUS_INVALID_VALUE;
	for (int j = 0; j < n; j++)
		for (int i = 0; i < m; i++) {
			float sum = 0;
			for (int l = 0; l < k; l++)
				sum += (op_a ? a[l + i * lda] : a[i + l * lda]) * (op_b ? b[j + l * ldb] : b[l + j * ldb]);
			c[i + j * ldc] = *alpha * sum + (*beta ? *beta * c[i + j * ldc] : 0);
		}
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, int m, int n, int k,
	const void *alpha, const void *a, cudaDataType ta, int lda, const void *b, cudaDataType tb, int ldb, const void *beta,
	void *c, cudaDataType tc, int ldc, cublasComputeType_t compute, cublasGemmAlgo_t algo) {
	if (ta != CUDA_R_32F || tb != CUDA_R_32F || tc != CUDA_R_32F || algo != CUBLAS_GEMM_DEFAULT)
		return CUBLAS_STATUS_NOT_SUPPORTED;
	if (compute == CUBLAS_COMPUTE_32F_FAST_TF32)
		return CUBLAS_STATUS_ARCH_MISMATCH;
	return cublasSgemm_v2(handle, op_a, op_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}
