package gpu

import (
	"errors"
	"fmt"
	"strings"

	"trainer/gpu/internal/cuda"
	"trainer/nn/device"
)

// Diagnosis says what this machine has of what the CUDA device needs, and whether it works.
type Diagnosis struct {
	Built     bool      `json:"built"`     // the program has the CUDA device
	Usable    bool      `json:"usable"`    // a GPU passed its self-test
	Verdict   string    `json:"verdict"`   // in one line, with the remedy if no GPU can be used
	Driver    Driver    `json:"driver"`    // libcuda
	Libraries []Library `json:"libraries"` // cuBLAS, cuBLASLt, cuDNN
	GPUs      []GPU     `json:"gpus"`      // those that the driver sees, in the order of cuda:N
}

// Driver is the NVIDIA driver.
type Driver struct {
	Library        // Version is the driver's own, such as "570.86.15", CUDA the newest that it supports
	Remedy  string `json:"remedy,omitempty"` // where Reason isn't empty
}

// Library is a library of NVIDIA's.
type Library struct {
	Name    string    `json:"name"`              // such as "cuDNN"
	Version string    `json:"version,omitempty"` // such as "9.1.0"; "" if unknown
	CUDA    string    `json:"cuda,omitempty"`    // of cuDNN: the CUDA that it was built for, such as "12.1"
	File    string    `json:"file,omitempty"`    // what was loaded; "" if nothing was
	Reason  string    `json:"reason,omitempty"`  // why it is of no use; "" if it is
	Tried   []Attempt `json:"tried,omitempty"`   // every place, in the order of the search
}

// Attempt is one place where a library was looked for.
type Attempt struct {
	Place  string `json:"place"`            // why there, such as "TRAINER_CUDA_PATH"
	File   string `json:"file"`             // a file, a folder, or a name for the loader to find
	Reason string `json:"reason,omitempty"` // why it wasn't loaded; "" if it was
}

// GPU is one device that the driver sees.
type GPU struct {
	Index             int        `json:"index"` // as in cuda:N
	Name              string     `json:"name"`
	UUID              string     `json:"uuid,omitempty"`
	PCI               string     `json:"pci,omitempty"`
	Memory            int64      `json:"memory_bytes"`
	Free              int64      `json:"free_bytes,omitempty"` // 0 where it couldn't be opened
	ComputeCapability string     `json:"compute_capability"`   // such as "9.0"
	Precisions        []string   `json:"precisions,omitempty"` // that it can compute in, such as "fp16"
	Auto              string     `json:"auto,omitempty"`       // of them, the one that Auto stands for
	Usable            bool       `json:"usable"`
	Reason            string     `json:"reason,omitempty"` // why it isn't usable
	Remedy            string     `json:"remedy,omitempty"` // what to do; "" where Reason says it, or nothing is known
	Tests             []Selftest `json:"tests,omitempty"`  // in the order that they ran
	Seconds           float64    `json:"test_seconds,omitempty"`
}

// Selftest is an operation that ran on the GPU and on the CPU.
type Selftest struct {
	Name  string  `json:"name"`
	Error float64 `json:"error"` // largest difference, as a share of the CPU's largest value
	Bound float64 `json:"bound"` // largest Error that is right
	OK    bool    `json:"ok"`
}

// Remedy returns what to do about an error of New, as a clause, or "" where the error says it or
// nothing is known.
func Remedy(err error) string {
	if missing, ok := errors.AsType[*cuda.LoadError](err); ok {
		return installation(missing.Library.Name)
	}
	if failed, ok := errors.AsType[*cuda.Error](err); ok {
		switch {
		case failed.DriverTooOld():
			return "update the NVIDIA driver"
		case failed.Busy():
			return "another process holds the GPU, nvidia-smi names it"
		case failed.NoDevice():
			return "nvidia-smi should list the GPU; CUDA_VISIBLE_DEVICES may hide it"
		}
	}
	switch {
	case errors.Is(err, device.ErrOutOfMemory):
		return "other processes may use the GPU's memory, nvidia-smi names them"
	case errors.Is(err, device.ErrLost):
		return "the GPU or its driver has failed: nvidia-smi, or a restart of the machine"
	}
	return ""
}

// installation says how to get a library.
func installation(library string) string {
	switch library {
	case "libcuda":
		return "install the NVIDIA driver; in a container, start it with access to the GPU"
	case "libcublas":
		return "pip install nvidia-cublas-cu12 is one way"
	case "libcudnn":
		return "pip install nvidia-cudnn-cu12 is one way"
	}
	return ""
}

// Conclude fills in Usable and Verdict from the rest.
func (d *Diagnosis) Conclude() {
	var usable []string
	for _, g := range d.GPUs {
		if g.Usable {
			usable = append(usable, fmt.Sprintf("cuda:%d", g.Index))
		}
	}
	d.Usable = len(usable) > 0
	switch {
	case d.Usable:
		d.Verdict = strings.Join(usable, ", ") + " can be used"
		if strings.Contains(d.GPUs[0].Name, emulation) {
			d.Verdict += ", which is a " + emulation + " and no GPU"
		}
	case len(d.GPUs) > 0:
		g := d.GPUs[0]
		d.Verdict = fmt.Sprintf("no GPU can be used: cuda:%d: %s", g.Index, clauses(g.Reason, g.Remedy))
	default:
		d.Verdict = "no GPU can be used: " + clauses(d.Driver.Reason, d.Driver.Remedy)
	}
}

// emulation is what the devices of package cudasim are called.
const emulation = "software emulation"

// Emulated reports whether a device is one of package cudasim's, whose speed says nothing of a GPU.
func Emulated(info device.Info) bool { return strings.Contains(info.Description, emulation) }

// clauses joins a reason and a remedy.
func clauses(reason, remedy string) string {
	if remedy == "" {
		return reason
	}
	return reason + "; " + remedy
}

// explain returns the reason of an error in one line, without the device's name, and the remedy.
func explain(err error) (reason, remedy string) {
	remedy = Remedy(err)
	if e, ok := errors.AsType[*device.Error](err); ok {
		err = e.Err
	}
	return strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", "; "), remedy
}
