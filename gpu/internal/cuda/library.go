package cuda

import (
	"fmt"
	"strings"

	"trainer/nn/device"
)

// PathVariable is the environment variable that names folders to look in for the libraries
// first, separated as in PATH.
const PathVariable = "TRAINER_CUDA_PATH"

// Library is one of NVIDIA's libraries: what was loaded, and where it was looked for.
type Library struct {
	Name    string    `json:"name"`              // "libcuda", "libcublas" or "libcudnn"
	File    string    `json:"file,omitempty"`    // what was loaded, without symbolic links; "" if nothing was
	Version string    `json:"version,omitempty"` // such as "8.9.7"; of libcuda, the newest CUDA it supports; "" if unknown
	CUDA    string    `json:"cuda,omitempty"`    // of libcudnn: the CUDA that it was built for, such as "12.1"
	Tried   []Attempt `json:"tried"`             // every place, in the order of the search
}

// Attempt is one place where a library was looked for.
type Attempt struct {
	Place  string `json:"place"`            // why there: "TRAINER_CUDA_PATH", "loader", "usual folder" or "Python"
	File   string `json:"file"`             // the file, or a folder that lacks it, or a name for the loader to find
	Reason string `json:"reason,omitempty"` // why it isn't the one that is loaded; "" if it is
	exists bool   // there was something to load
}

// LoadError says that a library can't be loaded. It is a device.ErrNoDevice.
type LoadError struct {
	Library Library
	sonames []string
}

// Error names the file that exists and fails to load, or else what is missing, in one line.
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

// cudaVersion writes CUDA's number for a version, such as 12040, as "12.4"; 0 as "".
func cudaVersion(v int) string {
	if v <= 0 {
		return ""
	}
	return fmt.Sprintf("%d.%d", v/1000, v%1000/10)
}

// cudnnVersion writes cuDNN's number for a version: 8907 is "8.9.7", 90100 is "9.1.0".
func cudnnVersion(v int) string {
	switch {
	case v <= 0:
		return ""
	case v < 10000:
		return fmt.Sprintf("%d.%d.%d", v/1000, v%1000/100, v%100)
	}
	return fmt.Sprintf("%d.%d.%d", v/10000, v%10000/100, v%100)
}

// cublasVersion writes the parts of cuBLAS's version with dots; "" if there is none.
func cublasVersion(major, minor, patch int) string {
	if major <= 0 {
		return ""
	}
	return fmt.Sprintf("%d.%d.%d", major, minor, patch)
}
