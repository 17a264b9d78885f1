package cpu

import (
	"errors"
	"runtime"
	"testing"

	"trainer/nn/device"
)

// What no machine has is refused with an error, by tensors and by the memory that plans allocate.
func TestShortageOfMemory(t *testing.T) {
	if runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
		t.Skip("this system doesn't say how much memory there is")
	}
	d := newDevice(t, WithThreads(1))
	const huge = 1 << 24
	for name, allocate := range map[string]func() error{
		"tensor": func() error { _, err := d.NewTensor(device.Float32, huge, huge); return err },
		"bytes":  func() error { _, err := d.NewTensor(device.Uint8, huge, huge, 16); return err },
		"matmul": func() error { _, err := d.NewMatMul(device.MatMulSpec{M: 1, K: huge, N: huge}); return err },
		"convolution": func() error {
			_, err := d.NewConv2D(device.Conv2DSpec{N: 1, H: 1, W: 1, InC: huge, OutC: huge, KH: 1, KW: 1, StrideH: 1, StrideW: 1, DilationH: 1, DilationW: 1, Groups: 1})
			return err
		},
	} {
		err := allocate()
		var memory *device.MemoryError
		if !errors.Is(err, device.ErrOutOfMemory) || !errors.As(err, &memory) || memory.Wanted < 1<<48 || memory.Free <= 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := d.NewTensor(device.Float32, 1<<20); err != nil {
		t.Errorf("4 MiB: %v", err)
	}
}
