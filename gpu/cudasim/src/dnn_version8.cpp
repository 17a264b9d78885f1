// cuDNN 8.9.5.
#include "dnn_status.h"

namespace sim {

static const StatusCode codes[] = {
	{Status::Success, 0, "CUDNN_STATUS_SUCCESS"},
	{Status::NotInitialized, 1, "CUDNN_STATUS_NOT_INITIALIZED"},
	{Status::AllocFailed, 2, "CUDNN_STATUS_ALLOC_FAILED"},
	{Status::BadParam, 3, "CUDNN_STATUS_BAD_PARAM"},
	{Status::InternalError, 4, "CUDNN_STATUS_INTERNAL_ERROR"},
	{Status::InvalidValue, 5, "CUDNN_STATUS_INVALID_VALUE"},
	{Status::ArchMismatch, 6, "CUDNN_STATUS_ARCH_MISMATCH"},
	{Status::MappingError, 7, "CUDNN_STATUS_MAPPING_ERROR"},
	{Status::ExecutionFailed, 8, "CUDNN_STATUS_EXECUTION_FAILED"},
	{Status::NotSupported, 9, "CUDNN_STATUS_NOT_SUPPORTED"},
	{Status::LicenseError, 10, "CUDNN_STATUS_LICENSE_ERROR"},
	{Status::RuntimePrerequisiteMissing, 11, "CUDNN_STATUS_RUNTIME_PREREQUISITE_MISSING"},
	{Status::RuntimeInProgress, 12, "CUDNN_STATUS_RUNTIME_IN_PROGRESS"},
	{Status::RuntimeFpOverflow, 13, "CUDNN_STATUS_RUNTIME_FP_OVERFLOW"},
	{Status::VersionMismatch, 14, "CUDNN_STATUS_VERSION_MISMATCH"},
};

const DnnVersion dnnVersion = {8905, 12010, codes, sizeof codes / sizeof codes[0], "libcudnn_ops_infer.so.8", "libcudnn_cnn_infer.so.8",
	"libcudnn_cnn_train.so.8", true};

} // namespace sim
