package cuda

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"trainer/nn/device"
)

// The numbers are those of cuda.h of CUDA 13, cublas_api.h of CUDA 12, cudnn_ops_infer.h of cuDNN
// 8 and cudnn_graph.h of cuDNN 9.
func TestStatusNames(t *testing.T) {
	for _, c := range []struct {
		library string
		code    int
		want    string
	}{
		{CUDA, 0, "CUDA_SUCCESS"},
		{CUDA, 2, "CUDA_ERROR_OUT_OF_MEMORY"},
		{CUDA, 36, "CUDA_ERROR_CALL_REQUIRES_NEWER_DRIVER"},
		{CUDA, 222, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION"},
		{CUDA, 719, "CUDA_ERROR_LAUNCH_FAILED"},
		{CUDA, 912, "CUDA_ERROR_INVALID_CLUSTER_SIZE"},
		{CUDA, 999, "CUDA_ERROR_UNKNOWN"},
		{CUDA, 998, ""},
		{CuBLAS, 1, "CUBLAS_STATUS_NOT_INITIALIZED"},
		{CuBLAS, 3, "CUBLAS_STATUS_ALLOC_FAILED"},
		{CuBLAS, 13, "CUBLAS_STATUS_EXECUTION_FAILED"},
		{CuBLAS, 15, "CUBLAS_STATUS_NOT_SUPPORTED"},
		{CuBLAS, 2, ""},
		{CuDNN8, 1, "CUDNN_STATUS_NOT_INITIALIZED"},
		{CuDNN8, 3, "CUDNN_STATUS_BAD_PARAM"},
		{CuDNN8, 9, "CUDNN_STATUS_NOT_SUPPORTED"},
		{CuDNN8, 2000, ""},
		{CuDNN9, 3, ""},
		{CuDNN9, 1001, "CUDNN_STATUS_NOT_INITIALIZED"},
		{CuDNN9, 1002, "CUDNN_STATUS_SUBLIBRARY_VERSION_MISMATCH"},
		{CuDNN9, 2000, "CUDNN_STATUS_BAD_PARAM"},
		{CuDNN9, 3000, "CUDNN_STATUS_NOT_SUPPORTED"},
		{CuDNN9, 4004, "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"},
		{CuDNN9, 5003, "CUDNN_STATUS_EXECUTION_FAILED_CUDART"},
		{"no such library", 0, ""},
	} {
		if got := StatusName(c.library, c.code); got != c.want {
			t.Errorf("StatusName(%s, %d) = %q, want %q", c.library, c.code, got, c.want)
		}
	}
}

func TestErrorClasses(t *testing.T) {
	type class struct{ outOfMemory, lost, notSupported, noDevice, busy, tooOld bool }
	for _, c := range []struct {
		library string
		code    int
		want    class
	}{
		{CUDA, 1, class{}},
		{CUDA, 2, class{outOfMemory: true}},
		{CUDA, 3, class{noDevice: true}},
		{CUDA, 46, class{busy: true}},
		{CUDA, 100, class{noDevice: true}},
		{CUDA, 101, class{noDevice: true}},
		{CUDA, 214, class{lost: true}},
		{CUDA, 222, class{tooOld: true}},
		{CUDA, 500, class{}},
		{CUDA, 700, class{lost: true}},
		{CUDA, 719, class{lost: true}},
		{CUDA, 801, class{notSupported: true}},
		{CUDA, 803, class{noDevice: true}},
		{CUDA, 999, class{lost: true}},
		{CuBLAS, 1, class{}},
		{CuBLAS, 3, class{outOfMemory: true}},
		{CuBLAS, 8, class{notSupported: true}},
		{CuBLAS, 15, class{notSupported: true}},
		{CuDNN8, 2, class{outOfMemory: true}},
		{CuDNN8, 3, class{}},
		{CuDNN8, 6, class{notSupported: true}},
		{CuDNN8, 9, class{notSupported: true}},
		{CuDNN8, 3000, class{}},
		{CuDNN9, 2, class{}},
		{CuDNN9, 2000, class{}},
		{CuDNN9, 3003, class{notSupported: true}},
		{CuDNN9, 3005, class{notSupported: true, tooOld: true}},
		{CuDNN9, 4003, class{outOfMemory: true}},
		{CuDNN9, 4004, class{outOfMemory: true}},
	} {
		e := newError(c.library, "f", "", c.code, "")
		got := class{e.OutOfMemory(), e.DeviceLost(), e.NotSupported(), e.NoDevice(), e.Busy(), e.DriverTooOld()}
		if got != c.want {
			t.Errorf("%s %d: %+v, want %+v", c.library, c.code, got, c.want)
		}
		for target, want := range map[error]bool{
			device.ErrOutOfMemory: c.want.outOfMemory, device.ErrLost: c.want.lost,
			device.ErrNotSupported: c.want.notSupported, device.ErrNoDevice: c.want.noDevice,
		} {
			if errors.Is(fmt.Errorf("wrapped: %w", e), target) != want {
				t.Errorf("%s %d: errors.Is %v is not %v", c.library, c.code, target, want)
			}
		}
	}
}

// A misspelt name in errors.go would never match.
func TestErrorClassesNameRealStatuses(t *testing.T) {
	source, err := os.ReadFile("errors.go")
	if err != nil {
		t.Fatal(err)
	}
	tables, err := os.ReadFile("status_names.go")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`"([A-Z]+_[A-Z_]+|ASSERT|CONTAINED|DEINITIALIZED)"`).FindAllStringSubmatch(string(source), -1)
	if len(names) < 30 {
		t.Fatalf("found only %d names", len(names))
	}
	for _, n := range names {
		short := n[1]
		if strings.HasSuffix(short, "_") || strings.HasPrefix(short, "CUDA_") {
			continue
		}
		if !regexp.MustCompile(`"(CUDA_ERROR|CUBLAS_STATUS|CUDNN_STATUS)_` + short + `"`).Match(tables) {
			t.Errorf("no library has a status %s", short)
		}
	}
}

func TestErrorText(t *testing.T) {
	for _, c := range []struct {
		err  *Error
		want string
	}{
		{newError(CUDA, "cuMemAlloc_v2", "allocating 64 bytes", 2, "3 of 8 bytes are free"),
			"allocating 64 bytes: cuMemAlloc_v2: CUDA_ERROR_OUT_OF_MEMORY: 3 of 8 bytes are free"},
		{newError(CuDNN9, "", "", 2000, ""), "CUDNN_STATUS_BAD_PARAM"},
		{newError(CuDNN8, "cudnnCreate", "", 2000, ""), "cudnnCreate: cuDNN 8 status 2000"},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("text %q, want %q", got, c.want)
		}
	}
}

func TestLoadErrorText(t *testing.T) {
	for _, c := range []struct {
		name  string
		tried []Attempt
		want  string
	}{
		{"libcudnn", []Attempt{{"loader", "libcudnn.so.9", "libcudnn.so.9: cannot open", false}, {"Python", "/p", "no libcudnn.so.9 there", false}},
			"libcudnn.so.9 or libcudnn.so.8 not found in 2 places: install it, or set TRAINER_CUDA_PATH to its folder"},
		{"libcuda", nil, "libcudnn.so.9 or libcudnn.so.8 not found: the NVIDIA driver isn't installed, or not visible here"},
		{"libcudnn", []Attempt{{"loader", "libcudnn.so.9", "no", false}, {"Python", "/p/libcudnn.so.9", "/p/libcudnn.so.9: invalid ELF header", true}},
			"cannot load /p/libcudnn.so.9: invalid ELF header"},
		{"libcudnn", []Attempt{{"Python", "/p/libcudnn.so.9", "libz.so.1: cannot open", true}},
			"cannot load /p/libcudnn.so.9: libz.so.1: cannot open"},
	} {
		err := &LoadError{Library{Name: c.name, Tried: c.tried}, dnnNames}
		if err.Error() != c.want {
			t.Errorf("text %q, want %q", err, c.want)
		}
		if !errors.Is(err, device.ErrNoDevice) {
			t.Errorf("%v is no device.ErrNoDevice", err)
		}
	}
}

func TestVersions(t *testing.T) {
	for got, want := range map[string]string{
		cudaVersion(12040): "12.4", cudaVersion(13020): "13.2", cudaVersion(0): "",
		cudnnVersion(8907): "8.9.7", cudnnVersion(92600): "9.26.0", cudnnVersion(90101): "9.1.1", cudnnVersion(0): "",
		cublasVersion(13, 4, 1): "13.4.1", cublasVersion(0, 0, 0): "",
	} {
		if got != want {
			t.Errorf("version %q, want %q", got, want)
		}
	}
}
