package cudasim

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"trainer/kernels"
)

// The tests of the software CUDA itself are a C++ program, testdata/selftest, which calls it as a program calls
// CUDA. Each test runs in a separate process.

// selftestBuilder builds the libraries with the kernels of the self-test instead of the project's, which takes
// less time.
func selftestBuilder(t *testing.T) *builder {
	t.Helper()
	b := newBuilder(t)
	b.addFile(t, "testdata/selftest/kernels.cu")
	return b
}

var (
	programsMutex sync.Mutex
	programs      = map[string]string{}
	objectFolder  string
)

func TestMain(m *testing.M) {
	code := m.Run()
	if objectFolder != "" {
		os.RemoveAll(objectFolder)
	}
	os.Exit(code)
}

// program compiles the self-test, and links it with the libraries of a folder. The libraries it is linked with
// decide only which cuDNN it asks for; it finds the folder at run time.
func program(t *testing.T, b *builder, dir, cudnn string) string {
	t.Helper()
	programsMutex.Lock()
	defer programsMutex.Unlock()
	if p := programs[cudnn]; p != "" {
		return p
	}
	files, err := filepath.Glob("testdata/selftest/*.cpp")
	if err != nil {
		t.Fatal(err)
	}
	first := objectFolder == ""
	if first {
		if objectFolder, err = os.MkdirTemp("", "cudasim-selftest"); err != nil {
			t.Fatal(err)
		}
	}
	var commands [][]string
	var objects []string
	for _, f := range files {
		o := filepath.Join(objectFolder, filepath.Base(f)+".o")
		objects = append(objects, o)
		commands = append(commands, []string{b.compiler, "-std=c++17", "-O1", "-Wall", "-Wextra", "-pthread", "-c", f, "-o", o})
	}
	if first {
		if err := parallel(commands); err != nil {
			t.Fatal(err)
		}
	}
	p := filepath.Join(objectFolder, "selftest-"+cudnn)
	link := slices.Concat([]string{b.compiler, "-pthread", "-o", p}, objects,
		[]string{"-L" + dir, "-l:" + cudnn, "-l:" + CuBLAS12, "-l:" + Driver, "-l:" + engine})
	if err := parallel([][]string{link}); err != nil {
		t.Fatal(err)
	}
	programs[cudnn] = p
	return p
}

// run runs one test of the program.
func run(t *testing.T, program, dir, name string, env ...string) {
	t.Helper()
	data, err := filepath.Abs("testdata/selftest")
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(program, name)
	c.Env = append(os.Environ(), append([]string{"LD_LIBRARY_PATH=" + dir, "SELFTEST_DATA=" + data, SettingsVariable + "="}, env...)...)
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func names(t *testing.T, program, dir string) []string {
	t.Helper()
	c := exec.Command(program)
	c.Env = append(os.Environ(), "LD_LIBRARY_PATH="+dir)
	out, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(out))
}

func TestSelf(t *testing.T) {
	b := selftestBuilder(t)
	dir := b.folder(t, Options{})
	p := program(t, b, dir, CuDNN9)
	for _, name := range names(t, p, dir) {
		if name == "modules_of_the_project" || name == "fault_missing_parts" {
			continue // these need special preparation
		}
		t.Run(name, func(t *testing.T) { run(t, p, dir, name) })
	}
}

// cuDNN 8 numbers its statuses differently, and consists of other parts.
func TestCuDNN8(t *testing.T) {
	b := selftestBuilder(t)
	dir := b.folder(t, Options{Libraries: []string{Driver, CuBLAS12, CuDNN8}})
	p := program(t, b, dir, CuDNN8)
	for _, name := range []string{"dnn_descriptors", "misuse_of_dnn", "misuse_of_descriptors", "graph_engines", "algorithms", "fault_of_libraries", "fault_old_driver"} {
		t.Run(name, func(t *testing.T) { run(t, p, dir, name) })
	}
}

func TestMissingParts(t *testing.T) {
	b := selftestBuilder(t)
	for _, cudnn := range []string{CuDNN8, CuDNN9} {
		o := Options{Libraries: []string{Driver, CuBLAS12, cudnn}}
		p := program(t, b, b.folder(t, o), cudnn)
		o.WithoutParts = true
		run(t, p, b.folder(t, o), "fault_missing_parts")
	}
}

// The project's kernels: each module loads, and its source and its PTX have the same parameters.
func TestModulesOfTheProject(t *testing.T) {
	dir := Build(t, Options{})
	var files []string
	for _, m := range kernels.Modules() {
		file := filepath.Join(t.TempDir(), m.Name+".ptx")
		if err := os.WriteFile(file, m.PTX(), 0o666); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	self := selftestBuilder(t)
	run(t, program(t, self, self.folder(t, Options{}), CuDNN9), dir, "modules_of_the_project", "SELFTEST_PTX="+strings.Join(files, ":"))
}
