package devicetest

import (
	"testing"

	"trainer/nn/device"
)

// testPanics checks that a programmer's mistake panics, and that the panic names the wrong
// operand and says what would be right.
func testPanics(t *testing.T, dev device.Device, _ Options) {
	t.Run("copies", func(t *testing.T) { panicsOfCopies(t, dev) })
	t.Run("slices", func(t *testing.T) { panicsOfSlices(t, dev) })
	for _, op := range Operations() {
		if op.Panics != nil {
			t.Run(op.Name, func(t *testing.T) { op.Panics(t, dev) })
		}
	}
}

func panicsOfCopies(t *testing.T, dev device.Device) {
	m := memory{t, dev}
	x := m.tensor(device.Float32, []int{2, 3})
	other, bytes := m.tensor(device.Float32, []int{7}), m.tensor(device.Uint8, []int{6})
	mustPanic(t, "upload of too little", func() { _ = dev.Upload(x, make([]byte, 20)) }, "float32[2 3]", "20")
	mustPanic(t, "upload of too much", func() { _ = dev.Upload(x, make([]byte, 28)) }, "float32[2 3]", "28")
	mustPanic(t, "download to too little", func() { _ = dev.Download(make([]byte, 20), x) }, "float32[2 3]", "20")
	mustPanic(t, "download to too much", func() { _ = dev.Download(make([]byte, 28), x) }, "float32[2 3]", "28")
	mustPanic(t, "copy of another size", func() { dev.Copy(x, other) }, "float32[2 3]", "7")
	mustPanic(t, "copy of another type", func() { dev.Copy(x, bytes) }, "float32[2 3]", "uint8")
	mustPanic(t, "tensor without dimensions", func() { _, _ = dev.NewTensor(device.Float32) })
	mustPanic(t, "tensor with a dimension of 0", func() { _, _ = dev.NewTensor(device.Float32, 2, 0) }, "[2 0]")
}
