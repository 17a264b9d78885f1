//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import "trainer/gpu/internal/cuda"

// Count returns the number of GPUs that the driver lists.
func Count() (int, error) { return cuda.DeviceCount() }
