package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"trainer/bench"
	"trainer/cpu"
	"trainer/nn/device"
	"trainer/nn/recipe"
)

// counting is a device that counts the waits for it.
type counting struct {
	device.Device
	syncs int
}

func (c *counting) Sync() error {
	c.syncs++
	return c.Device.Sync()
}

// newGPUBenchmark returns a benchmark whose code for GPUs runs on a device, such as the CPU.
func newGPUBenchmark(t *testing.T) (*gpuBenchmark, *counting, *bytes.Buffer) {
	t.Helper()
	var stdout bytes.Buffer
	p := &program{Config: config(), stdout: &stdout, getenv: func(string) string { return "" }}
	dev, err := p.openHost(1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	o := &benchOptions{time: time.Millisecond, json: true}
	return &gpuBenchmark{&benchmark{program: p, benchOptions: o, ctx: t.Context()}, "cpu", cpu.Kind()}, &counting{Device: dev}, &stdout
}

// A rate is that of everything that was queued up to a wait.
func TestQueuedRate(t *testing.T) {
	_, dev, _ := newGPUBenchmark(t)
	calls := 0
	rate, err := queuedRate(t.Context(), dev, 40*time.Millisecond, func() error {
		calls++
		time.Sleep(time.Millisecond)
		return nil
	})
	if err != nil || rate < 100 || rate > 1000 {
		t.Errorf("%v a second, %v: want what a call of at least 1 ms allows", rate, err)
	}
	if dev.syncs < 3 || dev.syncs > 8 || calls < 10*dev.syncs/2 {
		t.Errorf("%d calls and %d waits: want many calls between two", calls, dev.syncs)
	}
	if _, err := queuedRate(t.Context(), dev, time.Second, func() error { return device.ErrLost }); !errors.Is(err, device.ErrLost) {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := queuedRate(ctx, dev, time.Second, func() error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestGPUKernelsAddUp(t *testing.T) {
	b, dev, stdout := newGPUBenchmark(t)
	kernels := bench.Kernels()[:2] // of the CPU's size
	column, err := b.measureColumn(dev, device.FP32, kernels)
	if err != nil || len(column) != len(kernels) {
		t.Fatal(column, err)
	}
	var passes []string
	for line := range strings.Lines(stdout.String()) {
		var k gpuKernelLine
		if err := json.Unmarshal([]byte(line), &k); err != nil || !(k.GFLOPS > 0) || k.Precision != "fp32" {
			t.Errorf("%v in %s", err, line)
		}
		passes = append(passes, k.Name+"/"+k.Pass)
	}
	want := "matrix product 1024x1024x1024/,convolution 3x3, 128x32x32x32 to 32/forward"
	if got := strings.Join(passes, ","); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if kernels[0].FLOPs != 2<<30 || kernels[1].FLOPs != 2*128*32*32*32*32*3*3 {
		t.Errorf("%d and %d operations", kernels[0].FLOPs, kernels[1].FLOPs)
	}
	_, err = b.measureColumn(dev, device.FP16, kernels)
	if !errors.Is(err, device.ErrNotSupported) || !strings.HasPrefix(err.Error(), "measuring matrix product 1024x1024x1024 in fp16: ") {
		t.Errorf("fp16 on the CPU: %v", err)
	}
}

// fullMemory is a device whose memory ends where a tensor has more images than fit.
type fullMemory struct {
	device.Device
	fits int
}

func (d fullMemory) NewTensor(dtype device.DType, shape ...int) (*device.Tensor, error) {
	if len(shape) == 4 && shape[0] > d.fits {
		return nil, &device.MemoryError{Wanted: 2, Free: 1}
	}
	return d.Device.NewTensor(dtype, shape...)
}

func TestGPURecipeLine(t *testing.T) {
	b, dev, _ := newGPUBenchmark(t)
	r, err := recipe.Load("mnist-basic")
	if err != nil {
		t.Fatal(err)
	}
	line, err := b.measureRecipe(dev, r)
	if err != nil {
		t.Fatal(err)
	}
	const step = 3 * (97344 + 27040) // operations an image, see TestBenchHalvesTheBatch
	if line.Batch != 64 || b.halved || line.TrainImages != 60_000 || !near(1e9*line.GFLOPS, step*line.ImagesPerSecond) ||
		!near(line.TrainSeconds*line.ImagesPerSecond, 3*60_000) {
		t.Errorf("%+v", line)
	}
	line, err = b.measureRecipe(fullMemory{dev, 20}, r)
	if err != nil || line.Batch != 16 || !b.halved || !strings.Contains(line.text(), " 16 of 64  3 epochs: ") {
		t.Errorf("without memory for more than 20 images: %v, %+v", err, line)
	}
	if _, err = b.measureRecipe(fullMemory{dev, 0}, r); !errors.Is(err, device.ErrOutOfMemory) {
		t.Errorf("without memory: %v", err)
	}
}

func TestGPULinesFit(t *testing.T) {
	table := gpuTable{kernels: bench.LargeKernels()}
	for _, p := range []device.Precision{device.FP32, device.TF32, device.FP16, device.BF16} {
		column := make([]float64, len(table.kernels))
		for i := range column {
			column[i] = 1_234_500
		}
		table.add(p, column)
	}
	recipe := gpuRecipeLine{recipeSpeed{Name: "cifar10-basic", Epochs: 9.9, RecipeBatch: 1024, Batch: 512, ImagesPerSecond: 1_234_567, GFLOPS: 123_456, TrainImages: 1, TrainSeconds: 2.6}, "fp16"}
	for line := range strings.Lines(table.text() + recipe.text()) {
		if n := len(strings.TrimRight(line, "\n")); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	for text, want := range map[string]string{
		table.text():  "\nkernel, TFLOP/s                                         fp32  tf32  fp16  bf16\nmatrix product 4096x4096x4096                           1234  1234  1234  1234\n",
		recipe.text(): "cifar10-basic  1,234,567     123.5      fp16  512 of 1024  9.9 epochs: 2.6 s",
	} {
		if !strings.HasPrefix(text, want) {
			t.Errorf("got  %s\nwant %s", text, want)
		}
	}
	info := device.Info{Description: "NVIDIA L4", Features: []string{"tf32", "compute capability 8.9", "cuDNN 9.1.0"}, Memory: 24 << 30}
	if got, want := describeGPU("cuda:1", info, "v1").text(), "\ncuda:1  NVIDIA L4, 24 GiB\nwith    compute capability 8.9, cuDNN 9.1.0"; !strings.HasSuffix(got, want) {
		t.Errorf("got %s", got)
	}
}
