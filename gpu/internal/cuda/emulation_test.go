//go:build cuda && linux && cgo && (amd64 || arm64)

package cuda

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"gorgonia.org/cu"

	"trainer/gpu/cudasim"
)

// These tests run on the software CUDA of package cudasim, with one kernel of their own in place of the project's. Tests
// for other machines run this program again with a different environment (see again).
//
// A binding is right if each argument reaches the parameter that it is meant for. Results rarely show it, so the tests
// read the arguments with cudasim.Record, and give each a value of its own.

// machine2 is the machine that the tests expect: two devices, of which another process holds the second, a driver for
// CUDA 12.4, and attributes of a device that are all different.
const machine2 = "devices=2;busy=1;memory=16MiB;driver=12040"

// The libraries of the emulation, each set in a folder.
var (
	newest   = cudasim.Options{Libraries: []string{cudasim.Driver, cudasim.CuBLAS12, cudasim.CuDNN9}, Kernels: "testdata/kernels.cu"}
	onlyDNN8 = cudasim.Options{Libraries: []string{cudasim.CuDNN8}, Kernels: newest.Kernels}
)

// againVariable names the test that the program was started for by the function again.
const againVariable = "CUDA_TEST_AGAIN"

// inOtherProgram reports whether this program was started by again.
func inOtherProgram() bool { return os.Getenv(againVariable) != "" }

// emulation returns the folder of the emulation's newest libraries. It skips the test if there is no C++ compiler.
func emulation(t testing.TB) string {
	t.Helper()
	return cudasim.Build(t, newest)
}

// emulate makes this process use the emulation, in its initial state, and locks the goroutine to its thread. What the
// emulation finds wrong fails the test, unless the test takes it with expect.
func emulate(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	if !inOtherProgram() {
		os.Setenv(PathVariable, emulation(t))
		os.Setenv(cudasim.SettingsVariable, machine2)
	}
	if _, err := DriverVersion(); err != nil { // loads the driver
		t.Fatal(err)
	}
	cudasim.Reset()
	cudasim.Watch(t)
}

// configure changes the emulation's settings.
func configure(t *testing.T, settings string) {
	t.Helper()
	check(t, cudasim.Configure(settings))
}

// expect takes the findings of the emulation: there must be one for each function, in this order.
func expect(t *testing.T, functions ...string) {
	t.Helper()
	found := cudasim.Findings()
	cudasim.Clear()
	if len(found) != len(functions) {
		t.Fatalf("findings %q, want one of each of %q", found, functions)
	}
	for i, f := range functions {
		if !strings.Contains(found[i], ": "+f+": ") {
			t.Errorf("finding %q, want one of %s", found[i], f)
		}
	}
}

// arguments makes the call, and returns the arguments that the library's function received, one string per call of it.
func arguments(t *testing.T, function string, call func() error) []string {
	t.Helper()
	cudasim.Record(function)
	check(t, call())
	return cudasim.Records()
}

// list writes arguments as records have them: addresses and handles in hexadecimal.
func list(values ...any) string {
	var b strings.Builder
	for _, v := range values {
		switch v := v.(type) {
		case cu.DevicePtr:
			fmt.Fprintf(&b, " %#x", uintptr(v))
		case unsafe.Pointer:
			fmt.Fprintf(&b, " %#x", uintptr(v))
		default:
			fmt.Fprintf(&b, " %v", v)
		}
	}
	return b.String()[1:]
}

// again runs the test again in a program of its own with the variables set, and reports whether
// this is that program.
func again(t *testing.T, variables ...string) bool {
	t.Helper()
	if os.Getenv(againVariable) == t.Name() {
		runtime.LockOSThread()
		t.Cleanup(runtime.UnlockOSThread)
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.v", "-test.run=^"+strings.ReplaceAll(t.Name(), "/", "$/^")+"$")
	cmd.Env = append(os.Environ(), PathVariable+"="+emulation(t), cudasim.SettingsVariable+"="+machine2, againVariable+"="+t.Name())
	cmd.Env = append(cmd.Env, variables...)
	out, err := cmd.CombinedOutput()
	switch {
	case err != nil:
		t.Errorf("with %q: %v\n%s", variables, err, out)
	case strings.Contains(string(out), "--- SKIP: "+t.Name()):
		t.Skipf("with %q:\n%s", variables, out)
	case !strings.Contains(string(out), "--- PASS: "+t.Name()):
		t.Errorf("with %q the test didn't run:\n%s", variables, out)
	}
	return false
}

// libraryFile copies a library of the emulation to a folder, with the engine that it loads from its own folder, and
// without the functions: in the copy's table of symbols they have other names.
func libraryFile(t *testing.T, dir, name string, without ...string) {
	t.Helper()
	for _, file := range []string{name, "libcudasim.so"} {
		data, err := os.ReadFile(filepath.Join(emulation(t), file))
		check(t, err)
		for _, function := range without {
			// The hash of the name stays, so that neither the old nor the new name is found.
			other := "x" + function[1:]
			if file != name {
				continue
			}
			if !bytes.Contains(data, []byte("\x00"+function+"\x00")) {
				t.Fatalf("%s has no function %s to remove", name, function)
			}
			data = bytes.ReplaceAll(data, []byte("\x00"+function+"\x00"), []byte("\x00"+other+"\x00"))
		}
		check(t, os.WriteFile(filepath.Join(dir, file), data, 0o755))
	}
}
