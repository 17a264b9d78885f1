//go:build cuda && linux && cgo && (amd64 || arm64)

// Calls that are made in every training step, in a form that costs nothing on the Go side:
// scalars by value instead of by pointer, and device addresses as integers, so that Go allocates
// nothing and holds no pointers that aren't its own. Each returns the status of the function
// that it is named after.
#pragma once
#include "shim.h"

typedef uintptr_t address; // of device memory

// The most parameters that a kernel launched by shim_launch may have.
enum { SHIM_MAX_PARAMETERS = 64 };

// shim_launch is cuLaunchKernel with parameter i at words[offsets[i]].
CUresult shim_launch(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
	unsigned block_y, unsigned block_z, unsigned shared, CUstream stream, const uint64_t *words,
	const uint32_t *offsets, int parameters);

// shim_module_load is cuModuleLoadDataEx with buffers for the log and the errors of the
// just-in-time compiler.
CUresult shim_module_load(CUmodule *module, const void *image, char *info, size_t info_size, char *error,
	size_t error_size);

cublasStatus_t shim_set_workspace(cublasHandle_t handle, address workspace, size_t size);
cublasStatus_t shim_gemm(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, int m, int n, int k,
	float alpha, address a, cudaDataType type_a, int lda, address b, cudaDataType type_b, int ldb, float beta, address c,
	cudaDataType type_c, int ldc, cublasComputeType_t compute);
cublasStatus_t shim_gemm_batch(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, int m, int n, int k,
	float alpha, address a, cudaDataType type_a, int lda, long long stride_a, address b, cudaDataType type_b, int ldb,
	long long stride_b, float beta, address c, cudaDataType type_c, int ldc, long long stride_c, int count,
	cublasComputeType_t compute);
cublasStatus_t shim_sgemm(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, int m, int n, int k,
	float alpha, address a, int lda, address b, int ldb, float beta, address c, int ldc);

// The three passes of a convolution.
enum pass { PASS_FORWARD, PASS_BACKWARD_DATA, PASS_BACKWARD_FILTER };

// The descriptors of a convolution y = x * w.
struct convolution {
	cudnnTensorDescriptor_t x;
	cudnnFilterDescriptor_t w;
	cudnnConvolutionDescriptor_t conv;
	cudnnTensorDescriptor_t y;
};

// An algorithm as cuDNN's three structs describe it.
struct algorithm {
	int algo;
	int status;
	float time;
	size_t memory;
	int determinism;
	int math_type;
};

// The most algorithms that cuDNN is asked for; it has no more than eight for any pass.
enum { SHIM_MAX_ALGORITHMS = 16 };

// cudnnGetConvolution*Algorithm_v7, cudnnFindConvolution*AlgorithmEx and
// cudnnGetConvolution*WorkspaceSize. x, w and y are the addresses of what they are called in
// the forward pass, or of its gradient.
cudnnStatus_t shim_heuristics(cudnnHandle_t handle, enum pass pass, struct convolution c, int *count,
	struct algorithm *found);
cudnnStatus_t shim_find(cudnnHandle_t handle, enum pass pass, struct convolution c, address x, address w, address y,
	address workspace, size_t size, int *count, struct algorithm *found);
cudnnStatus_t shim_workspace(cudnnHandle_t handle, enum pass pass, struct convolution c, int algo, size_t *size);

// cudnnConvolutionForward, -BackwardData and -BackwardFilter: y, dx or dw from the other two.
cudnnStatus_t shim_convolve(cudnnHandle_t handle, enum pass pass, struct convolution c, int algo, float alpha,
	address x, address w, address y, address workspace, size_t size, float beta);
cudnnStatus_t shim_convolve_bias_activation(cudnnHandle_t handle, struct convolution c, int algo, address x, address w,
	address workspace, size_t size, float alpha, float beta, cudnnTensorDescriptor_t z_desc, address z,
	cudnnTensorDescriptor_t bias_desc, address bias, cudnnActivationDescriptor_t activation, address y);
cudnnStatus_t shim_convolve_backward_bias(cudnnHandle_t handle, float alpha, cudnnTensorDescriptor_t dy_desc,
	address dy, float beta, cudnnTensorDescriptor_t db_desc, address db);
cudnnStatus_t shim_add_tensor(cudnnHandle_t handle, float alpha, cudnnTensorDescriptor_t a_desc, address a, float beta,
	cudnnTensorDescriptor_t c_desc, address c);

// The identifiers of a convolution's tensors in an operation graph. Product and sum are virtual: what passes from the
// convolution to the bias, and from that to the activation.
enum uid { UID_X = 1, UID_W, UID_Y, UID_BIAS, UID_PRODUCT, UID_SUM };

// shim_execute is cudnnBackendExecute on tensors at these addresses; bias is 0 where the graph has none.
cudnnStatus_t shim_execute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan, address x, address w, address y, address bias,
	address workspace);

cudnnStatus_t shim_pool(cudnnHandle_t handle, cudnnPoolingDescriptor_t pool, float alpha,
	cudnnTensorDescriptor_t x_desc, address x, float beta, cudnnTensorDescriptor_t y_desc, address y);
cudnnStatus_t shim_pool_backward(cudnnHandle_t handle, cudnnPoolingDescriptor_t pool, float alpha,
	cudnnTensorDescriptor_t y_desc, address y, address dy, float beta, cudnnTensorDescriptor_t x_desc, address x,
	address dx);
cudnnStatus_t shim_activate(cudnnHandle_t handle, cudnnActivationDescriptor_t activation, float alpha,
	cudnnTensorDescriptor_t desc, address x, float beta, address y);
cudnnStatus_t shim_activate_backward(cudnnHandle_t handle, cudnnActivationDescriptor_t activation, float alpha,
	cudnnTensorDescriptor_t desc, address y, address dy, address x, float beta, address dx);
cudnnStatus_t shim_softmax(cudnnHandle_t handle, cudnnSoftmaxAlgorithm_t algo, cudnnSoftmaxMode_t mode, float alpha,
	cudnnTensorDescriptor_t desc, address x, float beta, address y);
cudnnStatus_t shim_softmax_backward(cudnnHandle_t handle, cudnnSoftmaxAlgorithm_t algo, cudnnSoftmaxMode_t mode,
	float alpha, cudnnTensorDescriptor_t desc, address y, address dy, float beta, address dx);

cudnnStatus_t shim_batchnorm_training(cudnnHandle_t handle, cudnnBatchNormMode_t mode, cudnnTensorDescriptor_t desc,
	address x, address y, cudnnTensorDescriptor_t parameters, address scale, address bias, double factor,
	address running_mean, address running_variance, double epsilon, address saved_mean, address saved_inv_std);
cudnnStatus_t shim_batchnorm_inference(cudnnHandle_t handle, cudnnBatchNormMode_t mode, cudnnTensorDescriptor_t desc,
	address x, address y, cudnnTensorDescriptor_t parameters, address scale, address bias, address mean,
	address variance, double epsilon);
cudnnStatus_t shim_batchnorm_backward(cudnnHandle_t handle, cudnnBatchNormMode_t mode, cudnnTensorDescriptor_t desc,
	address x, address dy, address dx, cudnnTensorDescriptor_t parameters, address scale, address dscale, address dbias,
	float beta_parameters, double epsilon, address saved_mean, address saved_inv_std);
