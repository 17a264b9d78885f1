// Package cudasim builds a software libcuda, libcublas, libcudnn and libnccl, so that the CUDA device can be
// tested without a GPU. It is test support: only tests import it, and the device calls itself "software
// emulation". README.md says what is emulated, what is checked, and which faults a test can request.
//
//	dir := cudasim.Build(t, cudasim.Options{})
//	t.Setenv("TRAINER_CUDA_PATH", dir)
//	cudasim.Watch(t) // in the process that loads them: every finding fails the test
//
// For a program in a separate process, use Environment instead, and read its findings with ReadReport.
package cudasim

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"trainer/kernels"
)

// The libraries that can be built, by file name.
const (
	Driver   = "libcuda.so.1"
	CuBLAS12 = "libcublas.so.12"
	CuBLAS13 = "libcublas.so.13"
	CuDNN8   = "libcudnn.so.8"
	CuDNN9   = "libcudnn.so.9"
	NCCL     = "libnccl.so.2"
)

// PathVariable is the environment variable in which the program looks for libraries first.
const PathVariable = "TRAINER_CUDA_PATH"

// SettingsVariable is the environment variable that the libraries read settings and faults from.
const SettingsVariable = "CUDASIM"

// Options say which libraries the folder holds.
type Options struct {
	// Libraries are the libraries in the folder, by file name; nil means Driver, CuBLAS12, CuDNN9 and NCCL.
	// Leave one out to test with a missing library.
	Libraries []string
	// Count makes the kernels tell which bytes they read and write, for Journal. They run several times as long, and those
	// for bfloat16 are missing.
	Count bool
	// WithoutParts leaves out the libraries that libcudnn consists of and loads by name.
	WithoutParts bool
	// Kernels names a CUDA file whose kernels are compiled for the host, in place of the project's, which take
	// minutes. "" means the project's.
	Kernels string
}

// Build compiles the libraries, and the project's kernels for the host, with the C++ compiler, and
// returns a folder for PathVariable. The results are kept in the user's cache folder and used again as
// long as sources and compiler stay the same. Build skips the test if there is no C++ compiler, or if the
// system is not Linux.
func Build(t testing.TB, o Options) string {
	t.Helper()
	b := newBuilder(t)
	if o.Kernels != "" {
		b.addFile(t, o.Kernels)
		return b.folder(t, o)
	}
	for _, m := range kernels.Modules() {
		if o.Count && strings.HasSuffix(m.Name, "_"+string(kernels.BFloat16)) {
			continue // moves the bytes of float16
		}
		b.addKernels("trainer", m.Name, m.HostSource())
	}
	return b.folder(t, o)
}

// Work is a piece of work on a stream: a line of the journal.
type Work struct {
	Kind string // kernel, library (an operation of cuBLAS or cuDNN), copy or fill
	Name string // of the kernel or of the called function
	// Read and Written count bytes of device memory, each once however often the work touches it; for an operation
	// of a library, those of its tensors. They are 0 for kernels that were built without Options.Count.
	Read, Written int64
}

// Environment returns the variables for a process that uses the libraries in a folder, with settings as
// README.md lists them. Its findings are appended to the file report.
func Environment(dir, report, settings string) []string {
	all := "report=" + report
	if settings != "" {
		all += ";" + settings
	}
	return []string{PathVariable + "=" + dir, SettingsVariable + "=" + all}
}

// ReadReport returns the findings in a report file, one per line. If the file is missing, there are no
// findings.
func ReadReport(file string) ([]string, error) {
	text, err := os.ReadFile(file)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the software CUDA's report: %w", err)
	}
	return lines(string(text)), nil
}

func lines(text string) []string {
	text = strings.TrimSuffix(text, "\n")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// Watch forgets earlier findings of the libraries loaded in this process, and at the end of the test
// fails it for each finding.
func Watch(t testing.TB) {
	t.Helper()
	Clear()
	t.Cleanup(func() {
		for _, line := range Findings() {
			t.Errorf("software CUDA: %s", line)
		}
		Clear()
	})
}
