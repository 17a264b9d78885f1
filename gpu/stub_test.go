//go:build !(cuda && linux && cgo && (amd64 || arm64))

package gpu

import (
	"errors"
	"strings"
	"testing"

	"trainer/nn/device"
)

func TestNewFailsAndSaysWhy(t *testing.T) {
	dev, err := New(1, WithAutotune())
	if dev != nil || !errors.Is(err, device.ErrNotBuilt) {
		t.Fatalf("New = %v, %v; want nil and ErrNotBuilt", dev, err)
	}
	for _, want := range []string{"cuda:1: opening the device: this build has no CUDA device", "use -device cpu"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q doesn't say %q", err, want)
		}
	}
}

func TestRemedy(t *testing.T) {
	for _, c := range []struct{ system, architecture, want string }{
		{"linux", "amd64", "`make`"},
		{"linux", "arm64", "`make`"},
		{"linux", "riscv64", "this is linux on riscv64"},
		{"darwin", "arm64", "this is darwin on arm64"},
		{"windows", "amd64", "this is windows on amd64"},
	} {
		if got := remedy(c.system, c.architecture); !strings.Contains(got, c.want) {
			t.Errorf("on %s, %s: %q doesn't say %q", c.system, c.architecture, got, c.want)
		}
	}
}
