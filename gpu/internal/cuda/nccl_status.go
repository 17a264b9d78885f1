package cuda

import "fmt"

// NCCL is the library of an Error of NCCL.
const NCCL = "NCCL"

// ncclStatusName returns the name of an ncclResult_t, or "".
func ncclStatusName(code int) string {
	names := []string{"ncclSuccess", "ncclUnhandledCudaError", "ncclSystemError", "ncclInternalError", "ncclInvalidArgument",
		"ncclInvalidUsage", "ncclRemoteError", "ncclInProgress", "ncclTimeout"}
	if code < 0 || code >= len(names) {
		return ""
	}
	return names[code]
}

// RemoteError reports whether NCCL has lost the connection to another rank.
func (e *Error) RemoteError() bool { return e.Name == "ncclRemoteError" || e.Name == "ncclSystemError" }

// ncclVersion formats NCCL's version number: 21805 is "2.18.5", and 0 is "".
func ncclVersion(v int) string {
	if v <= 0 {
		return ""
	}
	return fmt.Sprintf("%d.%d.%d", v/10000, v%10000/100, v%100)
}
