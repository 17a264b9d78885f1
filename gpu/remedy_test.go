package gpu

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"trainer/gpu/internal/cuda"
	"trainer/nn/device"
)

func TestRemedyOfAnError(t *testing.T) {
	code := func(library, name string) error {
		for n := range 10000 {
			if cuda.StatusName(library, n) == name {
				return &device.Error{Device: "cuda:0", Op: "opening the device", Err: &cuda.Error{Library: library, Code: n, Name: name}}
			}
		}
		t.Fatalf("%s has no %s", library, name)
		return nil
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("opening: %w", &cuda.LoadError{Library: cuda.Library{Name: "libcuda"}}), "install the NVIDIA driver"},
		{&cuda.LoadError{Library: cuda.Library{Name: "libcublas"}}, "nvidia-cublas-cu12"},
		{&cuda.LoadError{Library: cuda.Library{Name: "libcudnn"}}, "nvidia-cudnn-cu12"},
		{code(cuda.CUDA, "CUDA_ERROR_NO_DEVICE"), "CUDA_VISIBLE_DEVICES"},
		{code(cuda.CUDA, "CUDA_ERROR_DEVICE_UNAVAILABLE"), "another process has exclusive use of the GPU"},
		{code(cuda.CUDA, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION"), "update the NVIDIA driver"},
		{code(cuda.CUDA, "CUDA_ERROR_OUT_OF_MEMORY"), "other processes may be using the GPU's memory"},
		{&device.MemoryError{}, "other processes may be using the GPU's memory"},
		{device.ErrLost, "has failed"},
	} {
		if got := Remedy(c.err); !strings.Contains(got, c.want) {
			t.Errorf("the remedy of %v is %q, want in it %q", c.err, got, c.want)
		}
	}
	if got := Remedy(errors.New("something else")); got != "" {
		t.Errorf("the remedy of an unknown error is %q", got)
	}
}
