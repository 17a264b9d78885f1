// dnn_status.h: the differences between cuDNN 8 and 9. Each build of the library links one
// of dnn_version8.cpp and dnn_version9.cpp.
#pragma once
#include "include/cudnn.h"

#include <string>

namespace sim {

// Status is a status code without its number.
enum class Status {
	Success, NotInitialized, AllocFailed, BadParam, InternalError, InvalidValue, ArchMismatch, MappingError, ExecutionFailed,
	NotSupported, LicenseError, RuntimePrerequisiteMissing, RuntimeInProgress, RuntimeFpOverflow, VersionMismatch,
	SublibraryLoadingFailed, // of cuDNN 9 only
};

struct StatusCode {
	Status status;
	int number;
	const char *name;
};

struct DnnVersion {
	size_t version, cudart;
	const StatusCode *codes;
	size_t count;
	// The parts that a call needs, which the library loads by name at the first such call.
	const char *operations, *forward, *backward;
	bool aborts; // the library aborts the process if a part is missing
};

extern const DnnVersion dnnVersion;

const std::string &lastDnnError(); // of this thread, in words

} // namespace sim
