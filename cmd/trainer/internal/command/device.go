package command

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"trainer/cpu"
	"trainer/gpu"
	"trainer/nn/device"
)

// deviceOptions are the flags that decide which device computes, and how.
type deviceOptions struct {
	device    string        // auto, cpu, cuda or cuda:N
	threads   int           // of the CPU; 0 for one a processor
	precision gpu.Precision // of a GPU; Auto for wish
	wish      gpu.Precision // what the recipe says that a GPU should use; Auto where it says nothing

	deterministic, autotune bool
	graph                   bool            // record steps, where the device can
	given                   map[string]bool // flags that were given
}

// openDevice returns the device that was asked for. "auto" is a GPU if one can be opened.
func (p *program) openDevice(o deviceOptions) (device.Device, error) {
	kind, index, err := parseDevice(o.device)
	if err != nil {
		return nil, err
	}
	switch kind {
	case "cpu":
		if err := o.refuseOnCPU("-device cpu"); err != nil {
			return nil, err
		}
		return p.openCPU(o.threads)
	case "auto":
		return p.openAny(o)
	}
	dev, err := p.openGPU(index, o)
	if err != nil {
		return nil, &openError{o.device, err}
	}
	return dev, nil
}

// openGPU opens a GPU in the precision that was asked for, or in the one that the recipe wishes for. Where the GPU can't
// do that one it computes as it would without a wish, and a line says so.
func (p *program) openGPU(index int, o deviceOptions) (device.Device, error) {
	if o.precision != gpu.Auto || o.wish == gpu.Auto {
		return gpu.New(index, o.gpu(o.precision)...)
	}
	dev, err := gpu.New(index, o.gpu(o.wish)...)
	if !errors.Is(err, device.ErrNotSupported) {
		return dev, err
	}
	refused := why(err)
	if dev, err = gpu.New(index, o.gpu(gpu.Auto)...); err != nil {
		return nil, err
	}
	fmt.Fprintf(p.stderr, "trainer: %s computes in %s, not in the recipe's %v: %s\n", dev.Name(), precisionOf(dev), o.wish, refused)
	return dev, nil
}

// precisionOf returns the name of what a device computes in. The CPU knows one precision.
func precisionOf(dev device.Device) string {
	if p, ok := gpu.PrecisionOf(dev); ok {
		return p.String()
	}
	return gpu.FP32.String()
}

// kindOf returns the kind of a device's name, such as "cuda" of "cuda:1".
func kindOf(name string) string {
	kind, _, _ := strings.Cut(name, ":")
	return kind
}

// parseDevice returns the kind of a -device, and its number, which is 0 where it has none.
func parseDevice(name string) (kind string, index int, err error) {
	kind, number, numbered := strings.Cut(name, ":")
	if !numbered {
		return kind, 0, nil
	}
	n, err := strconv.ParseUint(number, 10, 16)
	if err != nil || kind != "cuda" {
		return "", 0, usageErrorf("-device %s: want auto, cpu, cuda or cuda:N", name)
	}
	return kind, int(n), nil
}

// maxGPUs is how many GPUs auto tries.
const maxGPUs = 16

// openAny returns the first GPU that can be opened, or else the CPU.
func (p *program) openAny(o deviceOptions) (device.Device, error) {
	var reason error
	for index := range maxGPUs {
		dev, err := p.openGPU(index, o)
		if err == nil {
			return dev, nil
		}
		if reason == nil {
			reason = err
		}
		if errors.Is(err, device.ErrNotBuilt) || errors.Is(err, device.ErrNoDevice) {
			break // nor is there one of a higher number
		}
	}
	if err := o.refuseOnCPU("-device auto found no GPU that can do it (" + why(reason) + ")"); err != nil {
		return nil, err
	}
	return p.openCPU(o.threads)
}

// refuseOnCPU returns an error where a flag asks for what only a GPU does. The CPU computes in float32, and gives the
// same bits each time.
func (o deviceOptions) refuseOnCPU(chosen string) error {
	switch {
	case o.given["precision"] && o.precision != gpu.Auto && o.precision != gpu.FP32:
		return usageErrorf("-precision %v is for a GPU: %s; the CPU computes in fp32", o.precision, chosen)
	case o.given["autotune"] && o.autotune:
		return usageErrorf("-autotune is for a GPU: %s; the CPU has no algorithms to measure", chosen)
	case o.given["cuda-graph"] && o.graph:
		return usageErrorf("-cuda-graph is for a GPU: %s; the CPU records no steps", chosen)
	}
	return nil
}

// gpu returns the options of package gpu.
func (o deviceOptions) gpu(precision gpu.Precision) []gpu.Option {
	opts := []gpu.Option{gpu.WithPrecision(precision)}
	if o.deterministic {
		opts = append(opts, gpu.WithDeterministic())
	}
	if o.autotune {
		opts = append(opts, gpu.WithAutotune())
	}
	return opts
}

// openError says why the GPU that was asked for can't be used, and what to do.
type openError struct {
	device string // as -device had it
	err    error
}

func (e *openError) Error() string {
	if errors.Is(e.err, device.ErrNotBuilt) {
		return fmt.Sprintf("-device %s: %s", e.device, why(e.err)) // its text has the remedy
	}
	text := fmt.Sprintf("-device %s: %s", e.device, why(e.err))
	if remedy := gpu.Remedy(e.err); remedy != "" {
		text += "; " + remedy
	}
	return text + " (trainer doctor says more; -device cpu does without)"
}

// Unwrap returns the device's error.
func (e *openError) Unwrap() error { return e.err }

// why returns the error of opening a GPU in one line, without the GPU's name and what was being done.
func why(err error) string {
	text := err.Error()
	if e, ok := errors.AsType[*device.Error](err); ok {
		text = e.Err.Error()
	} else if errors.Is(err, device.ErrNotBuilt) {
		_, text, _ = strings.Cut(text, ": ")
	}
	return strings.ReplaceAll(strings.TrimSpace(text), "\n", "; ")
}

func (p *program) openCPU(threads int) (device.Device, error) {
	opts := []cpu.Option{cpu.WithInstructions(p.getenv("TRAINER_CPU"))}
	if threads > 0 {
		opts = append(opts, cpu.WithThreads(threads))
	}
	dev, err := cpu.New(opts...)
	if err != nil && p.getenv("TRAINER_CPU") != "" {
		return nil, usageErrorf("TRAINER_CPU=%s: %v", p.getenv("TRAINER_CPU"), err)
	}
	return dev, err
}
