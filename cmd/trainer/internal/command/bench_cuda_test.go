//go:build cuda && linux && cgo && (amd64 || arm64)

package command

import (
	"testing"

	"trainer/gpu/cudasim"
)

// Of the software emulation no speed is measured, whoever chose it.
func TestBenchRefusesTheEmulation(t *testing.T) {
	for _, c := range []struct{ device, want string }{
		{"cuda", "trainer: -device cuda: cuda:0 is an emulation, whose speed means nothing\n"},
		{"auto", "trainer: -device auto: cuda:0 is an emulation, whose speed means nothing\n"},
	} {
		for _, more := range [][]string{nil, {"-recipe", "mnist", "-json"}} {
			got := emulated(t, cudasim.Options{}, "", append([]string{"bench", "-device", c.device, "-time", pause}, more...)...)
			if got.status != exitUsage || got.stdout != "" || got.stderr != c.want {
				t.Errorf("%s %q: %+v", c.device, more, got)
			}
		}
	}
	got := emulated(t, cudasim.Options{}, "busy", "bench", "-device", "cuda:0")
	if got.status != exitEnvironment || got.stdout != "" {
		t.Errorf("a GPU that can't be opened: %+v", got)
	}
}
