//go:build cuda && linux && cgo && (amd64 || arm64)

package cuda

import (
	"testing"

	"gorgonia.org/cu"
	cudnn "gorgonia.org/cu/dnn"
)

// The calls of a training step allocate nothing on the Go heap.
func TestStepsAllocateNothing(t *testing.T) {
	d := newDNN(t)
	b, err := NewBLAS()
	check(t, err)
	defer func() { check(t, b.Close()) }()
	s, err := NewStream()
	check(t, err)
	event, err := NewEvent(false)
	check(t, err)
	host, err := AllocHost(64)
	check(t, err)
	k := kernel(t)
	c := newConvolution(t)
	half, err := NewTensorDesc(Float32, 2, 4, 4, 6)
	check(t, err)
	each, err := NewTensorDesc(Float32, 1, 1, 1, 4)
	check(t, err)
	parameters, err := NewTensorDesc(Float32, 1, 1, 1, 6)
	check(t, err)
	pool, err := NewPoolingDesc(cudnn.MaxPooling, Window{KH: 2, KW: 2, StrideH: 2, StrideW: 2})
	check(t, err)
	relu, err := NewActivationDesc(cudnn.ReLU, 0)
	check(t, err)
	const like = 2 * 8 * 9 * 6
	x, w, y, ws := c.x, c.w, c.y, c.workspace
	in, in2, out := filled(t, like), filled(t, like), filled(t, like)
	mean, variance := filled(t, 6), filled(t, 6)
	dscale, dbias := filled(t, 6), filled(t, 6)
	var args Args
	text := []byte("hello world")
	p := &Product{M: 1, N: 1, K: 1, LDA: 1, LDB: 1, LDC: 1, TypeA: Float32, TypeB: Float32, TypeC: Float32, Compute: ComputeFloat32}
	bn := &BatchNorm{cudnn.Spatial, c.X, parameters, 1e-5}
	graph := newGraph(t, d, graphed(Forward))
	plan := newPlan(t, graph)
	check(t, graph.Close())
	gx, gw, gy, bias, gws := graphTensors(t, plan)
	check(t, BeginCapture(s))
	g, err := EndCapture(s)
	check(t, err)
	for name, call := range map[string]func() error{
		"launch":         func() error { return k.Launch(Along(4), Along(64), 0, s, set(&args, in2, text)) },
		"copy to device": func() error { return CopyToDeviceAsync(out, host, s) },
		"copy to host":   func() error { return CopyToHostAsync(host, out, s) },
		"copy":           func() error { return CopyAsync(out+2048, out, 64, s) },
		"set":            func() error { return SetAsync(out, 1, 64, s) },
		"record":         func() error { return Record(event, s) },
		"wait":           func() error { return Wait(s) },
		"gemm":           func() error { return b.Gemm(p, 1, x, w, 0, out) },
		"sgemm":          func() error { return b.Sgemm(p, 1, x, w, 0, out) },
		"convolve":       func() error { return d.Convolve(Forward, &c.Convolution, 0, 3, x, w, y, ws, workspaceBytes, 0) },
		"convolve and bias": func() error {
			return d.ConvolveBiasActivate(&c.Convolution, 1, x, w, ws, workspaceBytes, 1, 0, c.Y, y, each, in, relu, out)
		},
		"bias backward":     func() error { return d.BackwardBias(1, c.Y, y, 0, each, out) },
		"add":               func() error { return d.AddTensor(1, each, in, 1, c.Y, out) },
		"pool":              func() error { return d.Pool(pool, 1, c.X, x, 0, half, out) },
		"pool backward":     func() error { return d.PoolBackward(pool, 1, half, in, in, 0, c.X, x, out) },
		"activate":          func() error { return d.Activate(relu, 1, c.X, x, 0, out) },
		"activate backward": func() error { return d.ActivateBackward(relu, 1, c.X, in, in, x, 0, out) },
		"softmax":           func() error { return d.Softmax(cudnn.Log, 1, c.X, x, 0, out) },
		"softmax backward":  func() error { return d.SoftmaxBackward(cudnn.Log, 1, c.X, in, in, 0, out) },
		"batch norm":        func() error { return d.BatchNormTrain(bn, x, out, in, in, 0.25, mean, variance, dscale, dbias) },
		"batch norm infer":  func() error { return d.BatchNormInfer(bn, x, out, in, in, in, in) },
		"batch norm back":   func() error { return d.BatchNormBackward(bn, x, in, out, in, dscale, dbias, 0, in, in) },
		"graph":             func() error { return g.Launch(s) },
		"operation graph":   func() error { return plan.Run(gx, gw, gy, bias, gws) },
	} {
		var failed error
		if n := testing.AllocsPerRun(10, func() {
			if err := call(); err != nil {
				failed = err
			}
		}); n != 0 || failed != nil {
			t.Errorf("%s: %g allocations, error %v", name, n, failed)
		}
	}
	check(t, cu.Synchronize(), plan.Close())
	check(t, g.Destroy(), FreeHost(host), DestroyEvent(event), DestroyStream(s), DestroyPoolingDesc(pool), DestroyActivationDesc(relu))
	check(t, DestroyTensorDesc(half), DestroyTensorDesc(each), DestroyTensorDesc(parameters))
}
