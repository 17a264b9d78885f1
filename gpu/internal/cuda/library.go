package cuda

import (
	"fmt"
	"strings"

	"trainer/nn/device"
)

// PathVariable is the environment variable with the folders in which to look for the
// libraries first, separated as in PATH.
const PathVariable = "TRAINER_CUDA_PATH"

// PythonVariable is the environment variable with the Python interpreter that is asked for its folders of packages if a
// library was found nowhere else. If it is unset, the first python3 of PATH is asked; NoPython means none.
const (
	PythonVariable = "TRAINER_PYTHON"
	NoPython       = "none"
)

// Library is one of NVIDIA's libraries: the file that was loaded, and the places that were searched.
type Library struct {
	Name    string    `json:"name"`              // "libcuda", "libcublas", "libcudnn" or "libnccl"
	File    string    `json:"file,omitempty"`    // the loaded file, without symbolic links; "" if none was loaded
	Version string    `json:"version,omitempty"` // such as "8.9.7"; for libcuda, the newest CUDA it supports; "" if unknown
	CUDA    string    `json:"cuda,omitempty"`    // for libcudnn: the CUDA version that it was built for, such as "12.1"
	Tried   []Attempt `json:"tried"`             // every place, in the order of the search
	Asked   string    `json:"asked,omitempty"`   // the Python interpreter that was run; "" if none was
}

// Attempt is one place where a library was looked for.
type Attempt struct {
	Place  string `json:"place"`            // reason for the place: "TRAINER_CUDA_PATH", "loader", "usual folder" or "Python"
	File   string `json:"file"`             // the file, or a folder that lacks it, or a name for the loader to find
	Reason string `json:"reason,omitempty"` // why this file isn't the loaded one; "" if it is
	exists bool   // there was something to load
}

// LoadError says that a library can't be loaded. It is a device.ErrNoDevice.
type LoadError struct {
	Library Library
	sonames []string
}

// Error names, on one line, the file that exists but fails to load, or otherwise what is missing.
func (e *LoadError) Error() string {
	for _, a := range e.Library.Tried {
		if a.exists && strings.HasPrefix(a.Reason, a.File) {
			return "cannot load " + a.Reason
		}
		if a.exists {
			return fmt.Sprintf("cannot load %s: %s", a.File, a.Reason)
		}
	}
	wanted := strings.Join(e.sonames, " or ")
	if e.Library.Name == "libcuda" {
		return wanted + " not found: the NVIDIA driver isn't installed, or not visible here"
	}
	return fmt.Sprintf("%s not found in %d places: install it, or set %s to its folder",
		wanted, len(e.Library.Tried), PathVariable)
}

// Is reports whether target is device.ErrNoDevice.
func (e *LoadError) Is(target error) bool { return target == device.ErrNoDevice }

// cudaVersion formats CUDA's version number: 12040 is "12.4", and 0 is "".
func cudaVersion(v int) string {
	if v <= 0 {
		return ""
	}
	return fmt.Sprintf("%d.%d", v/1000, v%1000/10)
}

// cudnnVersion formats cuDNN's version number: 8907 is "8.9.7", 90100 is "9.1.0".
func cudnnVersion(v int) string {
	switch {
	case v <= 0:
		return ""
	case v < 10000:
		return fmt.Sprintf("%d.%d.%d", v/1000, v%1000/100, v%100)
	}
	return fmt.Sprintf("%d.%d.%d", v/10000, v%10000/100, v%100)
}

// cublasVersion joins the parts of cuBLAS's version with dots; "" if unknown.
func cublasVersion(major, minor, patch int) string {
	if major <= 0 {
		return ""
	}
	return fmt.Sprintf("%d.%d.%d", major, minor, patch)
}
