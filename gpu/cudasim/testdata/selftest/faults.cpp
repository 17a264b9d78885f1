// Every fault that can be requested is delivered.
#include "selftest.h"

TEST(fault_no_device) {
	configure("devices=0");
	FAILS(cuInit(0), CUDA_ERROR_NO_DEVICE);
}

TEST(fault_busy) {
	configure("busy");
	CUcontext c;
	OK(cuInit(0));
	FAILS(cuDevicePrimaryCtxRetain(&c, 0), CUDA_ERROR_DEVICE_UNAVAILABLE);
	int mode;
	OK(cuDeviceGetAttribute(&mode, CU_DEVICE_ATTRIBUTE_COMPUTE_MODE, 0));
	SAME(mode, CU_COMPUTEMODE_EXCLUSIVE_PROCESS);
}

TEST(fault_old_driver) {
	configure("driver=11040");
	Gpu gpu;
	cublasHandle_t b;
	cudnnHandle_t d;
	FAILS(cublasCreate_v2(&b), CUBLAS_STATUS_NOT_INITIALIZED);
	SAME(cudnnCreate(&d), cudnnGetVersion() >= 90000 ? 1001 : 1);
}

TEST(fault_out_of_memory) {
	Gpu gpu;
	configure("fail=cuMemAlloc_v2#3:OUT_OF_MEMORY");
	CUdeviceptr p[4];
	OK(cuMemAlloc_v2(&p[0], 16));
	OK(cuMemAlloc_v2(&p[1], 16));
	FAILS(cuMemAlloc_v2(&p[2], 16), CUDA_ERROR_OUT_OF_MEMORY);
	OK(cuMemAlloc_v2(&p[2], 16));
	for (int i = 0; i < 3; i++) OK(cuMemFree_v2(p[i]));
	SAME(cudasimCalls("cuMemAlloc_v2"), 4);
	configure("fail=cuMemAlloc_v2#2+:2");
	OK(cuMemAlloc_v2(&p[0], 16));
	FAILS(cuMemAlloc_v2(&p[1], 16), CUDA_ERROR_OUT_OF_MEMORY);
	FAILS(cuMemAlloc_v2(&p[1], 16), CUDA_ERROR_OUT_OF_MEMORY);
	cudasimDisarm();
	OK(cuMemAlloc_v2(&p[1], 16));
	for (int i = 0; i < 2; i++) OK(cuMemFree_v2(p[i]));
}

// The program learns of a failed launch later, and the context is unusable.
TEST(fault_launch_failed) {
	for (const char *fault : {"fail=cuLaunchKernel#2:LAUNCH_FAILED", "fail=test_increment#2:LAUNCH_FAILED"}) {
		Gpu gpu;
		configure(fault);
		CUmodule m = module();
		CUdeviceptr p;
		int n = 1, value;
		OK(cuMemAlloc_v2(&p, 4));
		OK(cuMemsetD32_v2(p, 0, 1));
		launch(function(m, "test_increment"), 1, 1, {&p, &n});
		OK(cuCtxSynchronize());
		launch(function(m, "test_increment"), 1, 1, {&p, &n});
		FAILS(cuCtxSynchronize(), CUDA_ERROR_LAUNCH_FAILED);
		FAILS(cuMemcpyDtoH_v2(&value, p, 4), CUDA_ERROR_LAUNCH_FAILED);
		FAILS(cuMemFree_v2(p), CUDA_ERROR_LAUNCH_FAILED);
		cublasHandle_t b;
		FAILS(cublasCreate_v2(&b), CUBLAS_STATUS_EXECUTION_FAILED);
		cudasimReset();
		gpu.released = true;
	}
}

TEST(fault_device_lost) {
	Gpu gpu;
	configure("fail=cuStreamSynchronize#1:LOST");
	CUdeviceptr p;
	OK(cuMemAlloc_v2(&p, 4));
	FAILS(cuStreamSynchronize(nullptr), CUDA_ERROR_UNKNOWN);
	FAILS(cuMemFree_v2(p), CUDA_ERROR_UNKNOWN);
	gpu.release();
	FINDING("leak", "4 bytes");
	CUcontext c;
	FAILS(cuDevicePrimaryCtxRetain(&c, 0), CUDA_ERROR_UNKNOWN);
}

TEST(fault_in_a_graph) {
	Gpu gpu;
	configure("fail=cuGraphLaunch#2:ILLEGAL_ADDRESS");
	CUstream s;
	CUgraph g;
	CUgraphExec e;
	CUdeviceptr p;
	OK(cuMemAlloc_v2(&p, 4));
	OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	OK(cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_RELAXED));
	OK(cuMemsetD32Async(p, 1, 1, s));
	OK(cuStreamEndCapture(s, &g));
	OK(cuGraphInstantiateWithFlags(&e, g, 0));
	OK(cuGraphLaunch(e, s));
	OK(cuStreamSynchronize(s));
	OK(cuGraphLaunch(e, s));
	FAILS(cuStreamSynchronize(s), CUDA_ERROR_ILLEGAL_ADDRESS);
	cudasimReset();
	gpu.released = true;
}

TEST(fault_of_libraries) {
	Gpu gpu;
	cublasHandle_t b;
	cudnnHandle_t d;
	bool nine = cudnnGetVersion() >= 90000;
	configure("fail=cublasCreate_v2#1:ALLOC_FAILED; fail=cudnnCreate#1:NOT_SUPPORTED; fail=cudnnCreate#2:CUDNN_STATUS_INTERNAL_ERROR");
	FAILS(cublasCreate_v2(&b), CUBLAS_STATUS_ALLOC_FAILED);
	OK(cublasCreate_v2(&b));
	SAME(cudnnCreate(&d), nine ? 3000 : 9);
	CHECK(std::string(cudnnGetErrorString(nine ? 3000 : 9)) == "CUDNN_STATUS_NOT_SUPPORTED");
	SAME(cudnnCreate(&d), nine ? 4000 : 4);
	OK(cudnnCreate(&d));
	OK(cudnnDestroy(d));
	OK(cublasDestroy_v2(b));
}

// An error of the driver within a library's work.
TEST(fault_within_a_library) {
	Gpu gpu;
	configure("fail=cublasSgemm_v2#1:CUDA_ERROR_ILLEGAL_ADDRESS");
	cublasHandle_t h;
	OK(cublasCreate_v2(&h));
	CUdeviceptr p;
	OK(cuMemAlloc_v2(&p, 12));
	OK(cuMemsetD32_v2(p, 0, 3));
	float one = 1, zero = 0, *f = reinterpret_cast<float *>(p);
	OK(cublasSgemm_v2(h, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, f, 1, f + 1, 1, &zero, f + 2, 1));
	FAILS(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
	cudasimReset();
	gpu.released = true;
}

TEST(wrong_settings) {
	char error[200];
	CHECK(cudasimConfigure("devices=many", error, sizeof error) > 0);
	CHECK(strstr(error, "want a number"));
	CHECK(cudasimConfigure("speed=1", error, sizeof error) > 0);
	CHECK(strstr(error, "no such setting"));
	CHECK(cudasimConfigure("fail=cuInit:NO_SUCH_ERROR", error, sizeof error) > 0);
	CHECK(strstr(error, "the driver has no error NO_SUCH_ERROR"));
	CHECK(cudasimConfigure("memory=3 pounds", error, sizeof error) > 0);
	CHECK(cudasimConfigure("fail=cuInit#0:1", error, sizeof error) > 0);
}

// Run with a folder in which the parts of cuDNN are missing.
TEST(fault_missing_parts) {
	Gpu gpu;
	cudnnHandle_t d;
	if (cudnnGetVersion() >= 90000) {
		FAILS(cudnnCreate(&d), 1008);
	} else {
		FAILS(cudnnCreate(&d), 4);
		FINDING("would-abort", "libcudnn_ops_infer.so.8");
	}
}
