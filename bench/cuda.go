package bench

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"

	"trainer/gpu"
	"trainer/nn/device"
)

// The GPU cases, in a build with the tag cuda:
//
//	TRAINER_BENCH_DEVICE=cuda go test -tags cuda -run '^$' -bench ./bench -benchtime 0.2s
//
// The cases measure the plans of package gpu, each with every element type that it supports. Matrix products and
// convolutions are compared with the peak, everything else with a copy, both measured in the same process.

// deviceVariable names the device whose cases run: cpu (or nothing), cuda or cuda:N.
const deviceVariable = "TRAINER_BENCH_DEVICE"

// dryVariable, if it is 1, makes the GPU cases run once, on small tensors, and report no speeds. That checks that they
// work, and is the only way to run them on the software emulation of CUDA.
const dryVariable = "TRAINER_BENCH_DRY"

// onCUDA returns the index of the GPU that the environment selects; ok is false if it selects the CPU.
func onCUDA(b *testing.B) (index int, ok bool) {
	b.Helper()
	name := os.Getenv(deviceVariable)
	kind, number, numbered := strings.Cut(name, ":")
	switch {
	case name == "" || name == "cpu":
		return 0, false
	case name == "cuda":
		return 0, true
	case kind == "cuda" && numbered:
		if n, err := strconv.ParseUint(number, 10, 16); err == nil {
			return int(n), true
		}
	}
	b.Fatalf("%s=%s: want cpu, cuda or cuda:N", deviceVariable, name)
	return 0, false
}

// accelerator is the GPU that is measured.
type accelerator struct {
	index int
	dry   bool // nothing is measured: see dryVariable

	peaks map[gpu.Precision]float64 // floating-point operations per second; filled in by peak
	copy  float64                   // bytes per second that a copy reads and writes; filled in by runCopy
}

// runCUDA runs the GPU cases.
func runCUDA(b *testing.B, index int) {
	a := &accelerator{index: index, dry: os.Getenv(dryVariable) == "1", peaks: map[gpu.Precision]float64{}}
	a.open(b, gpu.Auto) // fails before the first case if the GPU can't be used
	for _, group := range []struct {
		name string
		run  func(*accelerator, *testing.B)
	}{
		{"step", (*accelerator).runSteps},
		{"memory", (*accelerator).runMemory},
		{"gemm", (*accelerator).runGEMM},
		{"conv", (*accelerator).runConv},
	} {
		b.Run(group.name, func(b *testing.B) { group.run(a, b) })
	}
}

// open opens the GPU, and closes it when b ends. It skips the case if the GPU doesn't support the precision.
func (a *accelerator) open(b *testing.B, p gpu.Precision, opts ...gpu.Option) device.Device {
	b.Helper()
	d, err := gpu.New(a.index, append(opts, gpu.WithPrecision(p))...)
	if p != gpu.Auto && errors.Is(err, device.ErrNotSupported) {
		b.Skip(err)
	}
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := d.Close(); err != nil {
			b.Error(err)
		}
	})
	if d.Info().Emulated && !a.dry {
		b.Fatalf("%s is an emulation, whose speed means nothing; %s=1 runs the cases without speeds", d.Name(), dryVariable)
	}
	return d
}

// precisions are the precisions in which products are measured, the fastest first.
var precisions = []gpu.Precision{gpu.FP16, gpu.BF16, gpu.TF32, gpu.FP32}

// eachPrecision runs cases in every precision that the GPU supports.
func (a *accelerator) eachPrecision(b *testing.B, run func(b *testing.B, d device.Device, p gpu.Precision)) {
	for _, p := range precisions {
		b.Run(p.String(), func(b *testing.B) { run(b, a.open(b, p), p) })
	}
}

// datasheets are the dense rates in the vendor's datasheets, in 10^12 floating-point operations per second at the
// vendor's clock, by part of the GPU's name, longer parts first.
var datasheets = []struct {
	name             string
	fp32, tf32, half float64 // half: float16 and bfloat16, sums in float32
}{
	{"H100 PCIe", 51, 378, 756},
	{"H100 NVL", 60, 417, 835},
	{"H200 NVL", 60, 417, 835},
	{"H100", 67, 494, 989},
	{"H200", 67, 494, 989},
	{"A100", 19.5, 156, 312},
	{"L40S", 91.6, 183, 362},
	{"RTX 4090", 82.6, 82.6, 165.2},
	{"RTX 3090", 35.6, 35.6, 71},
}

// datasheet returns the vendor's rate for a GPU in floating-point operations per second, or 0 if it is not in the list.
func datasheet(name string, p gpu.Precision) float64 {
	for _, d := range datasheets {
		if !strings.Contains(name, d.name) {
			continue
		}
		switch p {
		case gpu.FP32:
			return 1e12 * d.fp32
		case gpu.TF32:
			return 1e12 * d.tf32
		case gpu.FP16, gpu.BF16:
			return 1e12 * d.half
		}
	}
	return 0
}
