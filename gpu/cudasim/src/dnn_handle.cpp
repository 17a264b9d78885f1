// The software cuDNN: handles, versions, status codes.
#include "dnn.h"

#include <dlfcn.h>
#include <set>

namespace sim {

namespace {

Handles<Dnn> &handles() {
	static auto *h = new Handles<Dnn>;
	return *h;
}

std::string &lastError() {
	thread_local std::string s;
	return s;
}

const StatusCode *find(Status s) {
	for (size_t i = 0; i < dnnVersion.count; i++)
		if (dnnVersion.codes[i].status == s) return &dnnVersion.codes[i];
	return nullptr;
}

cudnnStatus_t faultCode(const Fault &f) {
	for (size_t i = 0; i < dnnVersion.count; i++) {
		const StatusCode &c = dnnVersion.codes[i];
		if (f.code == c.name || "CUDNN_STATUS_" + f.code == c.name) return c.number;
	}
	return f.number;
}

} // namespace

const std::string &lastDnnError() { return lastError(); }

cudnnStatus_t codeOf(Status s) {
	const StatusCode *c = find(s);
	return c ? c->number : find(Status::InternalError)->number;
}

cudnnStatus_t DnnCall::failed() {
	if (fault) {
		lastError() = "asked for by the test";
		return faultCode(*fault);
	}
	if (result == CUDA_SUCCESS) return 0;
	const char *name = errorName(result);
	lastError() = name ? name : "an error of the driver";
	switch (result) {
	case CUDA_ERROR_NOT_INITIALIZED:
	case CUDA_ERROR_INVALID_CONTEXT:
	case CUDA_ERROR_CONTEXT_IS_DESTROYED: return codeOf(Status::NotInitialized);
	case CUDA_ERROR_OUT_OF_MEMORY: return codeOf(Status::AllocFailed);
	default: return codeOf(Status::ExecutionFailed);
	}
}

cudnnStatus_t DnnCall::wrong(Status s, const char *kind, const std::string &what) {
	found(kind, name(), what);
	lastError() = name() + ": " + what;
	return codeOf(s);
}

cudnnStatus_t DnnCall::unsupported(const std::string &what) {
	lastError() = name() + ": " + what;
	return codeOf(Status::NotSupported);
}

bool DnnCall::handle(cudnnHandle_t h) {
	dnn = object(handles(), h, "cuDNN handle");
	if (!dnn) {
		status = codeOf(Status::BadParam);
	} else if (dnn->context != context.get()) {
		status = wrong(Status::BadParam, kind::context, "the handle belongs to another context");
		dnn = nullptr;
	}
	return dnn != nullptr;
}

// part loads one of the libraries that cuDNN is made of, as the real one does: by name, when it
// is needed.
bool DnnCall::part(const char *library) {
	static std::set<std::string> loaded;
	if (loaded.count(library)) return true;
	if (dlopen(library, RTLD_NOW | RTLD_LOCAL)) {
		loaded.insert(library);
		return true;
	}
	const char *why = dlerror();
	lastError() = why ? why : library;
	if (dnnVersion.aborts) {
		status = wrong(Status::InternalError, kind::abort, std::string("the real library ends the process here: ") + (why ? why : library));
	} else {
		status = codeOf(Status::SublibraryLoadingFailed);
	}
	return false;
}

} // namespace sim

using namespace sim;

size_t cudnnGetVersion(void) {
	static Function function(__func__);
	Call call(function, Nothing);
	int asked = engine().settings.cudnn;
	return asked ? size_t(asked) : dnnVersion.version;
}

size_t cudnnGetCudartVersion(void) { return dnnVersion.cudart; }

const char *cudnnGetErrorString(cudnnStatus_t status) {
	for (size_t i = 0; i < dnnVersion.count; i++)
		if (dnnVersion.codes[i].number == status) return dnnVersion.codes[i].name;
	return "CUDNN_UNKNOWN_STATUS";
}

cudnnStatus_t cudnnCreate(cudnnHandle_t *handle) {
	DNN_BEGIN(Current | Unsafe);
	if (!handle) return call.wrong(Status::BadParam, kind::argument, "handle is null");
	if (engine().settings.driver / 1000 < int(dnnVersion.cudart) / 1000) return codeOf(Status::NotInitialized);
	if (!call.part(dnnVersion.operations)) return call.status;
	static bool listed;
	if (!listed) {
		listed = true;
		engine().holders.push_back([](Context *c) {
			std::vector<std::string> all;
			for (auto &[h, d] : handles().live)
				if (d->context == c) all.push_back(text("cuDNN handle %p was not destroyed", h));
			return all;
		});
	}
	auto d = std::make_shared<Dnn>();
	d->context = call.context.get();
	*handle = cudnnHandle_t(handles().add(d));
	return 0;
}

cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
	DNN_BEGIN(Current | Anyhow);
	if (!call.object(handles(), handle, "cuDNN handle")) return codeOf(Status::BadParam);
	handles().remove(handle);
	return 0;
}

cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, CUstream streamId) {
	DNN_CALL(Current);
	if (!call.stream(streamId)) return codeOf(Status::BadParam);
	call.dnn->stream = streamId;
	return 0;
}

cudnnStatus_t cudnnGetStream(cudnnHandle_t handle, CUstream *streamId) {
	DNN_CALL(Current);
	*streamId = call.dnn->stream;
	return 0;
}
