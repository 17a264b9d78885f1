package devicetest

import (
	"testing"

	"trainer/nn/device"
)

// RunAllocations checks that no method of any plan allocates on the heap after its first
// call: a training step calls only such methods.
func RunAllocations(t *testing.T, dev device.Device) {
	t.Helper()
	eachCall(t, dev, func(t *testing.T, _ string, w Work) { allocatesNothing(t, w.Run) })
	for name, run := range copyCalls(t, dev) {
		t.Run(name, func(t *testing.T) { allocatesNothing(t, run) })
	}
}

// allocatesNothing checks calls of run after a first one, which AllocsPerRun makes. AllocsPerRun rounds the mean number of
// allocations down, so more than two calls would find no more; the second keeps one allocation of the runtime from
// counting.
func allocatesNothing(t *testing.T, run func()) {
	if n := testing.AllocsPerRun(2, run); n != 0 {
		t.Errorf("%v allocations per call", n)
	}
}

// copyCalls are the calls of Memory's methods.
func copyCalls(t *testing.T, dev device.Device) map[string]func() {
	m := memory{t, dev}
	images, pixels := m.tensor(device.Uint8, []int{50000}), make([]byte, 50000)
	a, b := m.tensor(device.Float32, []int{40000}), m.tensor(device.Float32, []int{40000})
	return map[string]func(){
		"upload":   func() { _ = dev.Upload(images, pixels) },
		"download": func() { _ = dev.Download(pixels, images) },
		"copy":     func() { dev.Copy(a, b) },
		"zero":     func() { dev.Zero(a) },
	}
}
