package bench

import (
	"context"
	"fmt"
	"time"

	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/recipe"
)

// The functions of this file measure without package testing, for `trainer bench`: a few kernels and the steps of a
// recipe, each for a time that the caller sets.

// Kernel is an operation that is measured alone.
type Kernel struct {
	Name  string // such as "convolution 3x3, 128x32x32x32 to 32", the input being [n, h, w, c]
	Pass  string // of a convolution: "forward", "backward data" or "backward filter"; else ""
	FLOPs int64  // floating-point operations per run, by the direct method; 0 for a copy
	Bytes int64  // bytes that a run of a copy reads and writes; 0 for other kernels

	prepare func(d device.Device, dtype device.DType) (run func(), err error)
}

// Kernels returns a matrix product, the three passes of three convolutions like those of the recipe cifar10-basic, with
// as many output as input channels, and a copy in memory.
func Kernels() []Kernel {
	const batch = 128
	kernels := products(1024,
		square(batch, 32, 32, 32, 3, 1, false), square(batch, 16, 64, 64, 3, 1, false), square(batch, 8, 128, 128, 3, 1, false))
	return append(kernels, Kernel{
		Name: "memory copy", Bytes: 2 * 4 * elements,
		prepare: prepareCopy,
	})
}

// LargeKernels returns kernels that are large enough for a GPU: a square matrix product, and the three passes of three
// convolutions like those of the recipe airbench94, with as many output as input channels, all powers of two.
func LargeKernels() []Kernel {
	const batch = 256
	return products(4096,
		square(batch, 32, 64, 64, 3, 1, false), square(batch, 16, 128, 128, 3, 1, false), square(batch, 8, 256, 256, 3, 1, false))
}

// products returns the product of two matrices [n, n] and the three passes of each convolution.
func products(n int, convolutions ...device.Conv2DSpec) []Kernel {
	kernels := []Kernel{{
		Name: "matrix product " + human(n, n, n), FLOPs: 2 * int64(n) * int64(n) * int64(n),
		prepare: func(d device.Device, dtype device.DType) (func(), error) { return prepareMatMul(d, dtype, n) },
	}}
	for _, s := range convolutions {
		kernels = append(kernels, convKernels(s)...)
	}
	return kernels
}

// square returns the spec of a convolution with stride 1.
func square(n, size, inC, outC, k, pad int, first bool) device.Conv2DSpec {
	return device.Conv2DSpec{
		N: n, H: size, W: size, InC: inC, OutC: outC, KH: k, KW: k, PadH: pad, PadW: pad,
		StrideH: 1, StrideW: 1, DilationH: 1, DilationW: 1, Groups: 1, NoBackwardData: first,
	}
}

// convKernels returns the three passes of a convolution.
func convKernels(s device.Conv2DSpec) []Kernel {
	var kernels []Kernel
	for _, pass := range []struct {
		name string
		run  func(p device.Conv2D, x, w, y *device.Tensor)
	}{
		{"forward", func(p device.Conv2D, x, w, y *device.Tensor) { p.Forward(y, x, w, nil) }},
		{"backward data", func(p device.Conv2D, x, w, y *device.Tensor) { p.BackwardData(x, y, w) }},
		{"backward filter", func(p device.Conv2D, x, w, y *device.Tensor) { p.BackwardFilter(w, nil, y, x) }},
	} {
		kernels = append(kernels, Kernel{
			Name: fmt.Sprintf("convolution %s, %s to %d", human(s.KH, s.KW), human(s.N, s.H, s.W, s.InC), s.OutC),
			Pass: pass.name, FLOPs: s.FLOPs(s.N),
			prepare: func(d device.Device, dtype device.DType) (func(), error) {
				spec := s
				spec.DType = dtype
				plan, err := d.NewConv2D(spec)
				if err != nil {
					return nil, err
				}
				t, err := random(d, dtype, []int{s.N, s.H, s.W, s.InC}, []int{s.OutC, s.KH, s.KW, s.InC}, []int{s.N, s.OutH(), s.OutW(), s.OutC})
				if err != nil {
					return nil, err
				}
				return func() { pass.run(plan, t[0], t[1], t[2]) }, nil
			},
		})
	}
	return kernels
}

func prepareMatMul(d device.Device, dtype device.DType, n int) (func(), error) {
	plan, err := d.NewMatMul(device.MatMulSpec{M: n, N: n, K: n, DType: dtype})
	if err != nil {
		return nil, err
	}
	t, err := random(d, dtype, []int{n, n}, []int{n, n}, []int{n, n})
	if err != nil {
		return nil, err
	}
	return func() { plan.Run(t[0], t[1], t[2], nil) }, nil
}

func prepareCopy(d device.Device, dtype device.DType) (func(), error) {
	t, err := random(d, dtype, []int{elements}, []int{elements})
	if err != nil {
		return nil, err
	}
	return func() { d.Copy(t[0], t[1]) }, nil
}

// random returns a RandomTensorOf for each shape.
func random(d device.Device, dtype device.DType, shapes ...[]int) ([]*device.Tensor, error) {
	tensors := make([]*device.Tensor, len(shapes))
	for i, shape := range shapes {
		var err error
		if tensors[i], err = RandomTensorOf(d, dtype, shape...); err != nil {
			return nil, err
		}
	}
	return tensors, nil
}

// Prepare allocates the operands, of a float type, and returns a function that queues the kernel once. Errors come from
// the device.
func (k Kernel) Prepare(d device.Device, dtype device.DType) (run func(), err error) {
	return k.prepare(d, dtype)
}

// Measure runs the kernel in float32, once unmeasured and then for about t, at least once, and returns the runs per
// second. t must be above 0. Errors come from the device.
func (k Kernel) Measure(d device.Device, t time.Duration) (float64, error) {
	run, err := k.Prepare(d, device.Float32)
	if err == nil {
		var rate float64
		rate, err = perSecond(t, func() error {
			run()
			return d.Sync()
		})
		if err == nil {
			return rate, nil
		}
	}
	return 0, fmt.Errorf("measuring %s: %w", k.Name, err)
}

// perSecond calls f once unmeasured and then for about t, at least once, and returns the calls per second, or f's first
// error.
func perSecond(t time.Duration, f func() error) (float64, error) {
	if err := f(); err != nil { // the first call touches all memory for the first time
		return 0, err
	}
	start := time.Now()
	for n := 1; ; n++ {
		if err := f(); err != nil {
			return 0, err
		}
		if took := time.Since(start); took >= t {
			return float64(n) / took.Seconds(), nil
		}
	}
}

// StepSpeed is the speed of whole training steps.
type StepSpeed struct {
	Batch           int // images per step
	ImagesPerSecond float64
	FLOPs           float64 // floating-point operations per second, counting a step as three forward passes
}

// MeasureSteps trains a recipe's network on random images of a shape [h, w, c] and 10 classes: one step unmeasured, and
// then for about t, which must be above 0, but at least one step. A step is the same as in training: loading, upload,
// augmentation, forward, loss, backward, update.
//
// The batch is the recipe's, halved until a step takes no longer than t at half of peak, the device's floating-point
// operations per second.
//
// Errors come from train.NewStepper and the device; if ctx is cancelled, the error is ctx's.
func MeasureSteps(ctx context.Context, d device.Device, r *recipe.Recipe, shape nn.Shape, peak float64, t time.Duration) (*StepSpeed, error) {
	small, err := newTraining(d, r, shape, 2) // every network can train on 2 images
	if err != nil {
		return nil, err
	}
	flops := 3 * float64(small.Network().FLOPs())
	least := small.Network().SmallestBatch()
	small.Close()

	batch := r.Batch
	for batch/2 >= least && flops*float64(batch) > peak/2*t.Seconds() {
		batch /= 2
	}
	full, err := newTraining(d, r, shape, batch)
	if err != nil {
		return nil, err
	}
	defer full.Close()
	rate, err := perSecond(t, func() error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := full.Step(); err != nil {
			return err
		}
		return d.Sync()
	})
	if err != nil {
		return nil, err
	}
	rate *= float64(batch)
	return &StepSpeed{Batch: batch, ImagesPerSecond: rate, FLOPs: rate * flops}, nil
}

// newTraining returns a training of a recipe's network on two batches of synthetic images.
func newTraining(d device.Device, r *recipe.Recipe, shape nn.Shape, batch int) (*Training, error) {
	set := SyntheticImages(2*batch, shape[0], shape[1], shape[2])
	split := &data.Dataset{Train: set}
	if len(r.Data) > 0 {
		split.Name = r.Data[0] // so that the recipe's mean and standard deviation of this data set apply
	}
	cfg := r.TrainConfig(d, split, 1)
	cfg.Batch = batch
	cfg.Epochs = 1e6
	return NewTraining(cfg, data.LoaderConfig{Set: set, Batch: batch, Seed: 1, Shuffle: true})
}
