//go:build cuda && linux && cgo && (amd64 || arm64)

package cuda

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gorgonia.org/cu"
	cublas "gorgonia.org/cu/blas"
	cudnn "gorgonia.org/cu/dnn"

	"trainer/nn/device"
)

// mapped reports whether a file with the name is loaded into this process.
func mapped(t *testing.T, name string) bool {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(maps), name)
}

// gorgonia's package init has called cuInit by now.
func TestStartLoadsNothing(t *testing.T) {
	if !again(t) {
		return
	}
	for _, name := range []string{"libcuda", "libcublas", "libcudnn"} {
		if mapped(t, name) {
			t.Errorf("%s is loaded before anything uses the device", name)
		}
	}
	// Calls before Init return an error, whichever way they are made, and load nothing.
	_, err := cu.NumDevices()
	err = Check("counting", err)
	if want := "counting: cuDeviceGetCount: CUDA_ERROR_NOT_INITIALIZED: libcuda isn't loaded yet"; err == nil || err.Error() != want {
		t.Errorf("cu.NumDevices: %v, want %s", err, want)
	}
	if err := new(cublas.Standard).Init(); err == nil {
		t.Error("cuBLAS starts although it isn't loaded")
	}
	_, err = NewTensorDesc(Float32, 1, 1, 1, 1)
	if want := "CUDNN_STATUS_NOT_INITIALIZED: libcudnn isn't loaded yet"; err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("NewTensorDesc: %v, want %s", err, want)
	}
	if mapped(t, "libcuda") || mapped(t, "libcudnn") {
		t.Error("a call before Init loads a library")
	}
	if err := Init(); err != nil {
		t.Fatal(err)
	}
	if !mapped(t, "libcuda.so.1") || mapped(t, "libcublas") || mapped(t, "libcudnn") {
		t.Error("Init doesn't load libcuda, or more than that")
	}
}

func TestStartIsQuick(t *testing.T) {
	if os.Getenv(againVariable) == t.Name() {
		return
	}
	start := time.Now()
	again(t)
	// Milliseconds; the limit only detects a start that loads libraries or runs Python.
	if d := time.Since(start); d > 2*time.Second {
		t.Errorf("a program that doesn't use the device took %v", d)
	}
}

func TestLibraries(t *testing.T) {
	needFakes(t)
	all := Libraries()
	if len(all) != 3 {
		t.Fatalf("%d libraries, want 3", len(all))
	}
	for i, want := range []Library{
		{Name: "libcuda", File: "libcuda.so.1", Version: "12.4"},
		{Name: "libcublas", File: "libcublas.so.12", Version: "12.4.1"},
		{Name: "libcudnn", File: "libcudnn.so.9", Version: "9.1.1", CUDA: "12.1"},
	} {
		got := all[i]
		if real, _ := filepath.EvalSymlinks(fakes); got.File != filepath.Join(real, want.File) {
			t.Errorf("%s comes from %s", got.Name, got.File)
		}
		if got.Name != want.Name || got.Version != want.Version || got.CUDA != want.CUDA {
			t.Errorf("got %+v, want %+v", got, want)
		}
		if len(got.Tried) == 0 || got.Tried[0].Reason != "" || got.Tried[0].Place != PathVariable {
			t.Errorf("%s: tried %+v", got.Name, got.Tried)
		}
	}
	for _, part := range []string{"libcublasLt.so.12"} {
		if !mapped(t, part) {
			t.Errorf("%s isn't loaded", part)
		}
	}
	if v := CuDNNVersion(); v != 90101 {
		t.Errorf("CuDNNVersion() = %d", v)
	}
}

// Two versions: the one in the first folder is loaded, and the other is recorded.
func TestLibrariesTwoVersions(t *testing.T) {
	if !again(t, PathVariable+"="+folder("cudnn8")+":"+fakes) {
		return
	}
	l := Libraries()[2]
	if l.Version != "8.9.7" || len(l.Tried) != 2 || !strings.HasPrefix(l.Tried[1].Reason, "not used") {
		t.Errorf("got %+v", l)
	}
	// cuDNN 8's numbering.
	if _, err := NewTensorDesc(Float32, -1, 1, 1, 1); err == nil || !strings.HasSuffix(err.Error(), "CUDNN_STATUS_BAD_PARAM") {
		t.Errorf("NewTensorDesc: %v, want BAD_PARAM", err)
	}
	// A driver for CUDA 12 takes cuBLAS 12 first.
	if l := Libraries()[1]; l.Version != "12.4.1" {
		t.Errorf("got %+v", l)
	}
}

func TestCuBLAS13NeedsItsDriver(t *testing.T) {
	for name, c := range map[string]struct{ driver, want string }{
		"new": {"13000", "13.4.1"},
		"old": {"12090", "12.4.1"},
	} {
		t.Run(name, func(t *testing.T) {
			// Both versions in one folder.
			dir := t.TempDir()
			for _, file := range []string{"default/libcuda.so.1", "default/libcublas.so.12", "cublas13/libcublas.so.13"} {
				if fakes != "" {
					if err := os.Symlink(folder(file), filepath.Join(dir, filepath.Base(file))); err != nil {
						t.Fatal(err)
					}
				}
			}
			if !again(t, PathVariable+"="+dir, "FAKE_DRIVER="+c.driver) {
				return
			}
			if l := Libraries()[1]; l.Version != c.want || len(l.Tried) < 2 {
				t.Errorf("got %+v", l)
			}
		})
	}
}

// emptyMachine is an environment without any library, as far as this machine allows.
func emptyMachine(t *testing.T, dir string) []string {
	return []string{PathVariable + "=" + dir, "PATH=/nonexistent", "HOME=/nonexistent", "VIRTUAL_ENV=", "CONDA_PREFIX=",
		"CUDA_HOME=", "CUDA_PATH=", "LD_LIBRARY_PATH="}
}

func TestNoDriver(t *testing.T) {
	if !again(t, emptyMachine(t, "/nonexistent")...) {
		return
	}
	if l := Libraries()[0]; l.File != "" {
		t.Skip("this machine has a driver in ", l.File)
	}
	_, err := Open(0)
	var load *LoadError
	if !errors.As(err, &load) || !errors.Is(err, device.ErrNoDevice) {
		t.Fatalf("Open: %v, want a LoadError", err)
	}
	if want := "libcuda.so.1 not found: the NVIDIA driver isn't installed, or not visible here"; err.Error() != want {
		t.Errorf("Open: %v, want %s", err, want)
	}
	if tried := load.Library.Tried; len(tried) < 3 || tried[0] != (Attempt{PathVariable, "/nonexistent", "no such folder", false}) {
		t.Errorf("tried %+v", tried)
	}
	if _, err := DriverVersion(); !errors.As(err, &load) {
		t.Errorf("DriverVersion: %v", err)
	}
	// A call that bypasses this package also returns the reason.
	_, err = cu.NumDevices()
	if err = Check("", err); err == nil || !strings.Contains(err.Error(), "not found") {
		t.Errorf("cu.NumDevices: %v", err)
	}
	if _, err := NewBLAS(); !errors.As(err, &load) {
		t.Errorf("NewBLAS: %v", err)
	}
	if _, err := NewDNN(); !errors.As(err, &load) {
		t.Errorf("NewDNN: %v", err)
	}
}

// A file that is no library, the wrong library, and cuDNN without its parts.
func TestBadLibraries(t *testing.T) {
	dir := t.TempDir()
	if fakes != "" {
		if err := os.WriteFile(filepath.Join(dir, "libcuda.so.1"), []byte("text"), 0o644); err != nil {
			t.Fatal(err)
		}
		for to, from := range map[string]string{"libcublas.so.12": "libcuda.so.1", "libcudnn.so.9": "libcudnn.so.9"} {
			if err := os.Symlink(filepath.Join(fakes, from), filepath.Join(dir, to)); err != nil {
				t.Fatal(err)
			}
		}
		// The parts are looked for beside the real file, where there are none.
		data, err := os.ReadFile(filepath.Join(fakes, "libcudnn.so.9"))
		if err == nil {
			os.Remove(filepath.Join(dir, "libcudnn.so.9"))
			err = os.WriteFile(filepath.Join(dir, "libcudnn.so.9"), data, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if !again(t, emptyMachine(t, dir)...) {
		return
	}
	all := Libraries()
	for i, want := range []string{"file too short", "has no function cublasCreate_v2", "its part libcudnn_graph.so.9: cannot open"} {
		if all[i].File != "" && all[i].Tried[0].Reason != "" {
			t.Logf("this machine has %s", all[i].File)
		}
		if reason := all[i].Tried[0].Reason; !strings.Contains(reason, want) {
			t.Errorf("%s: %q, want %q", all[i].Name, reason, want)
		}
	}
}

// A cuDNN that is too old is skipped, and the reason is recorded.
func TestOldCuDNN(t *testing.T) {
	if !again(t, emptyMachine(t, folder("cudnn84"))...) {
		return
	}
	var reasons []string
	for _, l := range Libraries() {
		for _, tried := range l.Tried {
			reasons = append(reasons, tried.Reason)
		}
	}
	if want := "cuDNN 8.4.1 is too old, 8.9 or newer is needed"; !strings.Contains(strings.Join(reasons, "\n"), want) {
		t.Errorf("%q, want one with %q", reasons, want)
	}
}

// Descriptors of cuDNN 9 made before the library lacks a function: here cuDNN has none of them.
func TestMissingFunctions(t *testing.T) {
	dir := t.TempDir()
	if cc := compiler(); fakes != "" {
		for file, source := range map[string]string{
			"libcuda.so.1":    "int cuInit(unsigned f) { return 0; }",
			"libcublas.so.12": "int cublasCreate_v2(void **h) { *h = h; return 0; }",
			"libcudnn.so.9": "#include <stddef.h>\nsize_t cudnnGetVersion(void) { return 90000; }\n" +
				"int cudnnCreate(void **h) { *h = h; return 0; }",
		} {
			c := filepath.Join(dir, file+".c")
			if err := os.WriteFile(c, []byte(source), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := compileFile(cc, c, filepath.Join(dir, file)); err != nil {
				t.Fatal(err)
			}
		}
		addParts(dir, "9", "graph", "ops", "cnn")
	}
	if !again(t, emptyMachine(t, dir)...) {
		return
	}
	if err := Init(); err != nil {
		t.Fatal(err)
	}
	_, err := DeviceCount()
	checkMissing(t, err, "cuDeviceGetCount", 500)
	b, err := NewBLAS()
	if err != nil {
		t.Fatal(err)
	}
	checkMissing(t, b.SetTF32(true), "cublasSetMathMode", 15)
	if _, err := NewDNN(); err != nil {
		t.Fatal(err)
	}
	_, err = NewTensorDesc(Float32, 1, 1, 1, 1)
	checkMissing(t, err, "cudnnCreateTensorDescriptor", 3000)
	if _, err := cudnn.NewActivation(cudnn.ReLU, cudnn.PropagateNan, 0); err == nil {
		t.Error("gorgonia's NewActivation succeeds without cuDNN's function")
	}
}

func checkMissing(t *testing.T, err error, function string, code int) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Func != function || e.Code != code || !errors.Is(err, device.ErrNotSupported) {
		t.Errorf("%v, want %s with status %d", err, function, code)
		return
	}
	if want := "has no function " + function; !strings.HasSuffix(e.Detail, want) {
		t.Errorf("detail %q, want %q", e.Detail, want)
	}
}

// The first calls of the same functions, on many threads simultaneously.
func TestFirstCallsFromManyThreads(t *testing.T) {
	if !again(t) {
		return
	}
	var wg sync.WaitGroup
	start := make(chan struct{})
	for range 32 {
		wg.Go(func() {
			<-start
			if n, err := DeviceCount(); n != 2 || err != nil {
				t.Errorf("DeviceCount: %d, %v", n, err)
			}
			if v, err := DriverVersion(); v != 12040 || err != nil {
				t.Errorf("DriverVersion: %d, %v", v, err)
			}
			if len(Libraries()[2].File) == 0 {
				t.Error("no cuDNN")
			}
		})
	}
	close(start)
	wg.Wait()
}

// The driver's own failures during initialisation.
func TestInitFails(t *testing.T) {
	for name, c := range map[string]struct{ status, want string }{
		"no device": {"100", "starting the CUDA driver: cuInit: CUDA_ERROR_NO_DEVICE"},
		"mismatch":  {"803", "starting the CUDA driver: cuInit: CUDA_ERROR_SYSTEM_DRIVER_MISMATCH"},
	} {
		t.Run(name, func(t *testing.T) {
			if !again(t, "FAKE_CUINIT="+c.status) {
				return
			}
			_, err := Open(0)
			if err == nil || err.Error() != c.want || !errors.Is(err, device.ErrNoDevice) {
				t.Errorf("Open: %v, want %s", err, c.want)
			}
		})
	}
}

func TestHandlesFail(t *testing.T) {
	if !again(t, "FAKE_CUBLAS=1", "FAKE_CUDNN=1") {
		return
	}
	if _, err := NewBLAS(); err == nil || err.Error() != "starting cuBLAS: cublasCreate_v2: CUBLAS_STATUS_ALLOC_FAILED" {
		t.Errorf("NewBLAS: %v", err)
	}
	if _, err := NewDNN(); err == nil || err.Error() != "starting cuDNN: cudnnCreate: CUDNN_STATUS_NOT_INITIALIZED: the fake's reason" {
		t.Errorf("NewDNN: %v", err)
	}
}
