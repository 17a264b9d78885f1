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

	"trainer/gpu/cudasim"
	"trainer/nn/device"
)

// newDNN opens the emulation's device and its cuDNN. The test fails if it leaves a descriptor of the graph interface.
func newDNN(t *testing.T) *DNN {
	t.Helper()
	open(t)
	d, err := NewDNN()
	check(t, err)
	left := func() int {
		return int(cudasim.Calls("cudnnBackendCreateDescriptor")) - int(cudasim.Calls("cudnnBackendDestroyDescriptor"))
	}
	before := left()
	t.Cleanup(func() {
		check(t, d.Close())
		if n := left() - before; n != 0 {
			t.Errorf("%d descriptors were not destroyed", n)
		}
	})
	return d
}

// convolved has the descriptors of a convolution and tensors that fit them, each with other contents.
type convolved struct {
	Convolution
	x, w, y   cu.DevicePtr
	workspace cu.DevicePtr // of workspaceBytes
}

// workspaceBytes is what the emulation's algorithms need at most for the filter of newConvolution, in whole 256 bytes.
const workspaceBytes = 768

// newConvolution describes y [2,8,9,4] = x [2,8,9,6] * w [4,3,5,3], in two groups.
func newConvolution(t *testing.T) *convolved {
	t.Helper()
	c := &convolved{}
	var err [4]error
	c.X, err[0] = NewTensorDesc(Float32, 2, 8, 9, 6)
	c.W, err[1] = NewFilterDesc(Float32, 4, 3, 5, 3)
	c.Conv, err[2] = NewConvolutionDesc(Geometry{1, 2, 1, 1, 1, 1, 2}, DefaultMath)
	c.Y, err[3] = NewTensorDesc(Float32, 2, 8, 9, 4)
	check(t, err[:]...)
	t.Cleanup(func() {
		check(t, DestroyTensorDesc(c.X), DestroyFilterDesc(c.W), DestroyConvolutionDesc(c.Conv), DestroyTensorDesc(c.Y))
	})
	c.x, c.w, c.y, c.workspace = filled(t, 2*8*9*6), filled(t, 4*3*5*3), filled(t, 2*8*9*4), alloc(t, workspaceBytes)
	return c
}

// filled allocates n ones.
func filled(t *testing.T, n int) cu.DevicePtr {
	t.Helper()
	values := make([]float32, n)
	for i := range values {
		values[i] = 1
	}
	return floats(t, values...)
}

// Handles as records have them.
func tensor(d *TensorDesc) unsafe.Pointer           { return unsafe.Pointer(tensorHandle(d)) }
func filter(d *FilterDesc) unsafe.Pointer           { return unsafe.Pointer(filterHandle(d)) }
func convolution(d *ConvolutionDesc) unsafe.Pointer { return unsafe.Pointer(convolutionHandle(d)) }
func pooling(d *PoolingDesc) unsafe.Pointer         { return unsafe.Pointer(poolingHandle(d)) }
func activation(d *ActivationDesc) unsafe.Pointer   { return unsafe.Pointer(activationHandle(d)) }

func TestDescriptors(t *testing.T) {
	newDNN(t)
	var x *TensorDesc
	var w *FilterDesc
	var conv *ConvolutionDesc
	var pool *PoolingDesc
	var act *ActivationDesc
	for _, d := range []struct {
		function string
		make     func() error
		want     string
	}{
		// NCHW numbers with format 1, NHWC, and type 9, bfloat16.
		{"cudnnSetTensor4dDescriptor", func() (err error) { x, err = NewTensorDesc(BFloat16, 2, 8, 9, 6); return err }, list(1, 9, 2, 6, 8, 9)},
		{"cudnnSetFilter4dDescriptor", func() (err error) { w, err = NewFilterDesc(BFloat16, 4, 3, 5, 7); return err }, list(9, 1, 4, 7, 3, 5)},
		// A cross-correlation, 1, that adds in float32, 0.
		{"cudnnSetConvolution2dDescriptor", func() (err error) {
			conv, err = NewConvolutionDesc(Geometry{1, 2, 3, 4, 5, 6, 7}, FMAMath)
			return err
		}, list(1, 2, 3, 4, 5, 6, 1, 0)},
		// A maximum, 0, that propagates NaN, 1.
		{"cudnnSetPooling2dDescriptor", func() (err error) {
			pool, err = NewPoolingDesc(cudnn.MaxPooling, Window{2, 3, 0, 1, 4, 5})
			return err
		}, list(0, 1, 2, 3, 0, 1, 4, 5)},
		{"cudnnSetActivationDescriptor", func() (err error) { act, err = NewActivationDesc(cudnn.ClippedReLU, 6); return err }, list(3, 1, 6)},
	} {
		if diff := cmp.Diff([]string{d.want}, arguments(t, d.function, d.make)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", d.function, diff)
		}
	}
	check(t, DestroyTensorDesc(x), DestroyFilterDesc(w), DestroyConvolutionDesc(conv), DestroyPoolingDesc(pool), DestroyActivationDesc(act))
	check(t, DestroyTensorDesc(nil), DestroyFilterDesc(nil), DestroyConvolutionDesc(nil), DestroyPoolingDesc(nil), DestroyActivationDesc(nil))
	for function, want := range map[string]string{"cudnnSetConvolutionGroupCount": "7", "cudnnSetConvolutionMathType": "3"} {
		got := arguments(t, function, func() (err error) {
			conv, err = NewConvolutionDesc(Geometry{1, 2, 3, 4, 5, 6, 7}, FMAMath)
			return err
		})
		if diff := cmp.Diff([]string{want}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", function, diff)
		}
		check(t, DestroyConvolutionDesc(conv))
	}
}

func TestDescriptorErrors(t *testing.T) {
	newDNN(t)
	configure(t, "fail=cudnnSetActivationDescriptor:BAD_PARAM")
	for _, err := range []error{
		second(NewTensorDesc(Float32, -1, 1, 1, 1)), second(NewFilterDesc(Float32, 1, 1, -1, 1)),
		second(NewConvolutionDesc(Geometry{-1, 0, 1, 1, 1, 1, 1}, FMAMath)), second(NewPoolingDesc(cudnn.MaxPooling, Window{KH: -1})),
		second(NewActivationDesc(cudnn.Elu, 1)),
	} {
		var e *Error
		if !errors.As(err, &e) || e.Code != 2000 || e.Name != "CUDNN_STATUS_BAD_PARAM" || e.Library != CuDNN9 || e.Detail == "" {
			t.Errorf("%v, want BAD_PARAM of cuDNN 9, with cuDNN's reason", err)
		}
	}
	expect(t, "cudnnSetTensor4dDescriptor", "cudnnSetFilter4dDescriptor", "cudnnSetConvolution2dDescriptor", "cudnnSetPooling2dDescriptor")
	wantText(t, second(NewTensorDesc(Float32, 1, 2, 3, -4)),
		"describing a tensor [1,2,3,-4]: cudnnSetTensor4dDescriptor: CUDNN_STATUS_BAD_PARAM: cudnnSetTensor4dDescriptor: a dimension of -4")
	expect(t, "cudnnSetTensor4dDescriptor")
}

func second[T any](_ T, err error) error { return err }

// The emulation supports two algorithms for these tensors, of which the first needs a workspace.
func TestAlgorithms(t *testing.T) {
	d := newDNN(t)
	c := newConvolution(t)
	for p, want := range map[Pass][]Algorithm{
		Forward:        {{Number: 1, Workspace: workspaceBytes, Deterministic: true}, {Number: 0, Deterministic: true}},
		BackwardData:   {{Number: 1, Workspace: workspaceBytes, Deterministic: true}, {Number: 0}},
		BackwardFilter: {{Number: 0}, {Number: 1, Workspace: workspaceBytes, Deterministic: true}},
	} {
		got, err := d.Algorithms(p, &c.Convolution)
		check(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%v: Algorithms (-want +got):\n%s", p, diff)
		}
		for i := range want { // a search measures their ranks
			want[i].Time = time.Duration(i+1) * time.Millisecond
		}
		function, operands := passes(c, p)
		record := arguments(t, "cudnnFind"+function+"AlgorithmEx", func() error {
			got, err = d.FindAlgorithms(p, &c.Convolution, c.x, c.w, c.y, c.workspace, workspaceBytes)
			return err
		})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%v: FindAlgorithms (-want +got):\n%s", p, diff)
		}
		wantRecord := list(operands[0], operands[1], operands[2], operands[3], convolution(c.Conv), operands[4], operands[5], c.workspace, workspaceBytes)
		if diff := cmp.Diff([]string{wantRecord}, record); diff != "" {
			t.Errorf("%v: FindAlgorithms (-want +got):\n%s", p, diff)
		}
		got, err = d.FindAlgorithms(p, &c.Convolution, c.x, c.w, c.y, 0, 0)
		if len(got) != 1 || got[0].Number != 0 || err != nil {
			t.Errorf("%v: FindAlgorithms without a workspace: %+v, %v", p, got, err)
		}
		if size, err := d.WorkspaceSize(p, &c.Convolution, 1); size != workspaceBytes || err != nil {
			t.Errorf("%v: WorkspaceSize: %d, %v", p, size, err)
		}
		if _, err := d.WorkspaceSize(p, &c.Convolution, 7); !errors.Is(err, device.ErrNotSupported) {
			t.Errorf("%v: WorkspaceSize: %v, want a device.ErrNotSupported", p, err)
		}
		// Tensors in the wrong places.
		if got, err := d.FindAlgorithms(p, &c.Convolution, c.w, c.x, c.y, c.workspace, workspaceBytes); err == nil || got != nil {
			t.Errorf("%v: FindAlgorithms takes anything", p)
		}
		expect(t, "cudnnFind"+function+"AlgorithmEx")
	}
}

// passes returns the name of a pass in cuDNN's functions, and the descriptors and tensors in the order in which these take
// them: two operands and the result.
func passes(c *convolved, p Pass) (function string, operands [6]any) {
	switch p {
	case Forward:
		return "ConvolutionForward", [6]any{tensor(c.X), c.x, filter(c.W), c.w, tensor(c.Y), c.y}
	case BackwardData:
		return "ConvolutionBackwardData", [6]any{filter(c.W), c.w, tensor(c.Y), c.y, tensor(c.X), c.x}
	}
	return "ConvolutionBackwardFilter", [6]any{tensor(c.X), c.x, tensor(c.Y), c.y, filter(c.W), c.w}
}

func TestConvolve(t *testing.T) {
	d := newDNN(t)
	s, err := NewStream()
	check(t, err, d.SetStream(s))
	for _, p := range []Pass{Forward, BackwardData, BackwardFilter} {
		c := newConvolution(t)
		function, operands := passes(c, p)
		record := arguments(t, "cudnn"+function, func() error {
			return d.Convolve(p, &c.Convolution, 1, 2, c.x, c.w, c.y, c.workspace, workspaceBytes, 0.5)
		})
		want := list(2, operands[0], operands[1], operands[2], operands[3], convolution(c.Conv), 1, c.workspace, workspaceBytes, 0.5, operands[4], operands[5])
		if diff := cmp.Diff([]string{want}, record); diff != "" {
			t.Errorf("%v (-want +got):\n%s", p, diff)
		}
		err := d.Convolve(p, &c.Convolution, 1, 1, c.x, c.w, c.y, c.workspace, workspaceBytes-1, 0)
		wantText(t, err, p.String()+": cudnn"+function+": CUDNN_STATUS_BAD_PARAM: cudnn"+function+": a workspace of 767 bytes, needed are 768")
		expect(t, "cudnn"+function)
		check(t, Wait(s))
	}
	check(t, DestroyStream(s))
}

// Each argument has a value of its own, so that none can stand for another.
func TestLayers(t *testing.T) {
	d := newDNN(t)
	c := newConvolution(t)
	half, err := NewTensorDesc(Float32, 2, 4, 4, 6) // of x, pooled
	check(t, err)
	each, err := NewTensorDesc(Float32, 1, 1, 1, 4) // a value per channel of y
	check(t, err)
	parameters, err := NewTensorDesc(Float32, 1, 1, 1, 6) // a value per channel of x
	check(t, err)
	pool, err := NewPoolingDesc(cudnn.MaxPooling, Window{KH: 2, KW: 2, StrideH: 2, StrideW: 2})
	check(t, err)
	relu, err := NewActivationDesc(cudnn.ReLU, 0)
	check(t, err)
	bn := &BatchNorm{cudnn.Spatial, c.X, parameters, 1e-5}
	const like = 2 * 8 * 9 * 6 // elements of x, and at least as many as of every other tensor
	var p [12]cu.DevicePtr
	for i := range p {
		p[i] = filled(t, like)
	}
	x, y := tensor(c.X), tensor(c.Y)
	for _, l := range []struct {
		function string
		run      func() error
		want     string
	}{
		{"cudnnConvolutionBiasActivationForward", func() error {
			return d.ConvolveBiasActivate(&c.Convolution, 1, c.x, c.w, c.workspace, workspaceBytes, 0.5, 0.25, c.Y, p[0], each, p[1], relu, p[2])
		}, list(0.5, x, c.x, filter(c.W), c.w, convolution(c.Conv), 1, c.workspace, workspaceBytes, 0.25, y, p[0], tensor(each), p[1], activation(relu), y, p[2])},
		{"cudnnConvolutionBackwardBias", func() error { return d.BackwardBias(0.5, c.Y, p[0], 0.25, each, p[1]) },
			list(0.5, y, p[0], 0.25, tensor(each), p[1])},
		{"cudnnAddTensor", func() error { return d.AddTensor(0.5, each, p[0], 0.25, c.Y, p[1]) }, list(0.5, tensor(each), p[0], 0.25, y, p[1])},
		{"cudnnPoolingForward", func() error { return d.Pool(pool, 0.5, c.X, p[0], 0.25, half, p[1]) },
			list(pooling(pool), 0.5, x, p[0], 0.25, tensor(half), p[1])},
		{"cudnnPoolingBackward", func() error { return d.PoolBackward(pool, 0.5, half, p[0], p[1], 0.25, c.X, p[2], p[3]) },
			list(pooling(pool), 0.5, tensor(half), p[0], tensor(half), p[1], x, p[2], 0.25, x, p[3])},
		{"cudnnActivationForward", func() error { return d.Activate(relu, 0.5, c.X, p[0], 0.25, p[1]) },
			list(activation(relu), 0.5, x, p[0], 0.25, x, p[1])},
		{"cudnnActivationBackward", func() error { return d.ActivateBackward(relu, 0.5, c.X, p[0], p[1], p[2], 0.25, p[3]) },
			list(activation(relu), 0.5, x, p[0], x, p[1], x, p[2], 0.25, x, p[3])},
		// The logarithm, 2, over the channels, 1.
		{"cudnnSoftmaxForward", func() error { return d.Softmax(cudnn.Log, 0.5, c.X, p[0], 0.25, p[1]) }, list(2, 1, 0.5, x, p[0], 0.25, x, p[1])},
		{"cudnnSoftmaxBackward", func() error { return d.SoftmaxBackward(cudnn.Log, 0.5, c.X, p[0], p[1], 0.25, p[2]) },
			list(2, 1, 0.5, x, p[0], x, p[1], 0.25, x, p[2])},
		// Per channel, 1.
		{"cudnnBatchNormalizationForwardTraining", func() error {
			return d.BatchNormTrain(bn, p[0], p[1], p[2], p[3], 0.25, p[4], p[5], p[6], p[7])
		}, list(1, 1, 0, x, p[0], x, p[1], tensor(parameters), p[2], p[3], 0.25, p[4], p[5], 1e-5, p[6], p[7])},
		{"cudnnBatchNormalizationForwardInference", func() error {
			return d.BatchNormInfer(bn, p[0], p[1], p[2], p[3], p[4], p[5])
		}, list(1, 1, 0, x, p[0], x, p[1], tensor(parameters), p[2], p[3], p[4], p[5], 1e-5)},
		{"cudnnBatchNormalizationBackward", func() error {
			return d.BatchNormBackward(bn, p[0], p[1], p[2], p[3], p[4], p[5], 0.75, p[6], p[7])
		}, list(1, 1, 0, 1, 0.75, x, p[0], x, p[1], x, p[2], tensor(parameters), p[3], p[4], p[5], 1e-5, p[6], p[7])},
	} {
		if diff := cmp.Diff([]string{l.want}, arguments(t, l.function, l.run)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", l.function, diff)
		}
	}
	check(t, DestroyPoolingDesc(pool), DestroyActivationDesc(relu), DestroyTensorDesc(half), DestroyTensorDesc(each), DestroyTensorDesc(parameters))
}
