// Package bench holds the benchmark cases: matrix products, convolutions, elementwise kernels, whole training steps and
// data loading, in groups of this order.
//
// Every case reports the measure of its resource: GFLOP/s and the percentage of the multiply-add peak measured in the
// same process, GB/s and the percentage of a measured copy, or images per second. Run with
//
//	go test -bench ./bench          in the root, or
//	go test -bench . ./bench
//
// TRAINER_CPU=avx512|avx2|generic selects the instruction set, -cpu 1,2 the threads. TRAINER_BENCH_DEVICE=cuda runs the
// GPU cases instead (see cuda.go).
package bench

import (
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"trainer/cpu"
	"trainer/nn/device"
	"trainer/nn/device/devicetest"
)

// Run runs every case as a sub-benchmark of b.
func Run(b *testing.B) {
	if index, ok := onCUDA(b); ok {
		b.Run("cuda", func(b *testing.B) { runCUDA(b, index) })
		return
	}
	for _, group := range []struct {
		name string
		run  func(*testing.B)
	}{
		{"gemm", runGroup(devicetest.Products)},
		{"conv", runGroup(devicetest.Convolutions)},
		{"elementwise", runGroup(devicetest.Elementwise)},
		{"step", runStep},
		{"data", runData},
	} {
		b.Run(group.name, group.run)
	}
}

// open returns a CPU device with GOMAXPROCS threads.
func open(b *testing.B) *cpu.Device {
	b.Helper()
	d, err := cpu.New(cpu.WithThreads(runtime.GOMAXPROCS(0)), cpu.WithInstructions(os.Getenv("TRAINER_CPU")))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { d.Close() })
	return d
}

// tensor is RandomTensor for a benchmark.
func tensor(b *testing.B, d device.Device, shape ...int) *device.Tensor {
	b.Helper()
	return must(RandomTensor(d, shape...))(b)
}

// must returns the plan, or fails the benchmark on an error.
func must[P any](p P, err error) func(b *testing.B) P {
	return func(b *testing.B) P {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
		return p
	}
}

// reportFLOPs reports GFLOP/s, and the percentage of the peak of all threads.
func reportFLOPs(b *testing.B, d *cpu.Device, each int64) {
	b.Helper()
	rate := float64(each) * float64(b.N) / b.Elapsed().Seconds()
	b.ReportMetric(rate/1e9, "GFLOP/s")
	b.ReportMetric(100*rate/d.Peak(200*time.Millisecond), "%peak")
}

// reportBytes reports GB/s, counting bytes read and written.
func reportBytes(b *testing.B, each int64) {
	b.Helper()
	b.ReportMetric(float64(each)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GB/s")
}

// reportImages reports images per second.
func reportImages(b *testing.B, each int) {
	b.Helper()
	b.ReportMetric(float64(each)*float64(b.N)/b.Elapsed().Seconds(), "img/s")
}

// loop runs the body b.N times and fails on a fault of the device.
func loop(b *testing.B, d device.Device, body func()) {
	b.Helper()
	for b.Loop() {
		body()
	}
	if err := d.Sync(); err != nil {
		b.Fatal(err)
	}
}

// human returns a size such as 4096x64, for case names.
func human(dims ...int) string {
	s := ""
	for i, d := range dims {
		if i > 0 {
			s += "x"
		}
		s += fmt.Sprint(d)
	}
	return s
}
