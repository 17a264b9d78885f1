// Every kind of misuse is found, and the process continues.
#include "selftest.h"

#include <thread>

TEST(misuse_of_memory) {
	Gpu gpu;
	CUdeviceptr p, q;
	char host[64] = {};
	OK(cuMemAlloc_v2(&p, 100));
	OK(cuMemcpyHtoD_v2(p, host, 64));
	FAILS(cuMemcpyHtoD_v2(p + 50, host, 64), CUDA_ERROR_INVALID_VALUE);
	FINDING("bad-pointer", "needs 64 bytes from byte 50 of the 100 bytes of cuMemAlloc_v2 number 1");
	FAILS(cuMemcpyDtoH_v2(host, p + 101, 1), CUDA_ERROR_INVALID_VALUE);
	FINDING("bad-pointer", "1 bytes past the end");
	FAILS(cuMemcpyDtoH_v2(host, CUdeviceptr(host), 1), CUDA_ERROR_INVALID_VALUE);
	FINDING("bad-pointer", "no device memory");
	FAILS(cuMemcpyHtoD_v2(p, reinterpret_cast<void *>(p), 8), CUDA_ERROR_INVALID_VALUE);
	FINDING("bad-pointer", "should be host memory");
	FAILS(cuMemsetD32_v2(p + 2, 0, 1), CUDA_ERROR_INVALID_VALUE);
	FINDING("bad-argument", "not aligned");
	FAILS(cuMemcpyDtoD_v2(p, p + 8, 16), CUDA_ERROR_INVALID_VALUE);
	FINDING("bad-argument", "overlap");
	FAILS(cuMemAlloc_v2(&q, 0), CUDA_ERROR_INVALID_VALUE);
	FINDING("bad-argument", "bytesize");
	FAILS(cuMemFree_v2(p + 4), CUDA_ERROR_INVALID_VALUE);
	FINDING("bad-pointer", "want its beginning");
	OK(cuMemFree_v2(p));
	FAILS(cuMemFree_v2(p), CUDA_ERROR_INVALID_VALUE);
	FINDING("use-after-free", "which cuMemFree_v2 freed");
	FAILS(cuMemsetD8_v2(p, 0, 1), CUDA_ERROR_INVALID_VALUE);
	FINDING("use-after-free", "which cuMemFree_v2 freed");
	OK(cuMemFree_v2(0));
}

TEST(uninitialised_memory) {
	Gpu gpu;
	CUmodule m = module();
	std::vector<char> host(1000);
	{
		Memory x(1000), y(1000), z(4000);
		OK(cuMemsetD8_v2(x.p, 0, 990));
		OK(cuMemsetD8_v2(x.p + 995, 0, 5));
		OK(cuMemcpyDtoH_v2(host.data(), x.p, 990));
		NO_FINDING();
		OK(cuMemcpyDtoH_v2(host.data(), x.p, 1000));
		FINDING("uninitialised-read", "byte 990 of the 1000 bytes");
		NO_FINDING();
		// The copied bytes count as written from then on, although they were not, so that
		// they are reported only once.
		OK(cuMemcpyDtoD_v2(y.p, x.p, 1000));
		OK(cuCtxSynchronize());
		NO_FINDING();
		// The writes of a kernel are detected because the poison is gone.
		float f = 0;
		int n = 800;
		Memory w(std::vector<float>(1000, 1.0f));
		launch(function(m, "test_scale"), 4, 256, {&z.p, &w.p, &f, &n});
		std::vector<float> out(1000);
		OK(cuMemcpyDtoH_v2(out.data(), z.p, 3200));
		NO_FINDING();
		OK(cuMemcpyDtoH_v2(out.data(), z.p, 4000));
		FINDING("uninitialised-read", "byte 3200");
		// A kernel that reads memory that was never written.
		Memory never(4000);
		launch(function(m, "test_scale"), 4, 256, {&z.p, &never.p, &f, &n});
		OK(cuCtxSynchronize());
		FINDING("uninitialised-read", "test_scale: parameter 1");
	}
	OK(cuModuleUnload(m));
}

TEST(kernels_out_of_bounds) {
	{
		Gpu gpu;
		CUmodule m = module();
		CUfunction write = function(m, "test_write");
		Memory x(100);
		struct {
			long long at;
			const char *part;
		} near[] = {{25, "wrote 0 bytes past the end of the 100 bytes"}, {27, "wrote 8 bytes past the end"}, {-1, "wrote 4 bytes before the 100 bytes"}};
		for (auto &c : near) {
			launch(write, 1, 1, {&x.p, &c.at});
			OK(cuCtxSynchronize());
			FINDING("overrun", std::string("test_write: ") + c.part);
		}
	}
	Gpu gpu;
	CUmodule m = module();
	CUdeviceptr p;
	OK(cuMemAlloc_v2(&p, 256));
	long long far = 64; // the next page
	launch(function(m, "test_write"), 1, 1, {&p, &far});
	FAILS(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
	FINDING("overrun", "test_write: reached 0 bytes past the end of the 256 bytes");
	size_t free, total;
	FAILS(cuMemGetInfo_v2(&free, &total), CUDA_ERROR_ILLEGAL_ADDRESS);
	cudasimReset();
	gpu.released = true;
}

TEST(kernels_with_freed_memory) {
	Gpu gpu;
	CUmodule m = module();
	CUdeviceptr p;
	OK(cuMemAlloc_v2(&p, 4096));
	OK(cuMemFree_v2(p));
	long long at = 0;
	launch(function(m, "test_write"), 1, 1, {&p, &at});
	FINDING("use-after-free", "test_write: parameter 0 is byte 0 of the 4096 bytes");
	FAILS(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
	cudasimReset();
	gpu.released = true;
}

// Freed memory behind an address in memory faults, and a new context runs the same library.
TEST(kernels_with_freed_memory_in_a_table) {
	for (int round = 0; round < 2; round++) {
		Gpu gpu;
		CUmodule m = module();
		CUdeviceptr p, table;
		OK(cuMemAlloc_v2(&p, 4096));
		OK(cuMemAlloc_v2(&table, 8));
		OK(cuMemcpyHtoD_v2(table, &p, 8));
		int one = 1;
		launch(function(m, "test_table"), 1, 1, {&table, &one});
		OK(cuCtxSynchronize());
		OK(cuMemFree_v2(p));
		launch(function(m, "test_table"), 1, 1, {&table, &one});
		FAILS(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
		FINDING("overrun", "test_table: reached byte 0 of the 4096 bytes");
		cudasimReset();
		gpu.released = true;
	}
}

TEST(arguments_of_kernels) {
	Gpu gpu;
	CUmodule m = module();
	CUfunction scale = function(m, "test_scale");
	{
		Memory x(std::vector<float>(64, 1.0f)), y(256);
		float f = 1;
		int n = 64;
		void *missing[] = {&y.p, &x.p, &f, nullptr};
		FAILS(cuLaunchKernel(scale, 1, 1, 1, 64, 1, 1, 0, nullptr, missing, nullptr), CUDA_ERROR_INVALID_VALUE);
		FINDING("bad-argument", "parameter 3 of 4");
		FAILS(cuLaunchKernel(scale, 1, 1, 1, 64, 1, 1, 0, nullptr, nullptr, nullptr), CUDA_ERROR_INVALID_VALUE);
		FINDING("bad-argument", "no parameters, the kernel has 4");
		size_t size = 20;
		char few[24] = {};
		void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, few, CU_LAUNCH_PARAM_BUFFER_SIZE, &size, CU_LAUNCH_PARAM_END};
		FAILS(cuLaunchKernel(scale, 1, 1, 1, 64, 1, 1, 0, nullptr, nullptr, extra), CUDA_ERROR_INVALID_VALUE);
		FINDING("bad-argument", "20 bytes of parameters, the kernel has 24");
		void *good[] = {&y.p, &x.p, &f, &n};
		FAILS(cuLaunchKernel(scale, 1, 1, 1, 1024, 1, 1, 0, nullptr, good, nullptr), CUDA_ERROR_INVALID_VALUE);
		FINDING("launch-limits", "its launch bounds say 512");
		FAILS(cuLaunchKernel(scale, 0, 1, 1, 64, 1, 1, 0, nullptr, good, nullptr), CUDA_ERROR_INVALID_VALUE);
		FINDING("launch-limits", "none may be 0");
		FAILS(cuLaunchKernel(scale, 1, 65536, 1, 64, 1, 1, 0, nullptr, good, nullptr), CUDA_ERROR_INVALID_VALUE);
		FINDING("launch-limits", "at most 2147483647 x 65535 x 65535");
		FAILS(cuLaunchKernel(scale, 1, 1, 1, 32, 64, 1, 0, nullptr, good, nullptr), CUDA_ERROR_INVALID_VALUE);
		FINDING("launch-limits", "at most 1024");
		FAILS(cuLaunchKernel(scale, 1, 1, 1, 64, 1, 1, 49153, nullptr, good, nullptr), CUDA_ERROR_INVALID_VALUE);
		FINDING("launch-limits", "49153 bytes of dynamic");
		void *reverse[] = {&y.p, &x.p};
		FAILS(cuLaunchKernel(function(m, "test_reverse"), 1, 1, 1, 64, 1, 1, 48 << 10, nullptr, reverse, nullptr), CUDA_ERROR_INVALID_VALUE);
		FINDING("launch-limits", "1024 of static");
		OK(cuCtxSynchronize());
		OK(cuModuleUnload(m));
		FAILS(cuLaunchKernel(scale, 1, 1, 1, 64, 1, 1, 0, nullptr, good, nullptr), CUDA_ERROR_INVALID_HANDLE);
		FINDING("bad-handle", "the function");
	}
	m = module();
	float f = 1, host[4];
	int n = 1;
	void *h = host;
	launch(function(m, "test_scale"), 1, 1, {&h, &h, &f, &n});
	FINDING("bad-pointer", "parameter 0 is");
	FAILS(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
	cudasimReset();
	gpu.released = true;
}

TEST(mistakes_in_kernels) {
	{
		Gpu gpu;
		module("stale.ptx");
		FINDING("kernel", "test_stale: the PTX has parameters of (8, 4) bytes, its source of (8, 4, 4)");
		CUmodule m = module();
		char nothing[24] = {};
		void *arguments[] = {nothing};
		FAILS(cuLaunchKernel(function(m, "test_nowhere"), 1, 1, 1, 1, 1, 1, 0, nullptr, arguments, nullptr), CUDA_ERROR_NOT_FOUND);
		FINDING("kernel", "not among the kernels");
	}
	for (int round = 0; round < 2; round++) {
		Gpu gpu;
		CUmodule m = module();
		CUdeviceptr p;
		OK(cuMemAlloc_v2(&p, 64));
		launch(function(m, "test_late_barrier"), 1, 16, {&p});
		FAILS(cuCtxSynchronize(), CUDA_ERROR_LAUNCH_FAILED);
		FINDING("kernel", "8 wait at __syncthreads");
		cudasimReset();
		gpu.released = true;
	}
	Gpu gpu;
	CUmodule m = module();
	CUdeviceptr p;
	OK(cuMemAlloc_v2(&p, 64));
	int a = 1, b = 0;
	launch(function(m, "test_divide"), 1, 1, {&p, &a, &b});
	FAILS(cuCtxSynchronize(), CUDA_ERROR_LAUNCH_FAILED);
	FINDING("kernel", "divides an integer by zero");
	cudasimReset();
	gpu.released = true;
}

TEST(handles) {
	Gpu gpu;
	CUstream s;
	CUevent e;
	OK(cuStreamCreate(&s, 0));
	OK(cuEventCreate(&e, 0));
	OK(cuStreamDestroy_v2(s));
	OK(cuEventDestroy_v2(e));
	FAILS(cuStreamSynchronize(s), CUDA_ERROR_INVALID_HANDLE);
	FINDING("bad-handle", "the stream");
	FAILS(cuEventRecord(e, nullptr), CUDA_ERROR_INVALID_HANDLE);
	FINDING("bad-handle", "the event");
	FAILS(cuEventRecord(CUevent(s), nullptr), CUDA_ERROR_INVALID_HANDLE);
	FINDING("bad-handle", "is no event");
	CUcontext other;
	OK(cuStreamCreate(&s, 0));
	OK(cuCtxCreate_v2(&other, 0, 0));
	FAILS(cuStreamSynchronize(s), CUDA_ERROR_INVALID_HANDLE);
	FINDING("wrong-context", "belongs to another context");
	OK(cuCtxDestroy_v2(other));
	OK(cuStreamDestroy_v2(s));
	std::thread([] { FAILS(cuCtxSynchronize(), CUDA_ERROR_INVALID_CONTEXT); }).join();
	FINDING("wrong-context", "no context is current on this thread");
}

TEST(leaks) {
	Gpu gpu;
	CUdeviceptr p;
	CUstream s;
	CUevent e;
	void *host;
	cublasHandle_t blas;
	cudnnHandle_t dnn;
	OK(cuMemAlloc_v2(&p, 123));
	OK(cuMemHostAlloc(&host, 456, 0));
	OK(cuStreamCreate(&s, 0));
	OK(cuEventCreate(&e, 0));
	OK(cublasCreate_v2(&blas));
	OK(cudnnCreate(&dnn));
	gpu.release();
	FINDING("leak", "123 bytes of cuMemAlloc_v2");
	FINDING("leak", "456 bytes of cuMemHostAlloc");
	FINDING("leak", "stream");
	FINDING("leak", "event");
	FINDING("leak", "cuBLAS handle");
	FINDING("leak", "cuDNN handle");
}

TEST(missing_synchronisation) {
	configure("delay=1000");
	Gpu gpu;
	CUmodule m = module();
	CUfunction increment = function(m, "test_increment");
	CUstream s;
	OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	int n = 1;
	CUdeviceptr p;
	OK(cuMemAlloc_v2(&p, 4));
	OK(cuMemsetD32Async(p, 0, 1, s));
	launch(increment, 1, 1, {&p, &n}, s);
	OK(cuMemFree_v2(p));
	FINDING("missing-sync", "is freed while test_increment, queued on stream");

	void *memory;
	OK(cuMemHostAlloc(&memory, 1 << 20, 0));
	volatile int *host = static_cast<int *>(memory);
	OK(cuMemAlloc_v2(&p, 1 << 16));
	OK(cuMemsetD32Async(p, 7, 1 << 14, s));
	launch(increment, 1, 1, {&p, &n}, s);
	// A copy to the host, read too early. Other parts of the block may be used.
	OK(cuMemcpyDtoHAsync_v2(memory, p, 1 << 16, s));
	host[1 << 17] = 1;
	CHECK(host[1 << 17] == 1);
	NO_FINDING();
	int early = host[0];
	(void)early;
	FINDING("missing-sync", "the program read pinned memory");
	OK(cuStreamSynchronize(s));
	SAME(host[0], 8);
	SAME(host[1], 7);
	// A source that is overwritten too early. Reading it is allowed.
	OK(cuMemcpyHtoDAsync_v2(p, memory, 1 << 16, s));
	SAME(host[0], 8);
	NO_FINDING();
	host[0] = 9;
	FINDING("missing-sync", "the program wrote pinned memory");
	// With an event it is correct.
	CUevent e;
	OK(cuEventCreate(&e, CU_EVENT_DISABLE_TIMING));
	OK(cuMemcpyDtoHAsync_v2(memory, p, 1 << 16, s));
	OK(cuEventRecord(e, s));
	OK(cuEventSynchronize(e));
	SAME(host[1], 7);
	NO_FINDING();
	// The block is freed during a copy, and used afterwards.
	OK(cuMemcpyDtoHAsync_v2(memory, p, 1 << 16, s));
	OK(cuMemFreeHost(memory));
	FINDING("missing-sync", "cuMemHostAlloc");
	host[0] = 1;
	FINDING("use-after-free", "the program used pinned memory");
	OK(cuStreamSynchronize(s));
	OK(cuMemFree_v2(p));
	OK(cuEventDestroy_v2(e));
	OK(cuStreamDestroy_v2(s));
}

TEST(capture) {
	Gpu gpu;
	CUstream s, blocking;
	CUgraph graph;
	CUdeviceptr p, q;
	CUevent e;
	OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	OK(cuStreamCreate(&blocking, 0));
	OK(cuMemAlloc_v2(&p, 64));
	OK(cuMemsetD8_v2(p, 0, 64));
	OK(cuEventCreate(&e, 0));
	char host[64];
	struct Case {
		const char *name;
		CUstream stream;
		std::function<int()> call;
		int status;
	} cases[] = {
		{"cuStreamSynchronize", s, [&] { return cuStreamSynchronize(s); }, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED},
		{"cuStreamQuery", s, [&] { return cuStreamQuery(s); }, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED},
		{"cuCtxSynchronize", s, [&] { return cuCtxSynchronize(); }, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED},
		{"cuMemAlloc_v2", s, [&] { return cuMemAlloc_v2(&q, 64); }, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED},
		{"cuMemFree_v2", s, [&] { return cuMemFree_v2(p); }, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED},
		{"cuEventQuery", s, [&] { return cuEventQuery(e); }, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED},
		{"cuMemcpyDtoH_v2", s, [&] { return cuMemcpyDtoH_v2(host, p, 64); }, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED},
		{"cuMemcpyDtoH_v2", blocking, [&] { return cuMemcpyDtoH_v2(host, p, 64); }, CUDA_ERROR_STREAM_CAPTURE_IMPLICIT},
		{"cuMemsetD8_v2", blocking, [&] { return cuMemsetD8_v2(p, 0, 64); }, CUDA_ERROR_STREAM_CAPTURE_IMPLICIT},
	};
	for (const Case &c : cases) {
		OK(cuStreamBeginCapture_v2(c.stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
		OK(cuMemsetD8Async(p, 1, 64, c.stream));
		FAILS(c.call(), c.status);
		FINDING("capture", c.name);
		FAILS(cuMemsetD8Async(p, 1, 64, c.stream), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
		FAILS(cuStreamEndCapture(c.stream, &graph), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
		CHECK(graph == nullptr);
	}
	// In thread-local mode the calls of other threads do not matter, in global mode they do.
	for (CUstreamCaptureMode mode : {CU_STREAM_CAPTURE_MODE_THREAD_LOCAL, CU_STREAM_CAPTURE_MODE_GLOBAL}) {
		bool local = mode == CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
		OK(cuStreamBeginCapture_v2(s, mode));
		std::thread([&] {
			OK(cuCtxSetCurrent(gpu.context));
			SAME(cuMemAlloc_v2(&q, 64), local ? 0 : CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
		}).join();
		SAME(cuStreamEndCapture(s, &graph), local ? 0 : CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
		if (local) OK(cuGraphDestroy(graph));
		else FINDING("capture", "cuMemAlloc_v2");
	}
	OK(cuMemFree_v2(q));
	FAILS(cuStreamBeginCapture_v2(nullptr, CU_STREAM_CAPTURE_MODE_RELAXED), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
	FINDING("capture", "legacy stream");
	FAILS(cuStreamEndCapture(s, &graph), CUDA_ERROR_ILLEGAL_STATE);
	FINDING("capture", "no capture was begun");
	// Work on a stream that joined, and was not waited for.
	OK(cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_RELAXED));
	OK(cuEventRecord(e, s));
	OK(cuStreamWaitEvent(blocking, e, 0));
	OK(cuMemsetD8Async(p, 1, 64, blocking));
	FAILS(cuStreamEndCapture(s, &graph), CUDA_ERROR_STREAM_CAPTURE_UNJOINED);
	FINDING("capture", "another stream");
	// A graph whose memory has been freed.
	CUgraphExec exec;
	OK(cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_RELAXED));
	OK(cuMemsetD8Async(p, 1, 64, s));
	OK(cuStreamEndCapture(s, &graph));
	OK(cuGraphInstantiateWithFlags(&exec, graph, 0));
	OK(cuCtxSynchronize());
	OK(cuMemFree_v2(p));
	OK(cuGraphLaunch(exec, s));
	FAILS(cuStreamSynchronize(s), CUDA_ERROR_ILLEGAL_ADDRESS);
	FINDING("use-after-free", "cuMemsetD8Async: dstDevice is byte 0 of the 64 bytes");
	cudasimReset();
	gpu.released = true;
}

TEST(misuse_of_blas) {
	Gpu gpu;
	cublasHandle_t h;
	OK(cublasCreate_v2(&h));
	float one = 1, zero = 0;
	{
		Memory a(randoms(12, 1)), b(randoms(12, 2)), c(36), small(32), unwritten(48);
		auto sgemm = [&](const Memory &x, int lda, const Memory &z) {
			return cublasSgemm_v2(h, CUBLAS_OP_N, CUBLAS_OP_N, 3, 3, 4, &one, static_cast<float *>(x.at()), lda, static_cast<float *>(b.at()), 4, &zero, static_cast<float *>(z.at()), 3);
		};
		OK(sgemm(a, 3, c));
		FAILS(sgemm(a, 2, c), CUBLAS_STATUS_INVALID_VALUE);
		FINDING("bad-argument", "A has 3 rows and leading dimension 2");
		FAILS(sgemm(a, 3, small), CUBLAS_STATUS_EXECUTION_FAILED);
		FINDING("bad-pointer", "C needs 36 bytes from byte 0 of the 32 bytes");
		FAILS(sgemm(a, 5, c), CUBLAS_STATUS_EXECUTION_FAILED);
		FINDING("bad-pointer", "A needs 72 bytes");
		FAILS(sgemm(a, 3, a), CUBLAS_STATUS_INVALID_VALUE);
		FINDING("bad-argument", "C overlaps A or B");
		OK(sgemm(unwritten, 3, c));
		OK(cuCtxSynchronize());
		FINDING("uninitialised-read", "cublasSgemm_v2: A holds byte 0");
	}
	OK(cublasDestroy_v2(h));
	int v;
	FAILS(cublasSetMathMode(h, CUBLAS_DEFAULT_MATH), CUBLAS_STATUS_NOT_INITIALIZED);
	FINDING("bad-handle", "the cuBLAS handle");
	OK(cublasGetVersion_v2(h, &v));
	CHECK(v / 10000 == 12);
}
