//go:build cuda && linux && cgo && (amd64 || arm64)

#include "calls.h"

CUresult shim_launch(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
	unsigned block_y, unsigned block_z, unsigned shared, CUstream stream, const uint64_t *words,
	const uint32_t *offsets, int parameters) {
	void *pointers[SHIM_MAX_PARAMETERS];
	if (parameters > SHIM_MAX_PARAMETERS)
		return CUDA_ERROR_INVALID_VALUE;
	for (int i = 0; i < parameters; i++)
		pointers[i] = (void *)(words + offsets[i]);
	return cuLaunchKernel(function, grid_x, grid_y, grid_z, block_x, block_y, block_z, shared, stream, pointers, NULL);
}

CUresult shim_module_load(CUmodule *module, const void *image, char *info, size_t info_size, char *error,
	size_t error_size) {
	CUjit_option options[] = {CU_JIT_INFO_LOG_BUFFER, CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES, CU_JIT_ERROR_LOG_BUFFER,
		CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
	void *values[] = {info, (void *)info_size, error, (void *)error_size};
	info[0] = error[0] = 0;
	CUresult status = cuModuleLoadDataEx(module, image, 4, options, values);
	info[info_size - 1] = error[error_size - 1] = 0;
	return status;
}

cublasStatus_t shim_set_workspace(cublasHandle_t handle, address workspace, size_t size) {
	return cublasSetWorkspace_v2(handle, (void *)workspace, size);
}

cublasStatus_t shim_gemm(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, int m, int n, int k,
	float alpha, address a, cudaDataType type_a, int lda, address b, cudaDataType type_b, int ldb, float beta, address c,
	cudaDataType type_c, int ldc, cublasComputeType_t compute) {
	return cublasGemmEx(handle, op_a, op_b, m, n, k, &alpha, (void *)a, type_a, lda, (void *)b, type_b, ldb, &beta,
		(void *)c, type_c, ldc, compute, CUBLAS_GEMM_DEFAULT);
}

cublasStatus_t shim_gemm_batch(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, int m, int n, int k,
	float alpha, address a, cudaDataType type_a, int lda, long long stride_a, address b, cudaDataType type_b, int ldb,
	long long stride_b, float beta, address c, cudaDataType type_c, int ldc, long long stride_c, int count,
	cublasComputeType_t compute) {
	return cublasGemmStridedBatchedEx(handle, op_a, op_b, m, n, k, &alpha, (void *)a, type_a, lda, stride_a, (void *)b,
		type_b, ldb, stride_b, &beta, (void *)c, type_c, ldc, stride_c, count, compute, CUBLAS_GEMM_DEFAULT);
}

cublasStatus_t shim_sgemm(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, int m, int n, int k,
	float alpha, address a, int lda, address b, int ldb, float beta, address c, int ldc) {
	return cublasSgemm_v2(handle, op_a, op_b, m, n, k, &alpha, (float *)a, lda, (float *)b, ldb, &beta, (float *)c, ldc);
}

// The three passes have structs of the same fields.
#define COPY_ALGORITHMS(type, call) \
	type list[SHIM_MAX_ALGORITHMS]; \
	int returned = 0; \
	cudnnStatus_t status = call; \
	*count = status == CUDNN_STATUS_SUCCESS && returned <= SHIM_MAX_ALGORITHMS ? returned : 0; \
	for (int i = 0; i < *count; i++) \
		found[i] = (struct algorithm){list[i].algo, list[i].status, list[i].time, list[i].memory, list[i].determinism, \
			list[i].mathType}; \
	return status

cudnnStatus_t shim_heuristics(cudnnHandle_t handle, enum pass pass, struct convolution c, int *count,
	struct algorithm *found) {
	const int most = SHIM_MAX_ALGORITHMS;
	switch (pass) {
	case PASS_FORWARD: {
		COPY_ALGORITHMS(cudnnConvolutionFwdAlgoPerf_t,
			cudnnGetConvolutionForwardAlgorithm_v7(handle, c.x, c.w, c.conv, c.y, most, &returned, list));
	}
	case PASS_BACKWARD_DATA: {
		COPY_ALGORITHMS(cudnnConvolutionBwdDataAlgoPerf_t,
			cudnnGetConvolutionBackwardDataAlgorithm_v7(handle, c.w, c.y, c.conv, c.x, most, &returned, list));
	}
	default: {
		COPY_ALGORITHMS(cudnnConvolutionBwdFilterAlgoPerf_t,
			cudnnGetConvolutionBackwardFilterAlgorithm_v7(handle, c.x, c.y, c.conv, c.w, most, &returned, list));
	}
	}
}

cudnnStatus_t shim_find(cudnnHandle_t handle, enum pass pass, struct convolution c, address x, address w, address y,
	address workspace, size_t size, int *count, struct algorithm *found) {
	const int most = SHIM_MAX_ALGORITHMS;
	void *px = (void *)x, *pw = (void *)w, *py = (void *)y, *ws = (void *)workspace;
	switch (pass) {
	case PASS_FORWARD: {
		COPY_ALGORITHMS(cudnnConvolutionFwdAlgoPerf_t,
			cudnnFindConvolutionForwardAlgorithmEx(handle, c.x, px, c.w, pw, c.conv, c.y, py, most, &returned, list, ws,
				size));
	}
	case PASS_BACKWARD_DATA: {
		COPY_ALGORITHMS(cudnnConvolutionBwdDataAlgoPerf_t,
			cudnnFindConvolutionBackwardDataAlgorithmEx(handle, c.w, pw, c.y, py, c.conv, c.x, px, most, &returned, list,
				ws, size));
	}
	default: {
		COPY_ALGORITHMS(cudnnConvolutionBwdFilterAlgoPerf_t,
			cudnnFindConvolutionBackwardFilterAlgorithmEx(handle, c.x, px, c.y, py, c.conv, c.w, pw, most, &returned,
				list, ws, size));
	}
	}
}

cudnnStatus_t shim_workspace(cudnnHandle_t handle, enum pass pass, struct convolution c, int algo, size_t *size) {
	switch (pass) {
	case PASS_FORWARD:
		return cudnnGetConvolutionForwardWorkspaceSize(handle, c.x, c.w, c.conv, c.y, (cudnnConvolutionFwdAlgo_t)algo,
			size);
	case PASS_BACKWARD_DATA:
		return cudnnGetConvolutionBackwardDataWorkspaceSize(handle, c.w, c.y, c.conv, c.x,
			(cudnnConvolutionBwdDataAlgo_t)algo, size);
	default:
		return cudnnGetConvolutionBackwardFilterWorkspaceSize(handle, c.x, c.y, c.conv, c.w,
			(cudnnConvolutionBwdFilterAlgo_t)algo, size);
	}
}

cudnnStatus_t shim_convolve(cudnnHandle_t handle, enum pass pass, struct convolution c, int algo, float alpha,
	address x, address w, address y, address workspace, size_t size, float beta) {
	void *px = (void *)x, *pw = (void *)w, *py = (void *)y, *ws = (void *)workspace;
	switch (pass) {
	case PASS_FORWARD:
		return cudnnConvolutionForward(handle, &alpha, c.x, px, c.w, pw, c.conv, (cudnnConvolutionFwdAlgo_t)algo, ws,
			size, &beta, c.y, py);
	case PASS_BACKWARD_DATA:
		return cudnnConvolutionBackwardData(handle, &alpha, c.w, pw, c.y, py, c.conv,
			(cudnnConvolutionBwdDataAlgo_t)algo, ws, size, &beta, c.x, px);
	default:
		return cudnnConvolutionBackwardFilter(handle, &alpha, c.x, px, c.y, py, c.conv,
			(cudnnConvolutionBwdFilterAlgo_t)algo, ws, size, &beta, c.w, pw);
	}
}

cudnnStatus_t shim_convolve_bias_activation(cudnnHandle_t handle, struct convolution c, int algo, address x, address w,
	address workspace, size_t size, float alpha, float beta, cudnnTensorDescriptor_t z_desc, address z,
	cudnnTensorDescriptor_t bias_desc, address bias, cudnnActivationDescriptor_t activation, address y) {
	return cudnnConvolutionBiasActivationForward(handle, &alpha, c.x, (void *)x, c.w, (void *)w, c.conv,
		(cudnnConvolutionFwdAlgo_t)algo, (void *)workspace, size, &beta, z_desc, (void *)z, bias_desc, (void *)bias,
		activation, c.y, (void *)y);
}

cudnnStatus_t shim_convolve_backward_bias(cudnnHandle_t handle, float alpha, cudnnTensorDescriptor_t dy_desc,
	address dy, float beta, cudnnTensorDescriptor_t db_desc, address db) {
	return cudnnConvolutionBackwardBias(handle, &alpha, dy_desc, (void *)dy, &beta, db_desc, (void *)db);
}

cudnnStatus_t shim_add_tensor(cudnnHandle_t handle, float alpha, cudnnTensorDescriptor_t a_desc, address a, float beta,
	cudnnTensorDescriptor_t c_desc, address c) {
	return cudnnAddTensor(handle, &alpha, a_desc, (void *)a, &beta, c_desc, (void *)c);
}

static cudnnStatus_t variant_pack(cudnnBackendDescriptor_t pack, int64_t tensors, const int64_t *uids, void *const *data,
	void *workspace) {
	cudnnStatus_t status =
		cudnnBackendSetAttribute(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, tensors, uids);
	if (status == CUDNN_STATUS_SUCCESS)
		status = cudnnBackendSetAttribute(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, tensors, data);
	if (status == CUDNN_STATUS_SUCCESS)
		status = cudnnBackendSetAttribute(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace);
	return status == CUDNN_STATUS_SUCCESS ? cudnnBackendFinalize(pack) : status;
}

cudnnStatus_t shim_execute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan, address x, address w, address y, address bias,
	address workspace) {
	const int64_t uids[] = {UID_X, UID_W, UID_Y, UID_BIAS};
	void *data[] = {(void *)x, (void *)w, (void *)y, (void *)bias};
	cudnnBackendDescriptor_t pack;
	cudnnStatus_t status = cudnnBackendCreateDescriptor(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, &pack);
	if (status != CUDNN_STATUS_SUCCESS)
		return status;
	status = variant_pack(pack, bias ? 4 : 3, uids, data, (void *)workspace);
	if (status == CUDNN_STATUS_SUCCESS)
		status = cudnnBackendExecute(handle, plan, pack);
	cudnnStatus_t destroyed = cudnnBackendDestroyDescriptor(pack);
	return status == CUDNN_STATUS_SUCCESS ? destroyed : status;
}

cudnnStatus_t shim_pool(cudnnHandle_t handle, cudnnPoolingDescriptor_t pool, float alpha,
	cudnnTensorDescriptor_t x_desc, address x, float beta, cudnnTensorDescriptor_t y_desc, address y) {
	return cudnnPoolingForward(handle, pool, &alpha, x_desc, (void *)x, &beta, y_desc, (void *)y);
}

cudnnStatus_t shim_pool_backward(cudnnHandle_t handle, cudnnPoolingDescriptor_t pool, float alpha,
	cudnnTensorDescriptor_t y_desc, address y, address dy, float beta, cudnnTensorDescriptor_t x_desc, address x,
	address dx) {
	return cudnnPoolingBackward(handle, pool, &alpha, y_desc, (void *)y, y_desc, (void *)dy, x_desc, (void *)x, &beta,
		x_desc, (void *)dx);
}

cudnnStatus_t shim_activate(cudnnHandle_t handle, cudnnActivationDescriptor_t activation, float alpha,
	cudnnTensorDescriptor_t desc, address x, float beta, address y) {
	return cudnnActivationForward(handle, activation, &alpha, desc, (void *)x, &beta, desc, (void *)y);
}

cudnnStatus_t shim_activate_backward(cudnnHandle_t handle, cudnnActivationDescriptor_t activation, float alpha,
	cudnnTensorDescriptor_t desc, address y, address dy, address x, float beta, address dx) {
	return cudnnActivationBackward(handle, activation, &alpha, desc, (void *)y, desc, (void *)dy, desc, (void *)x, &beta,
		desc, (void *)dx);
}

cudnnStatus_t shim_softmax(cudnnHandle_t handle, cudnnSoftmaxAlgorithm_t algo, cudnnSoftmaxMode_t mode, float alpha,
	cudnnTensorDescriptor_t desc, address x, float beta, address y) {
	return cudnnSoftmaxForward(handle, algo, mode, &alpha, desc, (void *)x, &beta, desc, (void *)y);
}

cudnnStatus_t shim_softmax_backward(cudnnHandle_t handle, cudnnSoftmaxAlgorithm_t algo, cudnnSoftmaxMode_t mode,
	float alpha, cudnnTensorDescriptor_t desc, address y, address dy, float beta, address dx) {
	return cudnnSoftmaxBackward(handle, algo, mode, &alpha, desc, (void *)y, desc, (void *)dy, &beta, desc, (void *)dx);
}

cudnnStatus_t shim_batchnorm_training(cudnnHandle_t handle, cudnnBatchNormMode_t mode, cudnnTensorDescriptor_t desc,
	address x, address y, cudnnTensorDescriptor_t parameters, address scale, address bias, double factor,
	address running_mean, address running_variance, double epsilon, address saved_mean, address saved_inv_std) {
	const float one = 1, zero = 0;
	return cudnnBatchNormalizationForwardTraining(handle, mode, &one, &zero, desc, (void *)x, desc, (void *)y, parameters,
		(void *)scale, (void *)bias, factor, (void *)running_mean, (void *)running_variance, epsilon, (void *)saved_mean,
		(void *)saved_inv_std);
}

cudnnStatus_t shim_batchnorm_inference(cudnnHandle_t handle, cudnnBatchNormMode_t mode, cudnnTensorDescriptor_t desc,
	address x, address y, cudnnTensorDescriptor_t parameters, address scale, address bias, address mean,
	address variance, double epsilon) {
	const float one = 1, zero = 0;
	return cudnnBatchNormalizationForwardInference(handle, mode, &one, &zero, desc, (void *)x, desc, (void *)y,
		parameters, (void *)scale, (void *)bias, (void *)mean, (void *)variance, epsilon);
}

cudnnStatus_t shim_batchnorm_backward(cudnnHandle_t handle, cudnnBatchNormMode_t mode, cudnnTensorDescriptor_t desc,
	address x, address dy, address dx, cudnnTensorDescriptor_t parameters, address scale, address dscale, address dbias,
	float beta_parameters, double epsilon, address saved_mean, address saved_inv_std) {
	const float one = 1, zero = 0;
	return cudnnBatchNormalizationBackward(handle, mode, &one, &zero, &one, &beta_parameters, desc, (void *)x, desc,
		(void *)dy, desc, (void *)dx, parameters, (void *)scale, (void *)dscale, (void *)dbias, epsilon,
		(void *)saved_mean, (void *)saved_inv_std);
}
