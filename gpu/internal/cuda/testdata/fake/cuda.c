// A libcuda for tests: device memory is host memory, streams run at once, a module is its text,
// and there is one kernel, whose arguments it writes where the first one points.
#include <cuda.h>
#include <stdlib.h>
#include <string.h>

enum { devices = 2, memory = 1 << 20 };

static size_t used;
static CUstreamCaptureStatus capturing;

CUresult cuInit(unsigned int flags) {
	(void)flags;
	return getenv("FAKE_CUINIT") ? (CUresult)atoi(getenv("FAKE_CUINIT")) : CUDA_SUCCESS;
}
CUresult cuDriverGetVersion(int *version) {
	*version = getenv("FAKE_DRIVER") ? atoi(getenv("FAKE_DRIVER")) : 12040;
	return CUDA_SUCCESS;
}
CUresult cuDeviceGetCount(int *count) { return *count = devices, CUDA_SUCCESS; }
CUresult cuDeviceGet(CUdevice *device, int ordinal) { return *device = ordinal, CUDA_SUCCESS; }
CUresult cuDeviceGetName(char *name, int size, CUdevice device) {
	(void)device;
	return strncpy(name, "software emulation", size), CUDA_SUCCESS;
}
CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice device) { return (void)device, *bytes = memory, CUDA_SUCCESS; }
CUresult cuDeviceGetUuid(CUuuid *id, CUdevice device) { return memset(id, device + 1, sizeof *id), CUDA_SUCCESS; }
CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device) {
	(void)device;
	return *value = (int)attribute, CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
	return *context = (CUcontext)(uintptr_t)(device + 1), device == 1 ? CUDA_ERROR_DEVICE_UNAVAILABLE : CUDA_SUCCESS;
}
CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) { return (void)device, CUDA_SUCCESS; }
CUresult cuCtxSetCurrent(CUcontext context) { return (void)context, CUDA_SUCCESS; }
CUresult cuCtxSynchronize(void) { return CUDA_ERROR_ILLEGAL_ADDRESS; }

CUresult cuMemGetInfo_v2(size_t *free, size_t *total) { return *free = memory - used, *total = memory, CUDA_SUCCESS; }
CUresult cuMemAlloc_v2(CUdeviceptr *p, size_t size) {
	if (size == 0)
		return CUDA_ERROR_INVALID_VALUE;
	if (used + size > memory)
		return CUDA_ERROR_OUT_OF_MEMORY;
	used += size;
	return *p = (CUdeviceptr)(uintptr_t)calloc(1, size), CUDA_SUCCESS;
}
CUresult cuMemFree_v2(CUdeviceptr p) { return free((void *)(uintptr_t)p), CUDA_SUCCESS; }
CUresult cuMemHostAlloc(void **p, size_t size, unsigned int flags) {
	(void)flags;
	if (size > memory)
		return CUDA_ERROR_OUT_OF_MEMORY;
	return *p = calloc(1, size), CUDA_SUCCESS;
}
CUresult cuMemFreeHost(void *p) { return free(p), CUDA_SUCCESS; }

static CUresult copy(CUdeviceptr dst, CUdeviceptr src, size_t size) {
	return memcpy((void *)(uintptr_t)dst, (void *)(uintptr_t)src, size), CUDA_SUCCESS;
}
CUresult cuMemcpyHtoD_v2(CUdeviceptr dst, const void *src, size_t n) { return copy(dst, (uintptr_t)src, n); }
CUresult cuMemcpyDtoH_v2(void *dst, CUdeviceptr src, size_t n) { return copy((uintptr_t)dst, src, n); }
CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr dst, const void *src, size_t n, CUstream s) {
	return (void)s, copy(dst, (uintptr_t)src, n);
}
CUresult cuMemcpyDtoHAsync_v2(void *dst, CUdeviceptr src, size_t n, CUstream s) {
	return (void)s, copy((uintptr_t)dst, src, n);
}
CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr dst, CUdeviceptr src, size_t n, CUstream s) { return (void)s, copy(dst, src, n); }
CUresult cuMemsetD8Async(CUdeviceptr p, unsigned char value, size_t n, CUstream s) {
	return (void)s, memset((void *)(uintptr_t)p, value, n), CUDA_SUCCESS;
}
CUresult cuMemsetD32Async(CUdeviceptr p, unsigned int value, size_t n, CUstream s) {
	(void)s;
	for (size_t i = 0; i < n; i++)
		((unsigned int *)(uintptr_t)p)[i] = value;
	return CUDA_SUCCESS;
}

CUresult cuStreamCreate(CUstream *s, unsigned int flags) {
	return *s = (CUstream)(uintptr_t)(0x5000 + flags), CUDA_SUCCESS;
}
CUresult cuStreamDestroy_v2(CUstream s) { return (void)s, CUDA_SUCCESS; }
CUresult cuStreamSynchronize(CUstream s) { return (void)s, CUDA_SUCCESS; }
CUresult cuStreamWaitEvent(CUstream s, CUevent e, unsigned int flags) { return (void)s, (void)e, (void)flags, CUDA_SUCCESS; }
CUresult cuEventCreate(CUevent *e, unsigned int flags) { return *e = (CUevent)(uintptr_t)(0x6000 + flags), CUDA_SUCCESS; }
CUresult cuEventDestroy_v2(CUevent e) { return (void)e, CUDA_SUCCESS; }
CUresult cuEventRecord(CUevent e, CUstream s) { return (void)e, (void)s, CUDA_SUCCESS; }
CUresult cuEventQuery(CUevent e) {
	return (uintptr_t)e & CU_EVENT_DISABLE_TIMING ? CUDA_ERROR_NOT_READY : CUDA_SUCCESS;
}
CUresult cuEventSynchronize(CUevent e) { return (void)e, CUDA_SUCCESS; }
CUresult cuEventElapsedTime(float *ms, CUevent a, CUevent b) { return (void)a, (void)b, *ms = 1.5f, CUDA_SUCCESS; }

CUresult cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned int n, CUjit_option *options, void **values) {
	int bad = strstr(image, "syntax error") != NULL;
	for (unsigned int i = 0; i < n; i++) {
		if (options[i] == CU_JIT_ERROR_LOG_BUFFER && bad)
			strcpy(values[i], "ptxas fatal: line 1: syntax error\n");
		if (options[i] == CU_JIT_INFO_LOG_BUFFER)
			strcpy(values[i], "info: 1 kernel\n");
	}
	return *module = (CUmodule)image, bad ? CUDA_ERROR_INVALID_PTX : CUDA_SUCCESS;
}
CUresult cuModuleUnload(CUmodule module) { return (void)module, CUDA_SUCCESS; }
CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name) {
	(void)module;
	return *function = (CUfunction)0x7000, strcmp(name, "arguments") ? CUDA_ERROR_NOT_FOUND : CUDA_SUCCESS;
}
CUresult cuFuncGetAttribute(int *value, CUfunction_attribute attribute, CUfunction function) {
	(void)function;
	return *value = attribute == CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK ? 1024 : -1, CUDA_SUCCESS;
}
CUresult cuFuncSetAttribute(CUfunction function, CUfunction_attribute attribute, int value) {
	(void)function, (void)attribute;
	return value > 232448 ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

// What the kernel arguments(out, ...) gets: see TestLaunch.
struct arguments {
	int a;
	unsigned int b;
	long long c;
	unsigned long long d;
	float e;
	double f;
	struct { char text[11]; } g;
	unsigned int launch[8]; // grid, block, bytes of shared memory, whether there is a stream
};

CUresult cuLaunchKernel(CUfunction function, unsigned int gx, unsigned int gy, unsigned int gz, unsigned int bx,
	unsigned int by, unsigned int bz, unsigned int shared, CUstream s, void **p, void **extra) {
	if ((uintptr_t)function != 0x7000 || extra)
		return CUDA_ERROR_INVALID_HANDLE;
	if (bx > 1024)
		return CUDA_ERROR_INVALID_VALUE;
	struct arguments *out = *(void **)p[0];
	memcpy(&out->a, p[1], sizeof out->a);
	memcpy(&out->b, p[2], sizeof out->b);
	memcpy(&out->c, p[3], sizeof out->c);
	memcpy(&out->d, p[4], sizeof out->d);
	memcpy(&out->e, p[5], sizeof out->e);
	memcpy(&out->f, p[6], sizeof out->f);
	memcpy(&out->g, p[7], sizeof out->g);
	unsigned int launch[] = {gx, gy, gz, bx, by, bz, shared, s != NULL};
	memcpy(out->launch, launch, sizeof launch);
	return CUDA_SUCCESS;
}

CUresult cuStreamBeginCapture_v2(CUstream s, CUstreamCaptureMode mode) {
	(void)s;
	if (capturing || mode != CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)
		return CUDA_ERROR_ILLEGAL_STATE;
	return capturing = CU_STREAM_CAPTURE_STATUS_ACTIVE, CUDA_SUCCESS;
}
CUresult cuStreamIsCapturing(CUstream s, CUstreamCaptureStatus *status) { return (void)s, *status = capturing, CUDA_SUCCESS; }
CUresult cuStreamEndCapture(CUstream s, CUgraph *graph) {
	(void)s;
	if (!capturing)
		return CUDA_ERROR_ILLEGAL_STATE;
	capturing = CU_STREAM_CAPTURE_STATUS_NONE;
	return *graph = (CUgraph)0x8000, CUDA_SUCCESS;
}
CUresult cuGraphInstantiateWithFlags(CUgraphExec *exec, CUgraph graph, unsigned long long flags) {
	(void)flags;
	return *exec = (CUgraphExec)graph, CUDA_SUCCESS;
}
CUresult cuGraphDestroy(CUgraph graph) { return (uintptr_t)graph == 0x8000 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE; }
CUresult cuGraphUpload(CUgraphExec exec, CUstream s) { return (void)exec, (void)s, CUDA_SUCCESS; }
CUresult cuGraphLaunch(CUgraphExec exec, CUstream s) {
	(void)exec;
	return s ? CUDA_SUCCESS : CUDA_ERROR_LAUNCH_FAILED; // so that a test can have a failure
}
CUresult cuGraphExecDestroy(CUgraphExec exec) { return (uintptr_t)exec == 0x8000 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE; }
