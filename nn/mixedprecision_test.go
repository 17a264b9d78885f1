package nn

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"trainer/cpu"
	"trainer/nn/device"
)

// Results in 16 bits are tested in package gpu, on a device that supports them. The tests here check errors, and the
// calls that a network makes on such a device, in order.

func newHost(t *testing.T) device.Device {
	t.Helper()
	dev, err := cpu.New(cpu.WithThreads(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	return dev
}

// A device without 16-bit support returns an error that names no layer, because no layer is at fault.
func TestNoMixedPrecision(t *testing.T) {
	dev := newHost(t)
	for _, c := range []struct {
		dtype     device.DType
		supported bool // by some devices
		want      string
	}{
		{device.Float16, true, "compiling the network: activations in float16: cpu has only float32: not supported by the device"},
		{device.BFloat16, true, "compiling the network: activations in bfloat16: cpu has only float32: not supported by the device"},
		{device.Uint8, false, "compiling the network: activations in uint8: want float32, float16 or bfloat16"},
		{device.DType(99), false, "compiling the network: activations in DType(99): want float32, float16 or bfloat16"},
	} {
		for _, training := range []bool{true, false} {
			n, err := Compile(dev, smallModel(), Options{Input: Shape{4, 4, 1}, Batch: 3, Training: training, Loss: CrossEntropy{}, DType: c.dtype})
			if n != nil || err == nil || err.Error() != c.want {
				t.Errorf("training %v: the error is %v, want %q", training, err, c.want)
			}
			if errors.Is(err, device.ErrNotSupported) != c.supported {
				t.Errorf("%v: errors.Is ErrNotSupported is %v", c.dtype, !c.supported)
			}
		}
	}
}

// In float32 nothing is copied, and there is no scale.
func TestFloat32HasNoCopies(t *testing.T) {
	for _, dtype := range []device.DType{0, device.Float32} {
		n, err := Compile(newHost(t), smallModel(), Options{Input: Shape{4, 4, 1}, Batch: 3, Training: true, Loss: CrossEntropy{}, DType: dtype})
		if err != nil {
			t.Fatal(err)
		}
		if n.DType() != device.Float32 || n.Scaling() != nil {
			t.Errorf("type %v, scaling %v", n.DType(), n.Scaling())
		}
		for _, p := range n.Params() {
			if p.ComputeCopy != p.Value || p.LowPrecisionGrad != p.Grad || p.Scaling != nil {
				t.Errorf("%s has a copy or a scale", p.Name)
			}
		}
	}
}

func TestFirstScale(t *testing.T) {
	for _, c := range []struct {
		batch int
		sum   bool
		want  float32
	}{
		{1, false, 1}, {2, false, 2}, {3, false, 4}, {128, false, 128}, {129, false, 256}, {1000, false, 1024}, {1024, false, 1024},
		{1, true, 1}, {1024, true, 1},
	} {
		got := firstScale(c.sum, c.batch)
		if got != c.want {
			t.Errorf("a batch of %d, summed %v: %v, want %v", c.batch, c.sum, got, c.want)
		}
		if f, _ := math.Frexp(float64(got)); f != 0.5 {
			t.Errorf("a batch of %d, summed %v: %v is no power of two", c.batch, c.sum, got)
		}
	}
}

// unscaledLoss doesn't call LossScaling, so its gradient is not scaled.
type unscaledLoss struct{ MeanSquaredError }

func (unscaledLoss) Build(*Builder, LossInput) (BuiltLoss, error) { return recordedLoss{}, nil }

func TestLossWithoutScale(t *testing.T) {
	for dtype, works := range map[device.DType]bool{device.Float32: true, device.BFloat16: true, device.Float16: false} {
		_, err := Compile(&recorder{Device: newHost(t)}, smallModel(), Options{Input: Shape{4, 4, 1}, Batch: 3, Training: true, Loss: unscaledLoss{}, DType: dtype})
		if (err == nil) != works {
			t.Errorf("%v: the error is %v", dtype, err)
		}
		if err != nil && !strings.Contains(err.Error(), "Builder.LossScaling") {
			t.Errorf("%v: the error is %v, want one about Builder.LossScaling", dtype, err)
		}
	}
}

// smallModel has one operand of each kind, for images of 4x4x1.
func smallModel() *Sequential {
	return NewSequential(Conv2D{OutC: 2, Kernel: Square(3)}, Flatten{}, Dense{Out: 3})
}

// recorder is a device with 16-bit support that computes nothing: it records the calls, with the types of the tensors,
// destination first.
type recorder struct {
	device.Device
	calls   []string
	scaling *device.LossScalingSpec
	losses  []device.LossSpec
}

func (r *recorder) record(call string, tensors ...*device.Tensor) {
	for _, t := range tensors {
		if t == nil {
			call += " -"
		} else {
			call += " " + t.DType().String()
		}
	}
	r.calls = append(r.calls, call)
}

// take returns the calls so far, and clears the record.
func (r *recorder) take() []string {
	calls := r.calls
	r.calls = nil
	return calls
}

type (
	recordedConv    struct{ *recorder }
	recordedProduct struct{ *recorder }
	recordedSum     struct{ *recorder }
	recordedCast    struct{ *recorder }
	recordedScaling struct{ *recorder }
	recordedLoss    struct{ *recorder }
	recordedList    struct {
		*recorder
		spec device.CastListSpec
	}
)

func (r *recorder) NewConv2D(device.Conv2DSpec) (device.Conv2D, error) { return recordedConv{r}, nil }
func (r *recorder) NewMatMul(device.MatMulSpec) (device.MatMul, error) {
	return recordedProduct{r}, nil
}
func (r *recorder) NewReduce(device.ReduceSpec) (device.Reduce, error) { return recordedSum{r}, nil }
func (r *recorder) NewCast(device.CastSpec) (device.Cast, error)       { return recordedCast{r}, nil }
func (r *recorder) NewCastList(s device.CastListSpec) (device.CastList, error) {
	return recordedList{r, s}, nil
}

func (r *recorder) NewLossScaling(s device.LossScalingSpec) (device.LossScaling, error) {
	r.scaling = &s
	return recordedScaling{r}, nil
}

func (r *recorder) NewLoss(s device.LossSpec) (device.Loss, error) {
	r.losses = append(r.losses, s)
	return recordedLoss{r}, nil
}

func (r recordedConv) Forward(y, x, w, bias *device.Tensor)  { r.record("conv", y, x, w, bias) }
func (r recordedConv) BackwardData(dx, dy, w *device.Tensor) { r.record("conv dx", dx, dy, w) }
func (r recordedConv) BackwardFilter(dw, db, dy, x *device.Tensor) {
	r.record("conv dw", dw, db, dy, x)
}
func (r recordedConv) Algorithm() string                     { return "none" }
func (r recordedConv) Workspace() int64                      { return 0 }
func (r recordedProduct) Run(c, a, b, bias *device.Tensor)   { r.record("product", c, a, b, bias) }
func (r recordedSum) Run(dst, src, _ *device.Tensor)         { r.record("sum", dst, src) }
func (r recordedCast) Run(dst, src *device.Tensor)           { r.record("cast", dst, src) }
func (r recordedLoss) Forward(stats, z, _, _ *device.Tensor) { r.record("loss", stats, z) }
func (r recordedLoss) Backward(dz, z, _, _ *device.Tensor)   { r.record("loss gradient", dz, z) }

func (r recordedScaling) Update() {
	call := "update scale"
	for i, source := range r.scaling.Sources {
		if source != nil {
			call += fmt.Sprintf(" and cast %v:%v", r.scaling.Grads[i], source.DType())
		}
	}
	r.record(call)
}

func (r recordedList) Run() {
	call := "casts"
	for i, dst := range r.spec.Dst {
		call += fmt.Sprintf(" %v:%v", dst, r.spec.Src[i].DType())
	}
	r.calls = append(r.calls, call)
}

// compileRecorded compiles the small model in 16 bits on a recorder, and clears the calls that compiling made.
func compileRecorded(t *testing.T, opt Options) (*recorder, *Network) {
	t.Helper()
	r := &recorder{Device: newHost(t)}
	opt.Input, opt.Batch = Shape{4, 4, 1}, 3
	n, err := Compile(r, smallModel(), opt)
	if err != nil {
		t.Fatal(err)
	}
	r.take()
	return r, n
}

// A training step rounds the weights before their first use. Gradients that products store in 16 bits are widened, and
// all gradients are checked, once the last one has been computed. Biases, their gradients, logits and losses are
// float32 throughout.
func TestOrderOfMixedPrecision(t *testing.T) {
	r, n := compileRecorded(t, Options{Training: true, Loss: CrossEntropy{}, DType: device.Float16})
	x, err := r.NewTensor(device.Float16, 3, 4, 4, 1)
	if err != nil {
		t.Fatal(err)
	}
	labels, err := r.NewTensor(device.Int32, 3)
	if err != nil {
		t.Fatal(err)
	}
	logits := n.Forward(x, Training)
	n.Loss(labels)
	n.Backward(labels)
	want := []string{
		"casts float16[2 3 3 1]:float32 float16[8 3]:float32",
		"conv float16 float16 float16 float32",
		"product float16 float16 float16 float32",
		"cast float32 float16",
		"loss float32 float32",
		"loss gradient float32 float32",
		"cast float16 float32",
		"product float32 float16 float16 -",
		"sum float32 float16",
		"product float16 float16 float16 -",
		"conv dw float16 float32 float16 float16",
		"update scale and cast float32[2 3 3 1]:float16",
	}
	if got := r.take(); !slices.Equal(got, want) {
		t.Errorf("the step asks for\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if got := logits.String(); got != "float32[3 3]" {
		t.Errorf("the outputs are %s", got)
	}
	x.SetRows(2)
	if got := n.Forward(x, Training).String(); got != "float32[2 3]" {
		t.Errorf("the outputs of a smaller batch are %s", got)
	}
}

// The loss multiplies by the scale that follows from the gradients of all trained parameters, and every parameter
// refers to that scale.
func TestLossScalingIsShared(t *testing.T) {
	r, n := compileRecorded(t, Options{Training: true, Loss: CrossEntropy{}, DType: device.Float16})
	state := n.Scaling()
	if state == nil || r.scaling == nil || r.scaling.State != state || r.scaling.Interval < 1 {
		t.Fatalf("the state is %v, of the device's plan %+v", state, r.scaling)
	}
	if len(r.losses) != 1 || r.losses[0].Scaling != state {
		t.Errorf("the loss is %+v", r.losses)
	}
	var grads []*device.Tensor
	for _, p := range n.Params() {
		if p.Scaling != state {
			t.Errorf("%s has the scale %v", p.Name, p.Scaling)
		}
		grads = append(grads, p.Grad)
	}
	if len(grads) != 4 || !slices.Equal(r.scaling.Grads, grads) {
		t.Errorf("it looks at %v, want %v", r.scaling.Grads, grads)
	}
	got := make([]float32, device.ScalingLen)
	if err := r.Download(device.Bytes(got), state); err != nil {
		t.Fatal(err)
	}
	if want := []float32{4, 0.25, 0, 0}; !slices.Equal(got, want) { // of a batch of 3
		t.Errorf("the state is %v, want %v", got, want)
	}
}

// bfloat16 has no scale, and inference has neither a scale nor gradients.
func TestMixedPrecisionWithoutScaling(t *testing.T) {
	for name, opt := range map[string]Options{
		"bfloat16":          {Training: true, Loss: CrossEntropy{}, DType: device.BFloat16},
		"inference":         {Loss: CrossEntropy{}, DType: device.Float16},
		"without a loss":    {DType: device.Float16},
		"inference in bf16": {DType: device.BFloat16},
	} {
		t.Run(name, func(t *testing.T) {
			r, n := compileRecorded(t, opt)
			if n.Scaling() != nil || r.scaling != nil {
				t.Error("there is a scale")
			}
			for _, l := range r.losses {
				if l.Scaling != nil {
					t.Error("the loss has a scale")
				}
			}
			for _, p := range n.Params() {
				if p.Scaling != nil || (p.Grad != nil) != opt.Training || (p.LowPrecisionGrad != nil) != opt.Training {
					t.Errorf("%s: scale %v, gradients %v and %v", p.Name, p.Scaling, p.Grad, p.LowPrecisionGrad)
				}
				if want := device.Float32; p.Role == Bias && p.ComputeCopy.DType() != want || p.Role == Weight && p.ComputeCopy.DType() != opt.DType {
					t.Errorf("%s enters products in %v", p.Name, p.ComputeCopy.DType())
				}
			}
		})
	}
}
