package bench

import (
	"errors"
	"testing"

	"trainer/cpu"
	"trainer/nn/device"
	"trainer/nn/device/devicetest"
)

// The number of elements in a batch of 250 images of 31 x 31 with 64 channels: far more than the caches hold, as in
// training.
const elements = 250 * 31 * 31 * 64

// runGroup returns the benchmark of the operations of a group, from the list of package devicetest. Memory-bound
// operations are reported together with a copy, which shows the full memory bandwidth.
func runGroup(group devicetest.Group) func(*testing.B) {
	return func(b *testing.B) {
		if group == devicetest.Elementwise {
			b.Run("copy", runCopy)
		}
		d := open(b)
		o := devicetest.NewOperands(b, d, device.Float32, devicetest.Large)
		for _, op := range devicetest.Operations() {
			if op.Group != group {
				continue
			}
			for _, c := range op.Calls(devicetest.Large) {
				b.Run(c.Name, func(b *testing.B) { benchCall(b, d, o.Reusing(b), c) })
			}
		}
	}
}

func runCopy(b *testing.B) {
	d := open(b)
	x, y := tensor(b, d, elements), tensor(b, d, elements)
	loop(b, d, func() { d.Copy(y, x) })
	reportBytes(b, 2*4*elements)
}

// benchCall measures a call. It is skipped if the device lacks it.
func benchCall(b *testing.B, d *cpu.Device, o *devicetest.Operands, c devicetest.Call) {
	w, err := c.Make(o)
	if errors.Is(err, device.ErrNotSupported) {
		b.Skip(err)
	}
	check(b, err)
	loop(b, d, w.Run)
	if w.FLOPs > 0 {
		reportFLOPs(b, d, w.FLOPs)
	} else {
		reportBytes(b, w.Bytes)
	}
}
