//go:build cuda && linux && cgo && (amd64 || arm64)

package cuda

import (
	"errors"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"gorgonia.org/cu"
	cudnn "gorgonia.org/cu/dnn"

	"trainer/nn/device"
)

func newDNN(t *testing.T) *DNN {
	t.Helper()
	open(t)
	d, err := NewDNN()
	check(t, err)
	t.Cleanup(func() { check(t, d.Close()) })
	return d
}

// newConvolution describes a convolution, and returns the tensors that the fake expects: x is 1,
// w 2, y 3 and the workspace of 64 bytes 4.
func newConvolution(t *testing.T, typ DataType) (c *Convolution, x, w, y, ws cu.DevicePtr) {
	t.Helper()
	c = &Convolution{}
	var err [4]error
	c.X, err[0] = NewTensorDesc(typ, 2, 8, 9, 6)
	c.W, err[1] = NewFilterDesc(typ, 4, 3, 5, 3)
	c.Conv, err[2] = NewConvolutionDesc(Geometry{1, 2, 1, 1, 1, 1, 2}, DefaultMath)
	c.Y, err[3] = NewTensorDesc(typ, 2, 8, 9, 4)
	check(t, err[:]...)
	t.Cleanup(func() {
		check(t, DestroyTensorDesc(c.X), DestroyFilterDesc(c.W), DestroyConvolutionDesc(c.Conv), DestroyTensorDesc(c.Y))
	})
	return c, floats(t, 1), floats(t, 2), floats(t, 3), floats(t, 4)
}

// fakeFields reads a descriptor of the fake: kind, type, format and attributes.
func fakeFields(handle unsafe.Pointer, n int) []int32 { return unsafe.Slice((*int32)(handle), n) }

func TestDescriptors(t *testing.T) {
	newDNN(t)
	c, _, _, _, _ := newConvolution(t, BFloat16)
	pool, err := NewPoolingDesc(cudnn.MaxPooling, Window{2, 3, 0, 1, 2, 1})
	check(t, err)
	act, err := NewActivationDesc(cudnn.ClippedReLU, 6)
	check(t, err)
	for _, d := range []struct {
		name string
		got  []int32
		want []int32
	}{
		// NCHW numbers with format 1, NHWC, and type 9, bfloat16.
		{"tensor", fakeFields(unsafe.Pointer(tensorHandle(c.X)), 7), []int32{1, 9, 1, 2, 6, 8, 9}},
		{"filter", fakeFields(unsafe.Pointer(filterHandle(c.W)), 7), []int32{2, 9, 1, 4, 3, 3, 5}},
		// Adds in float32; the math type and the groups come last.
		{"convolution", fakeFields(unsafe.Pointer(convolutionHandle(c.Conv)), 15), []int32{3, 0, 0, 1, 2, 1, 1, 1, 1, 0, 0, 0, 0, 0, 2}},
		{"pooling", fakeFields(unsafe.Pointer(poolingHandle(pool)), 9), []int32{4, 0, 1, 2, 3, 0, 1, 2, 1}},
		{"activation", fakeFields(unsafe.Pointer(activationHandle(act)), 4), []int32{5, 3, 1, 6}},
	} {
		if diff := cmp.Diff(d.want, d.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", d.name, diff)
		}
	}
	check(t, DestroyPoolingDesc(pool), DestroyActivationDesc(act))
	check(t, DestroyTensorDesc(nil), DestroyFilterDesc(nil), DestroyConvolutionDesc(nil), DestroyPoolingDesc(nil), DestroyActivationDesc(nil))

	for _, err := range []error{
		second(NewTensorDesc(Float32, -1, 1, 1, 1)), second(NewFilterDesc(Float32, 1, 1, -1, 1)),
		second(NewConvolutionDesc(Geometry{PadH: -1}, FMAMath)), second(NewPoolingDesc(cudnn.MaxPooling, Window{KH: -1})),
		second(NewActivationDesc(cudnn.Elu, -1)),
	} {
		var e *Error
		if !errors.As(err, &e) || e.Code != 2000 || e.Name != "CUDNN_STATUS_BAD_PARAM" || e.Library != CuDNN9 || e.Detail != "the fake's reason" {
			t.Errorf("%v, want BAD_PARAM of cuDNN 9", err)
		}
	}
	wantText(t, second(NewTensorDesc(Float32, 1, 2, 3, -4)),
		"describing a tensor [1,2,3,-4]: cudnnSetTensor4dDescriptor: CUDNN_STATUS_BAD_PARAM: the fake's reason")
}

func second[T any](_ T, err error) error { return err }

func TestAlgorithms(t *testing.T) {
	d := newDNN(t)
	c, x, w, y, ws := newConvolution(t, Float32)
	for _, p := range []Pass{Forward, BackwardData, BackwardFilter} {
		// The fake's second algorithm doesn't support the convolution, and its first isn't deterministic.
		want := []Algorithm{
			{Number: int(p), Math: TensorOpMath},
			{Number: int(p) + 2, Math: TensorOpMath, Workspace: 128, Deterministic: true},
		}
		got, err := d.Algorithms(p, c)
		check(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%v: Algorithms (-want +got):\n%s", p, diff)
		}
		want[0].Time, want[1].Time = 500*time.Microsecond, 1500*time.Microsecond
		got, err = d.FindAlgorithms(p, c, x, w, y, ws, 64)
		check(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%v: FindAlgorithms (-want +got):\n%s", p, diff)
		}
		if size, err := d.WorkspaceSize(p, c, 3); size != 192 || err != nil {
			t.Errorf("%v: WorkspaceSize: %d, %v", p, size, err)
		}
		if _, err := d.WorkspaceSize(p, c, 7); !errors.Is(err, device.ErrNotSupported) {
			t.Errorf("%v: WorkspaceSize: %v, want a device.ErrNotSupported", p, err)
		}
		// Tensors in the wrong places.
		if got, err := d.FindAlgorithms(p, c, w, x, y, ws, 64); err == nil || got != nil {
			t.Errorf("%v: FindAlgorithms takes anything", p)
		}
	}
}

// The fake checks where each tensor is, and returns 10 algorithm + alpha + beta/100.
func TestConvolve(t *testing.T) {
	d := newDNN(t)
	s, err := NewStream()
	check(t, err, d.SetStream(s))
	for _, p := range []Pass{Forward, BackwardData, BackwardFilter} {
		c, x, w, y, ws := newConvolution(t, Float32)
		check(t, d.Convolve(p, c, 3, 2, x, w, y, ws, 64, 1))
		out := map[Pass]cu.DevicePtr{Forward: y, BackwardData: x, BackwardFilter: w}[p]
		if got := read(t, out, 1)[0]; got != 32.01 {
			t.Errorf("%v: %g, want 32.01", p, got)
		}
		wantText(t, d.Convolve(p, c, 3, 1, x, w, y, ws, 63, 0), p.String()+": "+map[Pass]string{
			Forward: "cudnnConvolutionForward", BackwardData: "cudnnConvolutionBackwardData", BackwardFilter: "cudnnConvolutionBackwardFilter",
		}[p]+": CUDNN_STATUS_BAD_PARAM: the fake's reason")
	}
}

// The fake records the value that each argument points to, in the order of cuDNN's arguments.
func TestLayers(t *testing.T) {
	d := newDNN(t)
	c, x, w, _, ws := newConvolution(t, Float16)
	pool, err := NewPoolingDesc(cudnn.MaxPooling, Window{KH: 2, KW: 2, StrideH: 2, StrideW: 2})
	check(t, err)
	relu, err := NewActivationDesc(cudnn.ReLU, 0)
	check(t, err)
	bn := &BatchNorm{cudnn.Spatial, c.X, c.X, 1e-5}
	p := func(v float32) cu.DevicePtr { return floats(t, v) }
	for _, l := range []struct {
		name string
		run  func(out cu.DevicePtr) error
		want []float32
	}{
		{"convolution, bias, activation", func(out cu.DevicePtr) error {
			return d.ConvolveBiasActivate(c, 1, x, w, ws, 64, 0.5, 0.25, c.Y, p(7), c.Y, p(8), relu, out)
		}, []float32{1, 2, 4, 7, 8, 0.5, 0.25}},
		{"bias backward", func(out cu.DevicePtr) error { return d.BackwardBias(0.5, c.Y, p(5), 0.25, c.Y, out) }, []float32{5, 0.5, 0.25}},
		{"add", func(out cu.DevicePtr) error { return d.AddTensor(0.5, c.Y, p(5), 1, c.Y, out) }, []float32{5, 0.5, 1}},
		{"pool", func(out cu.DevicePtr) error { return d.Pool(pool, 0.5, c.X, p(5), 0.25, c.Y, out) }, []float32{5, 0.5, 0.25}},
		{"pool backward", func(out cu.DevicePtr) error {
			return d.PoolBackward(pool, 0.5, c.Y, p(5), p(6), 0.25, c.X, p(7), out)
		}, []float32{5, 6, 7, 0.5, 0.25}},
		{"activation", func(out cu.DevicePtr) error { return d.Activate(relu, 0.5, c.X, p(5), 0.25, out) }, []float32{5, 0.5, 0.25}},
		{"activation backward", func(out cu.DevicePtr) error {
			return d.ActivateBackward(relu, 0.5, c.X, p(5), p(6), p(7), 0.25, out)
		}, []float32{5, 6, 7, 0.5, 0.25}},
		{"softmax", func(out cu.DevicePtr) error { return d.Softmax(cudnn.Log, 0.5, c.X, p(5), 0.25, out) }, []float32{5, 0.5, 0.25}},
		{"softmax backward", func(out cu.DevicePtr) error {
			return d.SoftmaxBackward(cudnn.Log, 0.5, c.X, p(5), p(6), 0.25, out)
		}, []float32{5, 6, 0.5, 0.25}},
		{"batch norm", func(out cu.DevicePtr) error {
			return d.BatchNormTrain(bn, p(2), out, p(3), p(4), 0.25, p(5), p(6), p(7), p(8))
		}, []float32{2, 3, 4, 5, 6, 7, 8, 1, 0}},
		{"batch norm inference", func(out cu.DevicePtr) error {
			return d.BatchNormInfer(bn, p(2), out, p(3), p(4), p(5), p(6))
		}, []float32{2, 3, 4, 5, 6, 1, 0}},
		{"batch norm backward", func(out cu.DevicePtr) error {
			return d.BatchNormBackward(bn, p(2), p(3), out, p(4), p(5), p(6), 0.75, p(7), p(8))
		}, []float32{2, 3, 4, 5, 6, 7, 8, 1, 0, 1, 0.75}},
	} {
		out := floats(t, make([]float32, 12)...)
		if err := l.run(out); err != nil {
			t.Errorf("%s: %v", l.name, err)
			continue
		}
		if diff := cmp.Diff(l.want, read(t, out, len(l.want))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", l.name, diff)
		}
	}
	check(t, DestroyPoolingDesc(pool), DestroyActivationDesc(relu))
}
