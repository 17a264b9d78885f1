// The driver: start, devices, contexts, names of errors.
#include "sim.h"

#include <cstring>

using namespace sim;

namespace {

const char deviceName[] = "software emulation";

Device *deviceNumber(Call &call, CUdevice d) {
	Engine &e = engine();
	if (d >= 0 && size_t(d) < e.devices.size()) return &e.devices[size_t(d)];
	call.result = CUDA_ERROR_INVALID_DEVICE; // the user's choice, not a finding
	return nullptr;
}

Ref<Context> contextOf(Call &call, CUcontext h) { return call.object(engine().contexts, h, "context"); }

int attribute(CUdevice_attribute a, const Device &d, const Settings &s) {
	if (auto asked = s.attributes.find(a); asked != s.attributes.end()) return asked->second;
	switch (a) {
	case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
	case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X:
	case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y: return 1024;
	case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z: return 64;
	case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X: return 0x7FFFFFFF;
	case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y:
	case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z: return 65535;
	case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK: return 48 << 10;
	case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN:
	case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR: return 64 << 10;
	case CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY: return 64 << 10;
	case CU_DEVICE_ATTRIBUTE_WARP_SIZE: return 32;
	case CU_DEVICE_ATTRIBUTE_MAX_PITCH: return 0x7FFFFFFF;
	case CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK:
	case CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR: return 65536;
	case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: return 4;
	case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR: return 1024;
	case CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR: return 16;
	case CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE: return 1 << 20;
	case CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT: return 1;
	case CU_DEVICE_ATTRIBUTE_COMPUTE_MODE: return d.busy() ? CU_COMPUTEMODE_EXCLUSIVE_PROCESS : CU_COMPUTEMODE_DEFAULT;
	case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: return s.cc / 10;
	case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: return s.cc % 10;
	case CU_DEVICE_ATTRIBUTE_PCI_BUS_ID: return d.index + 1;
	case CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING:
	case CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS:
	case CU_DEVICE_ATTRIBUTE_GPU_OVERLAP:
	case CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY:
	case CU_DEVICE_ATTRIBUTE_STREAM_PRIORITIES_SUPPORTED:
	case CU_DEVICE_ATTRIBUTE_HOST_REGISTER_SUPPORTED: return 1;
	default: return 0; // also for clock rates, which the emulation does not have
	}
}

} // namespace

CUresult cuInit(unsigned flags) {
	CALL(Nothing);
	if (flags != 0) return call.wrong(CUDA_ERROR_INVALID_VALUE, kind::argument, "Flags must be 0");
	Engine &e = engine();
	if (e.settings.devices == 0) return CUDA_ERROR_NO_DEVICE;
	if (e.initialised) return CUDA_SUCCESS;
	for (int i = 0; i < e.settings.devices; i++) {
		e.devices.emplace_back();
		e.devices.back().index = i;
	}
	e.initialised = true;
	return CUDA_SUCCESS;
}

CUresult cuDriverGetVersion(int *version) {
	CALL(Nothing);
	NOT_NULL(version);
	*version = engine().settings.driver;
	return CUDA_SUCCESS;
}

CUresult cuDeviceGetCount(int *count) {
	CALL(Initialised);
	NOT_NULL(count);
	*count = int(engine().devices.size());
	return CUDA_SUCCESS;
}

CUresult cuDeviceGet(CUdevice *device, int ordinal) {
	CALL(Initialised);
	NOT_NULL(device);
	if (!deviceNumber(call, ordinal)) return call.result;
	*device = ordinal;
	return CUDA_SUCCESS;
}

CUresult cuDeviceGetName(char *name, int len, CUdevice dev) {
	CALL(Initialised);
	NOT_NULL(name);
	if (!deviceNumber(call, dev)) return call.result;
	if (len < 1) return call.wrong(CUDA_ERROR_INVALID_VALUE, kind::argument, text("len is %d", len));
	snprintf(name, size_t(len), "%s", deviceName);
	return CUDA_SUCCESS;
}

CUresult cuDeviceGetUuid(CUuuid *uuid, CUdevice dev) {
	CALL(Initialised);
	NOT_NULL(uuid);
	if (!deviceNumber(call, dev)) return call.result;
	memcpy(uuid->bytes, "software emul.", 14);
	uuid->bytes[14] = 0;
	uuid->bytes[15] = char(dev);
	return CUDA_SUCCESS;
}

CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice dev) {
	CALL(Initialised);
	NOT_NULL(bytes);
	if (!deviceNumber(call, dev)) return call.result;
	*bytes = engine().settings.memory;
	return CUDA_SUCCESS;
}

CUresult cuDeviceGetAttribute(int *pi, CUdevice_attribute attrib, CUdevice dev) {
	CALL(Initialised);
	NOT_NULL(pi);
	Device *d = deviceNumber(call, dev);
	if (!d) return call.result;
	*pi = attribute(attrib, *d, engine().settings);
	return CUDA_SUCCESS;
}

CUresult cuDeviceComputeCapability(int *major, int *minor, CUdevice dev) {
	CALL(Initialised);
	NOT_NULL(major);
	NOT_NULL(minor);
	if (!deviceNumber(call, dev)) return call.result;
	*major = engine().settings.cc / 10;
	*minor = engine().settings.cc % 10;
	return CUDA_SUCCESS;
}

CUresult cuGetErrorName(CUresult error, const char **pStr) {
	*pStr = errorName(error);
	return *pStr ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGetErrorString(CUresult error, const char **pStr) {
	*pStr = errorText(error);
	return *pStr ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

// ---- Contexts ----------------------------------------------------------------------

CUresult cuDevicePrimaryCtxRetain(CUcontext *pctx, CUdevice dev) {
	CALL(Initialised);
	NOT_NULL(pctx);
	Device *d = deviceNumber(call, dev);
	if (!d) return call.result;
	if (!d->primary) {
		d->primary = newContext(call, *d, true);
		if (!d->primary) return call.result;
		d->primary->flags = d->primaryFlags;
	}
	d->retained++;
	*pctx = d->primary->handle;
	return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice dev) {
	CALL(Initialised);
	Device *d = deviceNumber(call, dev);
	if (!d) return call.result;
	if (d->retained == 0) return call.wrong(CUDA_ERROR_INVALID_CONTEXT, kind::context, "the primary context is not retained");
	if (--d->retained == 0) {
		destroyContext(call, d->primary);
		d->primary = nullptr;
	}
	return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxReset_v2(CUdevice dev) {
	CALL(Initialised);
	Device *d = deviceNumber(call, dev);
	if (!d) return call.result;
	if (d->primary) destroyContext(call, d->primary);
	d->primary = nullptr;
	d->retained = 0;
	return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxGetState(CUdevice dev, unsigned *flags, int *active) {
	CALL(Initialised);
	NOT_NULL(flags);
	NOT_NULL(active);
	Device *d = deviceNumber(call, dev);
	if (!d) return call.result;
	*flags = d->primaryFlags;
	*active = d->primary != nullptr;
	return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice dev, unsigned flags) {
	CALL(Initialised);
	Device *d = deviceNumber(call, dev);
	if (!d) return call.result;
	d->primaryFlags = flags;
	return CUDA_SUCCESS;
}

CUresult cuCtxCreate_v2(CUcontext *pctx, unsigned flags, CUdevice dev) {
	CALL(Initialised);
	NOT_NULL(pctx);
	Device *d = deviceNumber(call, dev);
	if (!d) return call.result;
	Ref<Context> c = newContext(call, *d, false);
	if (!c) return call.result;
	c->flags = flags;
	contextStack().push_back(c);
	*pctx = c->handle;
	return CUDA_SUCCESS;
}

CUresult cuCtxDestroy_v2(CUcontext ctx) {
	CALL(Initialised);
	Ref<Context> c = contextOf(call, ctx);
	if (!c) return call.result;
	if (c->primary) return call.wrong(CUDA_ERROR_INVALID_CONTEXT, kind::context, "a primary context is released, not destroyed");
	destroyContext(call, c);
	if (currentContext() == c) contextStack().pop_back();
	return CUDA_SUCCESS;
}

CUresult cuCtxPushCurrent_v2(CUcontext ctx) {
	CALL(Initialised);
	Ref<Context> c = contextOf(call, ctx);
	if (!c) return call.result;
	contextStack().push_back(c);
	return CUDA_SUCCESS;
}

CUresult cuCtxPopCurrent_v2(CUcontext *pctx) {
	CALL(Initialised);
	if (contextStack().empty()) return call.wrong(CUDA_ERROR_INVALID_CONTEXT, kind::context, "no context is current on this thread");
	if (pctx) *pctx = contextStack().back()->handle;
	contextStack().pop_back();
	return CUDA_SUCCESS;
}

CUresult cuCtxSetCurrent(CUcontext ctx) {
	CALL(Initialised);
	auto &stack = contextStack();
	Ref<Context> c;
	if (ctx && !(c = contextOf(call, ctx))) return call.result;
	if (!stack.empty()) stack.pop_back();
	if (c) stack.push_back(c);
	return CUDA_SUCCESS;
}

CUresult cuCtxGetCurrent(CUcontext *pctx) {
	CALL(Initialised);
	NOT_NULL(pctx);
	*pctx = call.context ? call.context->handle : nullptr;
	return CUDA_SUCCESS;
}

CUresult cuCtxGetDevice(CUdevice *device) {
	CALL(Current | Anyhow);
	NOT_NULL(device);
	*device = call.context->device->index;
	return CUDA_SUCCESS;
}

CUresult cuCtxGetFlags(unsigned *flags) {
	CALL(Current | Anyhow);
	NOT_NULL(flags);
	*flags = call.context->flags;
	return CUDA_SUCCESS;
}

CUresult cuCtxGetApiVersion(CUcontext ctx, unsigned *version) {
	CALL(Initialised);
	NOT_NULL(version);
	if (ctx && !contextOf(call, ctx)) return call.result;
	*version = 3020;
	return CUDA_SUCCESS;
}

CUresult cuCtxGetStreamPriorityRange(int *least, int *greatest) {
	CALL(Current);
	if (least) *least = 0;
	if (greatest) *greatest = -5;
	return CUDA_SUCCESS;
}

CUresult cuCtxGetLimit(size_t *value, CUlimit limit) {
	CALL(Current);
	NOT_NULL(value);
	if (limit == CU_LIMIT_STACK_SIZE) return *value = 1024, CUDA_SUCCESS;
	if (limit == CU_LIMIT_MALLOC_HEAP_SIZE) return *value = 8 << 20, CUDA_SUCCESS;
	return CUDA_ERROR_UNSUPPORTED_LIMIT;
}

CUresult cuCtxSetLimit(CUlimit limit, size_t) {
	CALL(Current);
	return limit == CU_LIMIT_STACK_SIZE || limit == CU_LIMIT_MALLOC_HEAP_SIZE ? CUDA_SUCCESS : CUDA_ERROR_UNSUPPORTED_LIMIT;
}

CUresult cuCtxSetCacheConfig(CUfunc_cache) {
	CALL(Current);
	return CUDA_SUCCESS;
}

CUresult cuCtxSetSharedMemConfig(CUsharedconfig) {
	CALL(Current);
	return CUDA_SUCCESS;
}

CUresult cuCtxSynchronize(void) {
	CALL(Current | Unsafe);
	Ref<Context> c = call.context;
	for (size_t i = 0; i < c->streams.size(); i++) synchronise(call, c->streams[i]);
	return c->error;
}
