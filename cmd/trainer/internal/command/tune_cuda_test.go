//go:build cuda && linux && cgo && (amd64 || arm64)

package command

import (
	"strings"
	"testing"

	"trainer/gpu/cudasim"
)

// A search on two GPUs, which train at the same time in one process, has the results of a search on one. No GPU is involved.
func TestTuneOnTwoGPUs(t *testing.T) {
	workplace(t)
	search := func(out, settings, devices string) outcome {
		return emulated(t, cudasim.Options{}, settings,
			searchOf(out, "-trials", "4", "-epochs", "1", "-precision", "fp32", "-deterministic", "-device", devices)...)
	}
	if one := search("one", "devices=1", "cuda:0"); one.status != exitOK {
		t.Fatalf("%+v", one)
	}
	if two := search("two", "devices=2", "cuda:0,cuda:1"); two.status != exitOK || !strings.Contains(two.stdout, "on 2 devices") {
		t.Fatalf("%+v", two)
	}
	sameResults(t, "one", "two")
	if missing := search("three", "devices=2", "cuda:0,cuda:2"); missing.status == exitOK {
		t.Errorf("%+v", missing)
	}
}
