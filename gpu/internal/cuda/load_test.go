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

	"trainer/gpu/cudasim"
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
	emulate(t)
	all := Libraries()
	if len(all) != 3 {
		t.Fatalf("%d libraries, want 3", len(all))
	}
	for i, want := range []Library{
		{Name: "libcuda", File: "libcuda.so.1", Version: "12.4"},
		{Name: "libcublas", File: "libcublas.so.12", Version: "12.1.3"},
		{Name: "libcudnn", File: "libcudnn.so.9", Version: "9.1.0", CUDA: "12.3"},
	} {
		got := all[i]
		if real, _ := filepath.EvalSymlinks(filepath.Join(emulation(t), want.File)); got.File != real {
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
	if v := CuDNNVersion(); v != 90100 {
		t.Errorf("CuDNNVersion() = %d", v)
	}
}

// withDNN8 returns the environment with a folder with cuDNN 8 before that with cuDNN 9.
func withDNN8(t *testing.T) string {
	return PathVariable + "=" + cudasim.Build(t, onlyDNN8) + ":" + emulation(t)
}

// Two versions: the one in the first folder is loaded, and the other is recorded.
func TestLibrariesTwoVersions(t *testing.T) {
	if !again(t, withDNN8(t)) {
		return
	}
	l := Libraries()[2]
	if l.Version != "8.9.5" || len(l.Tried) != 2 || !strings.HasPrefix(l.Tried[1].Reason, "not used") {
		t.Errorf("got %+v", l)
	}
	// cuDNN 8's numbering.
	if _, err := NewTensorDesc(Float32, -1, 1, 1, 1); err == nil || !strings.HasSuffix(err.Error(), "CUDNN_STATUS_BAD_PARAM") {
		t.Errorf("NewTensorDesc: %v, want BAD_PARAM", err)
	}
	// A driver for CUDA 12 takes cuBLAS 12 first.
	if l := Libraries()[1]; l.Version != "12.1.3" {
		t.Errorf("got %+v", l)
	}
}

func TestCuBLAS13NeedsItsDriver(t *testing.T) {
	for name, c := range map[string]struct{ driver, want string }{
		"new": {"13000", "13.0.2"},
		"old": {"12090", "12.1.3"},
	} {
		t.Run(name, func(t *testing.T) {
			both := cudasim.Options{Libraries: []string{cudasim.Driver, cudasim.CuBLAS12, cudasim.CuBLAS13}, Kernels: newest.Kernels}
			if !again(t, PathVariable+"="+cudasim.Build(t, both), cudasim.SettingsVariable+"=driver="+c.driver) {
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
	if !inOtherProgram() {
		check(t, os.WriteFile(filepath.Join(dir, "libcuda.so.1"), []byte("text"), 0o644))
		check(t, os.Symlink(filepath.Join(emulation(t), "libcuda.so.1"), filepath.Join(dir, "libcublas.so.12")))
		libraryFile(t, dir, "libcudnn.so.9") // its parts are looked for beside it, where there are none
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
	if !again(t, append(emptyMachine(t, cudasim.Build(t, onlyDNN8)), cudasim.SettingsVariable+"=cudnn=8401")...) {
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

// Libraries that lack functions.
func TestMissingFunctions(t *testing.T) {
	dir := t.TempDir()
	if !inOtherProgram() {
		libraryFile(t, dir, cudasim.Driver, "cuDeviceGetCount")
		libraryFile(t, dir, cudasim.CuBLAS12, "cublasSetMathMode")
		libraryFile(t, dir, cudasim.CuDNN9, "cudnnCreateTensorDescriptor", "cudnnCreateActivationDescriptor")
		for _, part := range []string{"graph", "ops", "cnn"} {
			libraryFile(t, dir, "libcudnn_"+part+".so.9")
		}
	}
	if !again(t, emptyMachine(t, dir)...) {
		return
	}
	if err := Init(); err != nil {
		t.Fatal(err)
	}
	_, err := DeviceCount()
	checkMissing(t, err, "cuDeviceGetCount", 500)
	openWithoutCount(t)
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

// openWithoutCount makes the context of device 0 current, as Open does after it has counted devices.
func openWithoutCount(t *testing.T) {
	t.Helper()
	d, err := cu.GetDevice(0)
	check(t, err)
	primary, err := d.RetainPrimaryCtx()
	check(t, err, cu.SetCurrentContext(primary))
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
			if !again(t, cudasim.SettingsVariable+"=fail=cuInit:"+c.status) {
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
	if !again(t, cudasim.SettingsVariable+"=fail=cublasCreate_v2:ALLOC_FAILED;fail=cudnnCreate:NOT_INITIALIZED") {
		return
	}
	if _, err := Open(0); err != nil {
		t.Fatal(err)
	}
	if _, err := NewBLAS(); err == nil || err.Error() != "starting cuBLAS: cublasCreate_v2: CUBLAS_STATUS_ALLOC_FAILED" {
		t.Errorf("NewBLAS: %v", err)
	}
	if _, err := NewDNN(); err == nil || err.Error() != "starting cuDNN: cudnnCreate: CUDNN_STATUS_NOT_INITIALIZED: asked for by the test" {
		t.Errorf("NewDNN: %v", err)
	}
}
