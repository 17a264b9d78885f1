// The driver: modules, functions, launches.
#include "kernels.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

using namespace sim;

namespace {

CUresult load(Call &call, CUmodule *out, const void *image) {
	Ref<Module> m = loadModule(call, image);
	if (!m) return call.result;
	*out = m->handle;
	return CUDA_SUCCESS;
}

Ref<Kernel> kernelOf(Call &call, CUfunction h) { return call.object(engine().functions, h, "function"); }

// writeLog writes a line to one of the logs that the caller passed to cuModuleLoadDataEx: the error log if the module
// does not load, otherwise the info log.
void writeLog(CUresult r, const char *image, unsigned n, CUjit_option *options, void **values) {
	CUjit_option log = r == CUDA_SUCCESS ? CU_JIT_INFO_LOG_BUFFER : CU_JIT_ERROR_LOG_BUFFER;
	CUjit_option bytes = r == CUDA_SUCCESS ? CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES : CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES;
	char *buffer = nullptr;
	size_t size = 0;
	for (unsigned i = 0; i < n; i++) {
		if (options[i] == log) buffer = static_cast<char *>(values[i]);
		if (options[i] == bytes) size = reinterpret_cast<size_t>(values[i]);
	}
	const char *version = strstr(image, ".version");
	int length = version ? int(strcspn(version, "\n;")) : 0;
	const char *what = r == CUDA_SUCCESS ? "loaded" : errorText(r);
	if (buffer && size) snprintf(buffer, size, "software emulation: %s (the module says %.*s)\n", what, length, version ? version : "");
}

} // namespace

CUresult cuModuleLoad(CUmodule *module, const char *fname) {
	CALL(Current | Unsafe);
	NOT_NULL(module);
	NOT_NULL(fname);
	FILE *f = fopen(fname, "rb");
	if (!f) return CUDA_ERROR_FILE_NOT_FOUND;
	std::string source;
	char buffer[1 << 16];
	for (size_t n; (n = fread(buffer, 1, sizeof buffer, f)) > 0;) source.append(buffer, n);
	fclose(f);
	return load(call, module, source.c_str());
}

CUresult cuModuleLoadData(CUmodule *module, const void *image) {
	CALL(Current | Unsafe);
	NOT_NULL(module);
	NOT_NULL(image);
	return load(call, module, image);
}

CUresult cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned n, CUjit_option *options, void **values) {
	CALL(Current | Unsafe);
	NOT_NULL(module);
	NOT_NULL(image);
	CUresult r = load(call, module, image);
	writeLog(r, static_cast<const char *>(image), n, options, values);
	return r;
}

CUresult cuModuleUnload(CUmodule h) {
	CALL(Current | Unsafe | Anyhow);
	Ref<Module> m = call.object(engine().modules, h, "module");
	if (!m) return call.result;
	for (auto &[name, k] : m->kernels) engine().functions.remove(k->handle);
	engine().modules.remove(h);
	return CUDA_SUCCESS;
}

CUresult cuModuleGetFunction(CUfunction *hfunc, CUmodule hmod, const char *name) {
	CALL(Current);
	NOT_NULL(hfunc);
	NOT_NULL(name);
	Ref<Module> m = call.object(engine().modules, hmod, "module");
	if (!m) return call.result;
	auto k = m->kernels.find(name);
	if (k == m->kernels.end()) return CUDA_ERROR_NOT_FOUND;
	*hfunc = k->second->handle;
	return CUDA_SUCCESS;
}

// Variables of a module are not emulated: the program's kernels get all they need as
// parameters.
CUresult cuModuleGetGlobal_v2(CUdeviceptr *, size_t *, CUmodule hmod, const char *name) {
	CALL(Current);
	NOT_NULL(name);
	if (!call.object(engine().modules, hmod, "module")) return call.result;
	return CUDA_ERROR_NOT_FOUND;
}

CUresult cuFuncGetAttribute(int *pi, CUfunction_attribute attrib, CUfunction hfunc) {
	CALL(Current);
	NOT_NULL(pi);
	Ref<Kernel> k = kernelOf(call, hfunc);
	if (!k) return call.result;
	switch (attrib) {
	case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK: *pi = int(k->entry.maxThreads); break;
	case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES: *pi = int(k->entry.sharedBytes); break;
	case CU_FUNC_ATTRIBUTE_NUM_REGS: *pi = 32; break;
	case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES: *pi = int(k->maxDynamic); break;
	default: *pi = 0;
	}
	return CUDA_SUCCESS;
}

CUresult cuFuncSetAttribute(CUfunction hfunc, CUfunction_attribute attrib, int value) {
	CALL(Current);
	Ref<Kernel> k = kernelOf(call, hfunc);
	if (!k) return call.result;
	if (attrib == CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT) return CUDA_SUCCESS;
	bool fits = value >= 0 && unsigned(value) + k->entry.sharedBytes <= 64u << 10;
	if (attrib != CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES || !fits)
		return call.wrong(CUDA_ERROR_INVALID_VALUE, kind::argument, text("attribute %d cannot be set to %d", int(attrib), value));
	k->maxDynamic = unsigned(value);
	k->optedIn = true;
	return CUDA_SUCCESS;
}

CUresult cuFuncSetCacheConfig(CUfunction hfunc, CUfunc_cache) {
	CALL(Current);
	return kernelOf(call, hfunc) ? CUDA_SUCCESS : call.result;
}

CUresult cuFuncSetSharedMemConfig(CUfunction hfunc, CUsharedconfig) {
	CALL(Current);
	return kernelOf(call, hfunc) ? CUDA_SUCCESS : call.result;
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int *numBlocks, CUfunction func, int blockSize, size_t dynamic) {
	CALL(Current);
	NOT_NULL(numBlocks);
	Ref<Kernel> k = kernelOf(call, func);
	if (!k) return call.result;
	if (blockSize < 1) return call.wrong(CUDA_ERROR_INVALID_VALUE, kind::argument, text("blockSize is %d", blockSize));
	size_t shared = std::max<size_t>(1, dynamic + k->entry.sharedBytes);
	*numBlocks = unsigned(blockSize) > k->entry.maxThreads ? 0 : int(std::min<size_t>({16, 1024 / size_t(blockSize), (64 << 10) / shared}));
	return CUDA_SUCCESS;
}

CUresult cuOccupancyMaxPotentialBlockSize(int *minGridSize, int *blockSize, CUfunction func, CUoccupancyB2DSize, size_t, int limit) {
	CALL(Current);
	NOT_NULL(minGridSize);
	NOT_NULL(blockSize);
	Ref<Kernel> k = kernelOf(call, func);
	if (!k) return call.result;
	int most = int(std::min(256u, k->entry.maxThreads));
	*blockSize = limit > 0 ? std::min(limit, most) : most;
	*minGridSize = 4 * std::max(1, 1024 / *blockSize);
	return CUDA_SUCCESS;
}

CUresult cuLaunchKernel(CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared,
	CUstream hStream, void **kernelParams, void **extra) {
	CALL(Current | Queues);
	ARGUMENTS(gx, gy, gz, bx, by, bz, shared, hStream);
	Ref<Kernel> k = kernelOf(call, f);
	Ref<Stream> s = k ? call.stream(hStream) : nullptr;
	if (!s) return call.result;
	if (k->context != call.context.get())
		return call.wrong(CUDA_ERROR_INVALID_HANDLE, kind::context, k->entry.name + " was loaded in another context");
	return launch(call, k, {gx, gy, gz, bx, by, bz, shared}, s, kernelParams, extra);
}
