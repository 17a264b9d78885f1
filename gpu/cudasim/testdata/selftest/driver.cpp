// What the driver does: devices, contexts, memory, streams, events, kernels, graphs.
#include "selftest.h"

#include <chrono>
#include <thread>

TEST(devices) {
	configure("devices=2;memory=64MiB;used=16MiB;driver=12040;cc=86");
	int n = 0, v = 0, major = 0;
	FAILS(cuDeviceGetCount(&n), CUDA_ERROR_NOT_INITIALIZED);
	FINDING("wrong-context", "cuInit");
	OK(cuDriverGetVersion(&v));
	SAME(v, 12040);
	Gpu gpu;
	OK(cuDeviceGetCount(&n));
	SAME(n, 2);
	char name[64];
	OK(cuDeviceGetName(name, sizeof name, 1));
	CHECK(std::string(name) == "software emulation");
	CUdevice d;
	FAILS(cuDeviceGet(&d, 2), CUDA_ERROR_INVALID_DEVICE);
	OK(cuDeviceGetAttribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 0));
	SAME(major, 8);
	size_t free, total;
	OK(cuMemGetInfo_v2(&free, &total));
	SAME(total, 64 << 20);
	SAME(free, 48 << 20);
	{
		Memory m(1 << 20);
		OK(cuMemGetInfo_v2(&free, &total));
		SAME(free, 47 << 20);
		CUdeviceptr p;
		FAILS(cuMemAlloc_v2(&p, 48 << 20), CUDA_ERROR_OUT_OF_MEMORY);
	}
	const char *text;
	OK(cuGetErrorName(CUDA_ERROR_OUT_OF_MEMORY, &text));
	CHECK(std::string(text) == "CUDA_ERROR_OUT_OF_MEMORY");
	OK(cuGetErrorString(CUDA_ERROR_OUT_OF_MEMORY, &text));
	CHECK(std::string(text) == "out of memory");
	FAILS(cuGetErrorName(CUresult(12345), &text), CUDA_ERROR_INVALID_VALUE);
}

TEST(contexts) {
	OK(cuInit(0));
	CUcontext a, b, c;
	OK(cuCtxCreate_v2(&a, 0, 0));
	OK(cuCtxCreate_v2(&b, 0, 0));
	OK(cuCtxGetCurrent(&c));
	CHECK(c == b);
	OK(cuCtxPopCurrent_v2(&c));
	CHECK(c == b);
	OK(cuCtxGetCurrent(&c));
	CHECK(c == a);
	std::thread([&] {
		// Each thread has a stack of its own.
		size_t free, total;
		FAILS(cuMemGetInfo_v2(&free, &total), CUDA_ERROR_INVALID_CONTEXT);
		OK(cuCtxSetCurrent(b));
		OK(cuMemGetInfo_v2(&free, &total));
	}).join();
	FINDING("wrong-context", "no context is current");
	OK(cuCtxDestroy_v2(b));
	FAILS(cuCtxSetCurrent(b), CUDA_ERROR_INVALID_HANDLE);
	FINDING("bad-handle", "destroyed");
	unsigned flags;
	int active;
	OK(cuDevicePrimaryCtxGetState(0, &flags, &active));
	SAME(active, 0);
	OK(cuDevicePrimaryCtxRetain(&c, 0));
	OK(cuDevicePrimaryCtxRetain(&b, 0));
	CHECK(b == c);
	OK(cuDevicePrimaryCtxRelease_v2(0));
	OK(cuDevicePrimaryCtxGetState(0, &flags, &active));
	SAME(active, 1);
	OK(cuDevicePrimaryCtxRelease_v2(0));
	OK(cuCtxDestroy_v2(a));
}

TEST(copies) {
	Gpu gpu;
	auto v = randoms(1000, 1);
	Memory a(v), b(4000);
	OK(cuMemcpyDtoD_v2(b.p, a.p, 4000));
	CHECK(b.floats() == v);
	OK(cuMemsetD32_v2(b.p + 40, 0x3F800000, 5));
	for (int i = 10; i < 15; i++) v[size_t(i)] = 1;
	CHECK(b.floats() == v);
	OK(cuMemsetD8_v2(b.p, 0, 8));
	OK(cuMemsetD16_v2(b.p + 8, 0x4000, 2)); // 0x40004000

	auto got = b.floats();
	CHECK(got[0] == 0 && got[1] == 0);
	uint32_t bits;
	memcpy(&bits, &got[2], 4);
	SAME(bits, 0x40004000);
	// The form that determines by itself whether an address is on the host or on the
	// device.
	float one = 0;
	OK(cuMemcpy(CUdeviceptr(&one), b.p + 40, 4));
	CHECK(one == 1);
}

TEST(streams) {
	configure("delay=2000");
	Gpu gpu;
	CUmodule m = module();
	CUfunction increment = function(m, "test_increment");
	CUstream s, other;
	CUevent e;
	OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	OK(cuStreamCreate(&other, CU_STREAM_NON_BLOCKING));
	OK(cuEventCreate(&e, CU_EVENT_DISABLE_TIMING));
	{
		Memory x(4);
		OK(cuMemsetD32Async(x.p, 0, 1, s));
		int n = 1, value = -1;
		for (int i = 0; i < 20; i++) launch(increment, 1, 32, {&x.p, &n}, s);
		FAILS(cuStreamQuery(s), CUDA_ERROR_NOT_READY);
		// The other stream continues only when the event is reached.
		OK(cuEventRecord(e, s));
		FAILS(cuEventQuery(e), CUDA_ERROR_NOT_READY);
		OK(cuStreamWaitEvent(other, e, 0));
		launch(increment, 1, 32, {&x.p, &n}, other);
		OK(cuStreamSynchronize(other));
		OK(cuEventQuery(e));
		OK(cuStreamQuery(s));
		OK(cuMemcpyDtoH_v2(&value, x.p, 4));
		SAME(value, 21);
		// The legacy stream waits for a blocking stream, and is waited for.
		CUstream blocking;
		OK(cuStreamCreate(&blocking, 0));
		launch(increment, 1, 32, {&x.p, &n}, blocking);
		launch(increment, 1, 32, {&x.p, &n}, nullptr);
		launch(increment, 1, 32, {&x.p, &n}, blocking);
		OK(cuStreamSynchronize(blocking));
		OK(cuMemcpyDtoH_v2(&value, x.p, 4));
		SAME(value, 24);
		OK(cuStreamDestroy_v2(blocking));
	}
	OK(cuEventDestroy_v2(e));
	OK(cuStreamDestroy_v2(s));
	OK(cuStreamDestroy_v2(other));
	OK(cuModuleUnload(m));
}

TEST(events) {
	configure("delay=20000");
	Gpu gpu;
	CUmodule m = module();
	CUfunction increment = function(m, "test_increment");
	CUevent a, b;
	float ms = -1;
	OK(cuEventCreate(&a, 0));
	OK(cuEventCreate(&b, 0));
	OK(cuEventQuery(a)); // never recorded: done
	FAILS(cuEventElapsedTime(&ms, a, b), CUDA_ERROR_INVALID_HANDLE);
	FINDING("bad-argument", "never recorded");
	{
		Memory x(4);
		OK(cuMemsetD32_v2(x.p, 0, 1));
		int n = 1;
		OK(cuEventRecord(a, nullptr));
		launch(increment, 1, 1, {&x.p, &n});
		OK(cuEventRecord(b, nullptr));
		FAILS(cuEventElapsedTime(&ms, a, b), CUDA_ERROR_NOT_READY);
		OK(cuEventSynchronize(b));
		OK(cuEventElapsedTime(&ms, a, b));
		CHECK(ms >= 19 && ms < 10000);
	}
	OK(cuEventDestroy_v2(a));
	OK(cuEventDestroy_v2(b));
}

TEST(kernels) {
	for (int order = 0; order < 2; order++) {
		configure("order=" + std::to_string(order));
		Gpu gpu;
		CUmodule m = module();
		auto v = randoms(1000, 2);
		Memory x(v), y(4000), z(4096), padded(randoms(1024, 3));
		float f = 3;
		int n = 1000;
		launch(function(m, "test_scale"), 4, 256, {&y.p, &x.p, &f, &n});
		std::vector<double> want(v.begin(), v.end());
		for (double &w : want) w *= 3;
		NEAR(y.floats(), want, 1e-7);
		launch(function(m, "test_reverse"), 4, 256, {&z.p, &padded.p});
		auto in = padded.floats(), out = z.floats();
		for (size_t i = 0; i < 1024; i++) CHECK(out[i] == in[i / 256 * 256 + 255 - i % 256]);
		int threads = 0, shared = 0;
		OK(cuFuncGetAttribute(&threads, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, function(m, "test_scale")));
		OK(cuFuncGetAttribute(&shared, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, function(m, "test_reverse")));
		SAME(threads, 512);
		SAME(shared, 1024);
		CUfunction none;
		FAILS(cuModuleGetFunction(&none, m, "test_absent"), CUDA_ERROR_NOT_FOUND);
		// Arguments packed in one buffer.
		struct {
			CUdeviceptr y, x;
			float f;
			int n;
		} packed = {y.p, x.p, 2, 1000};
		size_t size = sizeof packed;
		void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, &packed, CU_LAUNCH_PARAM_BUFFER_SIZE, &size, CU_LAUNCH_PARAM_END};
		OK(cuLaunchKernel(function(m, "test_scale"), 4, 1, 1, 256, 1, 1, 0, nullptr, nullptr, extra));
		for (double &w : want) w *= 2.0 / 3;
		NEAR(y.floats(), want, 1e-6);
	}
}

TEST(graphs) {
	Gpu gpu;
	CUmodule m = module();
	CUfunction scale = function(m, "test_scale");
	CUstream s, side;
	CUevent fork, join;
	OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	OK(cuStreamCreate(&side, CU_STREAM_NON_BLOCKING));
	OK(cuEventCreate(&fork, CU_EVENT_DISABLE_TIMING));
	OK(cuEventCreate(&join, CU_EVENT_DISABLE_TIMING));
	{
		auto v = randoms(100, 4);
		Memory x(v), y(400), z(400);
		float f = 2, g = 5;
		int n = 100;
		CUstreamCaptureStatus status;
		OK(cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
		launch(scale, 1, 128, {&y.p, &x.p, &f, &n}, s);
		// A second stream joins through an event, and is waited for.
		OK(cuEventRecord(fork, s));
		OK(cuStreamWaitEvent(side, fork, 0));
		launch(scale, 1, 128, {&z.p, &y.p, &g, &n}, side);
		OK(cuEventRecord(join, side));
		OK(cuStreamWaitEvent(s, join, 0));
		OK(cuMemcpyDtoDAsync_v2(x.p, z.p, 400, s));
		OK(cuStreamIsCapturing(s, &status));
		SAME(status, CU_STREAM_CAPTURE_STATUS_ACTIVE);
		CUgraph graph;
		OK(cuStreamEndCapture(s, &graph));
		OK(cuStreamIsCapturing(side, &status));
		SAME(status, CU_STREAM_CAPTURE_STATUS_NONE);
		size_t nodes = 0;
		OK(cuGraphGetNodes(graph, nullptr, &nodes));
		SAME(nodes, 3);
		// Nothing has run yet; arguments are those of the capture.
		CHECK(x.floats() == v);
		f = g = 100;
		CUgraphExec exec;
		OK(cuGraphInstantiateWithFlags(&exec, graph, 0));
		OK(cuGraphDestroy(graph));
		OK(cuGraphUpload(exec, s));
		for (int i = 0; i < 3; i++) OK(cuGraphLaunch(exec, s));
		OK(cuStreamSynchronize(s));
		std::vector<double> want(v.begin(), v.end());
		for (double &w : want) w *= 1000;
		NEAR(x.floats(), want, 1e-5);
		// It reads what the memory holds when it is launched.
		OK(cuMemcpyHtoD_v2(x.p, v.data(), 400));
		OK(cuGraphLaunch(exec, s));
		OK(cuStreamSynchronize(s));
		for (double &w : want) w /= 100;
		NEAR(x.floats(), want, 1e-5);
		OK(cuGraphExecDestroy(exec));
	}
	OK(cuEventDestroy_v2(fork));
	OK(cuEventDestroy_v2(join));
	OK(cuStreamDestroy_v2(s));
	OK(cuStreamDestroy_v2(side));
}

TEST(pinned) {
	Gpu gpu;
	CUstream s;
	OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	void *host;
	OK(cuMemHostAlloc(&host, 4096, 0));
	float *h = static_cast<float *>(host);
	{
		auto v = randoms(1024, 5);
		memcpy(h, v.data(), 4096);
		Memory x(4096);
		OK(cuMemcpyHtoDAsync_v2(x.p, h, 4096, s));
		OK(cuStreamSynchronize(s));
		for (int i = 0; i < 1024; i++) h[i] = 0; // again in stream order
		OK(cuMemcpyDtoHAsync_v2(h, x.p, 4096, s));
		OK(cuStreamSynchronize(s));
		CHECK(memcmp(h, v.data(), 4096) == 0);
		// Host memory that the driver does not know: the copy is done when the call
		// returns.
		std::vector<float> pageable(1024);
		OK(cuMemcpyDtoHAsync_v2(pageable.data(), x.p, 4096, s));
		CHECK(pageable == v);
		std::vector<float> registered(1024);
		OK(cuMemHostRegister_v2(registered.data(), 4096, 0));
		OK(cuMemcpyDtoHAsync_v2(registered.data(), x.p, 4096, s));
		OK(cuStreamSynchronize(s));
		CHECK(registered == v);
		OK(cuMemHostUnregister(registered.data()));
		// A kernel may use it in stream order, through the address that the program has.
		CUmodule m = module();
		Memory y(4096);
		float two = 2;
		int n = 1024;
		for (int i = 0; i < 1024; i++) h[i] = 0;
		OK(cuMemcpyDtoHAsync_v2(h, x.p, 4096, s));
		launch(function(m, "test_scale"), 4, 256, {&y.p, &host, &two, &n}, s);
		OK(cuStreamSynchronize(s));
		std::vector<double> want(v.begin(), v.end());
		for (double &w : want) w *= 2;
		NEAR(y.floats(), want, 1e-7);
		OK(cuModuleUnload(m));
	}
	OK(cuMemFreeHost(h));
	OK(cuStreamDestroy_v2(s));
}

TEST(ptx_versions) {
	configure("driver=12010;cc=75");
	Gpu gpu;
	CUmodule m;
	OK(cuModuleLoadData(&m, ".version 8.1\n.target sm_75\n"));
	FAILS(cuModuleLoadData(&m, ".version 8.2\n.target sm_75\n"), CUDA_ERROR_UNSUPPORTED_PTX_VERSION);
	FAILS(cuModuleLoadData(&m, ".version 8.1\n.target sm_80\n"), CUDA_ERROR_INVALID_PTX);
	FAILS(cuModuleLoadData(&m, "ELF"), CUDA_ERROR_INVALID_PTX);
	FINDING("kernel", "no PTX");
	char log[200] = "";
	CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
	void *values[] = {log, reinterpret_cast<void *>(sizeof log)};
	FAILS(cuModuleLoadDataEx(&m, ".version 8.7\n.target sm_75\n", 2, options, values), CUDA_ERROR_UNSUPPORTED_PTX_VERSION);
	CHECK(strstr(log, "8.7"));
}

// The files named in SELFTEST_PTX, separated by colons, load without a finding.
TEST(modules_of_the_project) {
	configure("driver=12010;cc=80");
	Gpu gpu;
	std::string all = getenv("SELFTEST_PTX") ? getenv("SELFTEST_PTX") : "";
	setenv("SELFTEST_DATA", "", 1);
	for (size_t from = 0; from < all.size();) {
		size_t to = std::min(all.find(':', from), all.size());
		module(all.substr(from, to - from).c_str());
		from = to + 1;
	}
}
