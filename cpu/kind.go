package cpu

import (
	"errors"
	"fmt"
	"strings"

	"trainer/nn/device"
)

// Kind describes the CPU to a program that lets its user choose a device.
func Kind() device.Kind {
	return device.Kind{
		Name: "cpu", Doc: "processor",
		Precisions: []device.Precision{device.FP32},
		Refused: map[string]string{
			"autotune":   "the CPU has no algorithms to time",
			"cuda-graph": "the CPU records no steps",
		},
		Open: func(_ int, o device.Options) (device.Device, error) {
			d, err := openWith(o)
			if err != nil {
				return nil, err // not a nil *Device, which as a device.Device would not be nil
			}
			return d, nil
		},
		Describe: func(o device.Options) (string, error) {
			d, err := openWith(o)
			if err != nil {
				return "", err
			}
			defer d.Close()
			return fmt.Sprintf("%s; in use: %s", d.info.Description, strings.Join(d.info.Features, ", ")), nil
		},
		Remedy: remedy,
	}
}

// openWith opens the CPU with the options that apply to it. The CPU is always deterministic.
func openWith(o device.Options) (*Device, error) {
	opts := []Option{WithInstructions(o.Instructions)}
	if o.Threads > 0 {
		opts = append(opts, WithThreads(o.Threads))
	}
	return New(opts...)
}

// remedy returns what to do if memory is short; other errors of the CPU need none.
func remedy(err error) string {
	if errors.Is(err, device.ErrOutOfMemory) {
		return "use a smaller network, or a machine or a limit with more memory"
	}
	return ""
}
