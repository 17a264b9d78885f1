//go:build cuda && linux && cgo && (amd64 || arm64)

package cuda

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// Most tests run against small libraries in testdata/fake, which TestMain compiles and puts where
// the search looks first: a driver for CUDA 12.4, cuBLAS 12 and cuDNN 9 with its parts. Tests for
// other machines run this program again with a different environment (see again).
//
// They record, where gpu/cudasim computes, and neither can do the work of the other:
//
//   - A binding is right if each argument reaches the parameter that it is meant for. The fakes
//     return what reached them: a device attribute is its own number, a launch copies its
//     arguments to the address in the first one, cuDNN's descriptors can be read, and its calls
//     write which pointers and scales they got. A library that computes can't show this: it reads
//     the clock rate that its model has, whichever attribute was asked for by mistake, and two
//     swapped strides of a square image give the right result.
//   - The fakes give answers that no working CUDA gives, but that have to be understood: a GPU in
//     exclusive use by another process beside a free one, an event that never completes, an engine
//     of which no plan can be made, versions of cuDNN from 8.4 to 9.1 side by side.
//   - gpu/cudasim refuses what is wrong on a GPU, such as reads of memory that was never written
//     and kernel arguments of the wrong size, so it would refuse some of these tests.
//   - The fakes need a C compiler and a second. gpu/cudasim compiles every kernel of the project
//     with a C++ compiler, which takes minutes.
var fakes string // the folder; "" if there is no C compiler

// again names the test that the program was started for by the function of that name.
const againVariable = "CUDA_TEST_AGAIN"

func TestMain(m *testing.M) {
	if os.Getenv(againVariable) != "" {
		os.Exit(m.Run())
	}
	dir, err := os.MkdirTemp("", "cuda-test")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if cc := compiler(); cc != "" {
		fakes = filepath.Join(dir, "default")
		for _, l := range []struct{ source, version, file string }{
			{"cuda", "0", "default/libcuda.so.1"},
			{"cublas", "12", "default/libcublas.so.12"},
			{"cublas", "12", "default/libcublasLt.so.12"},
			{"cudnn", "90101", "default/libcudnn.so.9"},
			{"cudnn", "8907", "cudnn8/libcudnn.so.8"},
			{"cudnn", "8401", "cudnn84/libcudnn.so.8"},
			{"cublas", "13", "cublas13/libcublas.so.13"},
		} {
			if err := compile(cc, l.source, l.version, filepath.Join(dir, l.file)); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		}
		addParts(fakes, "9", "graph", "ops", "cnn", "engines_x")
		for _, old := range []string{"cudnn8", "cudnn84"} {
			addParts(filepath.Join(dir, old), "8", "ops_infer", "ops_train", "cnn_infer", "cnn_train")
		}
		os.Setenv(PathVariable, fakes)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// compiler returns a C compiler, or "".
func compiler() string {
	for _, name := range []string{os.Getenv("CC"), "cc", "gcc", "clang"} {
		if cc, err := exec.LookPath(name); name != "" && err == nil {
			return cc
		}
	}
	return ""
}

func compile(cc, source, version, file string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return compileFile(cc, "testdata/fake/"+source+".c", file, "-DVERSION="+version)
}

// compileFile compiles a C file into a library.
func compileFile(cc, source, file string, flags ...string) error {
	flags = append(flags, "-shared", "-fPIC", "-O0", "-w", "-Iinclude", "-Wl,-soname,"+filepath.Base(file), source, "-o", file)
	if out, err := exec.Command(cc, flags...).CombinedOutput(); err != nil {
		return fmt.Errorf("compiling %s: %v\n%s", source, err, out)
	}
	return nil
}

// addParts puts the parts of cuDNN beside it, which are links to it.
func addParts(dir, major string, names ...string) {
	for _, name := range names {
		if err := os.Symlink("libcudnn.so."+major, filepath.Join(dir, "libcudnn_"+name+".so."+major)); err != nil {
			panic(err)
		}
	}
}

// needFakes skips the test if there is no C compiler, and locks the goroutine to its thread.
func needFakes(t *testing.T) {
	t.Helper()
	if fakes == "" && os.Getenv(againVariable) == "" {
		t.Skip("no C compiler: no fake libraries")
	}
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
}

// again runs the test again in a program of its own with the variables set, and reports whether
// this is that program.
func again(t *testing.T, variables ...string) bool {
	t.Helper()
	needFakes(t)
	if os.Getenv(againVariable) == t.Name() {
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.v", "-test.run=^"+strings.ReplaceAll(t.Name(), "/", "$/^")+"$")
	cmd.Env = append(os.Environ(), againVariable+"="+t.Name())
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

// folder returns a sibling of the default fakes' folder.
func folder(name string) string { return filepath.Join(filepath.Dir(fakes), name) }
