// cuDNN 9.1.0, and the functions that are new in it.
#include "dnn_status.h"

#include <cstdio>

namespace sim {

static const StatusCode codes[] = {
	{Status::Success, 0, "CUDNN_STATUS_SUCCESS"},
	{Status::NotInitialized, 1001, "CUDNN_STATUS_NOT_INITIALIZED"},
	{Status::VersionMismatch, 1002, "CUDNN_STATUS_SUBLIBRARY_VERSION_MISMATCH"},
	{Status::LicenseError, 1005, "CUDNN_STATUS_LICENSE_ERROR"},
	{Status::RuntimeInProgress, 1006, "CUDNN_STATUS_RUNTIME_IN_PROGRESS"},
	{Status::RuntimeFpOverflow, 1007, "CUDNN_STATUS_RUNTIME_FP_OVERFLOW"},
	{Status::SublibraryLoadingFailed, 1008, "CUDNN_STATUS_SUBLIBRARY_LOADING_FAILED"},
	{Status::BadParam, 2000, "CUDNN_STATUS_BAD_PARAM"},
	{Status::InvalidValue, 2001, "CUDNN_STATUS_INVALID_VALUE"},
	{Status::NotSupported, 3000, "CUDNN_STATUS_NOT_SUPPORTED"},
	{Status::ArchMismatch, 3007, "CUDNN_STATUS_NOT_SUPPORTED_ARCH_MISMATCH"},
	{Status::RuntimePrerequisiteMissing, 3008, "CUDNN_STATUS_NOT_SUPPORTED_RUNTIME_PREREQUISITE_MISSING"},
	{Status::InternalError, 4000, "CUDNN_STATUS_INTERNAL_ERROR"},
	{Status::AllocFailed, 4003, "CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED"},
	{Status::MappingError, 4006, "CUDNN_STATUS_INTERNAL_ERROR_TEXTURE_CREATION_FAILED"},
	{Status::ExecutionFailed, 5000, "CUDNN_STATUS_EXECUTION_FAILED"},
};

const DnnVersion dnnVersion = {90100, 12030, codes, sizeof codes / sizeof codes[0], "libcudnn_ops.so.9", "libcudnn_cnn.so.9",
	"libcudnn_cnn.so.9", false};

} // namespace sim

void cudnnGetLastErrorString(char *message, size_t max_size) {
	if (message && max_size) snprintf(message, max_size, "%s", sim::lastDnnError().c_str());
}
