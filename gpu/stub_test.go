package gpu

import (
	"errors"
	"strings"
	"testing"

	"trainer/nn/device"
)

func TestNewFailsAndSaysWhy(t *testing.T) {
	dev, err := New(1)
	if dev != nil || !errors.Is(err, device.ErrNotBuilt) {
		t.Fatalf("New = %v, %v; want nil and ErrNotBuilt", dev, err)
	}
	if want := "cuda:1: this build has no CUDA device, use -device cpu"; !strings.Contains(err.Error(), want) {
		t.Errorf("error %q doesn't say %q", err, want)
	}
}
