package gpu

import "trainer/nn/device"

// Kind describes CUDA devices to a program that lets its user choose one.
func Kind() device.Kind {
	return device.Kind{
		Name: "cuda", Doc: "NVIDIA GPU", Numbered: true,
		Precisions: Precisions(),
		Open:       openWith,
		Count:      Count,
		Connect:    Connect,
		Describe:   inBuild,
		Remedy:     Remedy,
		Advice:     "run trainer doctor for details",
	}
}

// openWith opens a device with the options that apply to a GPU.
func openWith(index int, o device.Options) (device.Device, error) {
	opts := []Option{WithPrecision(o.Precision)}
	if o.Deterministic {
		opts = append(opts, WithDeterministic())
	}
	if o.Autotune {
		opts = append(opts, WithAutotune())
	}
	return New(index, opts...)
}

// inBuild says whether this program includes the CUDA device. It loads no library.
func inBuild(device.Options) (string, error) {
	if !Built {
		return "not in this build", nil
	}
	return "in this build (trainer doctor checks whether a GPU can be used)", nil
}
