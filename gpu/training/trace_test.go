//go:build cuda && linux && cgo && (amd64 || arm64)

package training

import (
	"testing"

	"trainer/cpu"
	"trainer/gpu"
	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/train"
)

// trace holds the results of a training: the losses of its steps, and everything else of its first step. Tests compare it with
// the trace of another device or another precision, so 16-bit numbers are widened, and gradients are divided by the scale of
// the loss.
type trace struct {
	losses    []float64            // means of the examples
	initial   map[string][]float32 // parameters and running statistics before the first step
	input     []float32            // augmented images
	inputOff  float32              // how much two devices' images may differ; 0 allows neighbouring numbers
	dropouts  []crossing
	gradients map[string][]float32
	state     map[string][]float32 // running statistics after the first step
}

// crossing is the input and the output of a layer.
type crossing struct{ x, y []float32 }

// watch records the operands of a device's augmentation and dropout.
type watch struct {
	input    *device.Tensor
	dropouts []*watchedDropout
}

func (w *watch) augment(plan device.Augment, err error) (device.Augment, error) {
	return &watchedAugment{plan, w}, err
}

func (w *watch) transform(plan device.Transform, err error) (device.Transform, error) {
	return &watchedTransform{plan, w}, err
}

func (w *watch) dropout(plan device.Dropout, err error) (device.Dropout, error) {
	d := &watchedDropout{Dropout: plan}
	w.dropouts = append(w.dropouts, d)
	return d, err
}

type watchedAugment struct {
	device.Augment
	watch *watch
}

func (p *watchedAugment) Train(y, images, ids, epoch *device.Tensor) {
	p.watch.input = y
	p.Augment.Train(y, images, ids, epoch)
}

type watchedTransform struct {
	device.Transform
	watch *watch
}

func (p *watchedTransform) Run(y, images, ids, drawn *device.Tensor) {
	p.watch.input = y
	p.Transform.Run(y, images, ids, drawn)
}

type watchedDropout struct {
	device.Dropout
	x, y *device.Tensor
}

func (p *watchedDropout) Forward(y, x, step *device.Tensor) {
	p.x, p.y = x, y
	p.Dropout.Forward(y, x, step)
}

// watchedCPU and watchedGPU are the devices with their optional interfaces.
type (
	watchedCPU struct {
		*cpu.Device
		*watch
	}
	watchedGPU struct {
		*gpu.Device
		*watch
	}
)

func (d watchedCPU) NewAugment(s device.AugmentSpec) (device.Augment, error) {
	return d.augment(d.Device.NewAugment(s))
}

func (d watchedCPU) NewTransform(s device.TransformSpec) (device.Transform, error) {
	return d.transform(d.Device.NewTransform(s))
}

func (d watchedCPU) NewDropout(s device.DropoutSpec) (device.Dropout, error) {
	return d.dropout(d.Device.NewDropout(s))
}

func (d watchedGPU) NewAugment(s device.AugmentSpec) (device.Augment, error) {
	return d.augment(d.Device.NewAugment(s))
}

func (d watchedGPU) NewTransform(s device.TransformSpec) (device.Transform, error) {
	return d.transform(d.Device.NewTransform(s))
}

func (d watchedGPU) NewDropout(s device.DropoutSpec) (device.Dropout, error) {
	return d.dropout(d.Device.NewDropout(s))
}

// onCPU trains some steps, or batches of steps, on the CPU device.
func onCPU(t *testing.T, cfg train.Config, steps int) *trace {
	t.Helper()
	dev, err := cpu.New()
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	w := &watch{}
	cfg.Device = watchedCPU{dev, w}
	return w.follow(t, cfg, steps)
}

// onGPU trains some steps on a device of package gpu.
func onGPU(t *testing.T, d *gpu.Device, cfg train.Config, steps int) *trace {
	t.Helper()
	w := &watch{}
	cfg.Device = watchedGPU{d, w}
	return w.follow(t, cfg, steps)
}

func (w *watch) follow(t *testing.T, cfg train.Config, steps int) *trace {
	t.Helper()
	s, err := train.NewStepper(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	loader, err := data.NewLoader(data.LoaderConfig{
		Set: s.TrainSet(), Batch: cfg.Batch, Seed: cfg.Seed, Shuffle: true, DropLast: cfg.LastBatch == train.DropLastBatch,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer loader.Close()
	tr := &trace{initial: values(t, s.Network().Device(), s.Network().Tensors())}
	if len(cfg.Augment.Transforms) > 0 {
		tr.inputOff = 1e-5 // a few rounding errors of coordinates and colours, divided by a standard deviation of 0.3
	}
	for step := range steps {
		if step%loader.Steps() == 0 {
			loader.Start(step/loader.Steps(), 0)
		}
		batch, err := loader.Next()
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Step(batch); err != nil {
			t.Fatal(err)
		}
		loader.Release(batch)
		loss, _, count, err := s.Collect()
		if err != nil {
			t.Fatal(err)
		}
		tr.losses = append(tr.losses, loss/float64(count))
		if step == 0 {
			w.keep(t, tr, s.Network(), cfg.DType)
		}
	}
	return tr
}

// keep adds the results of the first step to the trace, and checks that they have the requested type.
func (w *watch) keep(t *testing.T, tr *trace, net *nn.Network, dtype device.DType) {
	t.Helper()
	dev := net.Device()
	if got := w.input.DType(); got != net.DType() || got != dtype.OrFloat32() {
		t.Fatalf("images in %v for a network in %v, want %v", got, net.DType(), dtype.OrFloat32())
	}
	tr.input = floats(t, dev, w.input)
	for _, d := range w.dropouts {
		tr.dropouts = append(tr.dropouts, crossing{floats(t, dev, d.x), floats(t, dev, d.y)})
	}
	tr.state = values(t, dev, net.State())
	inverse := float32(1)
	if state := net.Scaling(); state != nil {
		inverse = floats(t, dev, state)[device.ScalingInverse]
	}
	tr.gradients = map[string][]float32{}
	for _, p := range net.Params() {
		if p.Grad == nil {
			continue
		}
		g := floats(t, dev, p.Grad)
		for i := range g {
			g[i] *= inverse
		}
		tr.gradients[p.Name] = g
	}
}

// values returns the values of parameters by name.
func values(t *testing.T, dev device.Device, params []*nn.Param) map[string][]float32 {
	t.Helper()
	all := map[string][]float32{}
	for _, p := range params {
		all[p.Name] = floats(t, dev, p.Value)
	}
	return all
}

// floats returns a tensor's numbers.
func floats(t *testing.T, dev device.Device, x *device.Tensor) []float32 {
	t.Helper()
	if x.DType() != device.Float32 {
		wide, err := dev.NewTensor(device.Float32, x.Shape()...)
		if err != nil {
			t.Fatal(err)
		}
		cast, err := dev.NewCast(device.CastSpec{From: x.DType(), To: device.Float32, Len: x.Len()})
		if err != nil {
			t.Fatal(err)
		}
		cast.Run(wide, x)
		x = wide
	}
	numbers := make([]float32, x.Len())
	if err := dev.Download(device.Bytes(numbers), x); err != nil {
		t.Fatal(err)
	}
	return numbers
}
