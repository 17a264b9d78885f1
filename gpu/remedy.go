package gpu

import (
	"errors"

	"trainer/gpu/internal/cuda"
	"trainer/nn/device"
)

// Remedy returns what to do about an error of a CUDA device, as a clause, or "" if the error already says so or no
// remedy is known.
func Remedy(err error) string {
	if missing, ok := errors.AsType[*cuda.LoadError](err); ok {
		return installation(missing.Library.Name)
	}
	if failed, ok := errors.AsType[*cuda.Error](err); ok {
		switch {
		case failed.DriverTooOld():
			return "update the NVIDIA driver"
		case failed.Busy():
			return "another process has exclusive use of the GPU; nvidia-smi shows which"
		case failed.NoDevice():
			return "check that nvidia-smi lists the GPU and that CUDA_VISIBLE_DEVICES doesn't hide it"
		}
	}
	switch {
	case errors.Is(err, device.ErrOutOfMemory):
		return "other processes may be using the GPU's memory; nvidia-smi shows which"
	case errors.Is(err, device.ErrLost):
		return "the GPU or its driver has failed: check nvidia-smi, or restart the machine"
	}
	return ""
}

// installation says how to install a library.
func installation(library string) string {
	switch library {
	case "libcuda":
		return "install the NVIDIA driver; in a container, start it with access to the GPU"
	case "libcublas":
		return "to install it: pip install nvidia-cublas-cu12"
	case "libcudnn":
		return "to install it: pip install nvidia-cudnn-cu12"
	}
	return ""
}
