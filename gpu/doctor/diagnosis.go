// Package doctor finds out whether this machine's GPUs can be used, and if not, why, and what to do: it looks for the
// driver and NVIDIA's libraries, asks the driver for its GPUs, and compares results of each GPU with the CPU's.
package doctor

import (
	"fmt"
	"strings"

	"trainer/gpu"
	"trainer/gpu/internal/cuda"
	"trainer/nn/device"
)

// Diagnosis says which of the CUDA device's requirements this machine meets, and whether its GPUs work.
type Diagnosis struct {
	Built     bool      `json:"built"`     // the program has the CUDA device
	Usable    bool      `json:"usable"`    // a GPU passed its self-test
	Verdict   string    `json:"verdict"`   // in one line, with the remedy if no GPU can be used
	Driver    Driver    `json:"driver"`    // libcuda
	Libraries []Library `json:"libraries"` // cuBLAS, cuBLASLt, cuDNN
	GPUs      []GPU     `json:"gpus"`      // as the driver numbers them, in the order of cuda:N
	// Python is the interpreter that was run to find folders of packages; "" if none was.
	Python string `json:"python,omitempty"`
	// NCCL is the library by which several GPUs connect; nil if nobody has looked for it.
	NCCL *Library `json:"nccl,omitempty"`
	// MPI is the library by which several processes connect; nil if nobody has looked for it.
	MPI *Library `json:"mpi,omitempty"`
	// Sums are timed sums over several ranks.
	Sums []Sum `json:"sums,omitempty"`
}

// Sum is a sum over several ranks.
type Sum struct {
	Name     string  `json:"name"` // what connects the ranks
	Ranks    int     `json:"ranks"`
	Bytes    int     `json:"bytes,omitempty"`
	Seconds  float64 `json:"seconds,omitempty"` // 0 on an emulation
	Emulated bool    `json:"emulated,omitempty"`
	Reason   string  `json:"reason,omitempty"` // why there is no sum
}

// PythonVariable is the environment variable with the Python interpreter that may be run to find cuBLAS and cuDNN, by
// default the first python3 of PATH; NoPython means none.
const (
	PythonVariable = cuda.PythonVariable
	NoPython       = cuda.NoPython
)

// Driver is the NVIDIA driver.
type Driver struct {
	Library        // Version is the driver's own, such as "570.86.15"; CUDA is the newest version that it supports
	Remedy  string `json:"remedy,omitempty"` // set if Reason is
}

// Library is one of NVIDIA's libraries.
type Library struct {
	Name    string    `json:"name"`              // such as "cuDNN"
	Version string    `json:"version,omitempty"` // such as "9.1.0"; "" if unknown
	CUDA    string    `json:"cuda,omitempty"`    // of cuDNN: the CUDA that it was built for, such as "12.1"
	File    string    `json:"file,omitempty"`    // the file that was loaded; "" if none was
	Reason  string    `json:"reason,omitempty"`  // why the library can't be used; "" if it can
	Tried   []Attempt `json:"tried,omitempty"`   // every place, in the order of the search
}

// Attempt is one place where a library was looked for.
type Attempt struct {
	Place  string `json:"place"`            // why this place was searched, such as "TRAINER_CUDA_PATH"
	File   string `json:"file"`             // a file, a folder, or a name for the loader to find
	Reason string `json:"reason,omitempty"` // why the library wasn't loaded; "" if it was
}

// GPU is one device that the driver lists.
type GPU struct {
	Index             int        `json:"index"` // N of cuda:N
	Name              string     `json:"name"`
	UUID              string     `json:"uuid,omitempty"`
	PCI               string     `json:"pci,omitempty"`
	Memory            int64      `json:"memory_bytes"`
	Free              int64      `json:"free_bytes,omitempty"` // 0 if the GPU couldn't be opened
	ComputeCapability string     `json:"compute_capability"`   // such as "9.0"
	Precisions        []string   `json:"precisions,omitempty"` // supported precisions, such as "fp16"
	Auto              string     `json:"auto,omitempty"`       // the precision that Auto stands for
	Usable            bool       `json:"usable"`
	Reason            string     `json:"reason,omitempty"`  // why the GPU can't be used
	Remedy            string     `json:"remedy,omitempty"`  // what to do; "" if Reason already says so or no remedy is known
	Kernels           string     `json:"kernels,omitempty"` // the form in which the program's own kernels were loaded
	Tests             []Selftest `json:"tests,omitempty"`   // in the order in which they ran
	Seconds           float64    `json:"test_seconds,omitempty"`
}

// Selftest is an operation that ran on the GPU and on the CPU.
type Selftest struct {
	Name  string  `json:"name"`
	Error float64 `json:"error"` // largest difference, relative to the CPU's largest value
	Bound float64 `json:"bound"` // largest acceptable Error
	OK    bool    `json:"ok"`
}

// Conclude fills in Usable and Verdict from the other fields.
func (d *Diagnosis) Conclude() {
	var usable []string
	for _, g := range d.GPUs {
		if g.Usable {
			usable = append(usable, fmt.Sprintf("cuda:%d (%s)", g.Index, g.Name))
		}
	}
	d.Usable = len(usable) > 0
	switch {
	case d.Usable:
		d.Verdict = strings.Join(usable, " and ") + " can be used"
	case len(d.GPUs) > 0:
		g := d.GPUs[0]
		d.Verdict = fmt.Sprintf("no GPU can be used: cuda:%d: %s", g.Index, clauses(g.Reason, g.Remedy))
	default:
		d.Verdict = "no GPU can be used: " + clauses(d.Driver.Reason, d.Driver.Remedy)
	}
}

// clauses joins a reason and a remedy.
func clauses(reason, remedy string) string {
	if remedy == "" {
		return reason
	}
	return reason + "; " + remedy
}

// explain returns the reason of an error in one line, without the device's name, and the remedy.
func explain(err error) (reason, remedy string) { return device.Reason(err), gpu.Remedy(err) }
