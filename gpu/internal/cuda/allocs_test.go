//go:build cuda && linux && cgo && (amd64 || arm64)

package cuda

import (
	"testing"

	cudnn "gorgonia.org/cu/dnn"
)

// The calls of a training step allocate nothing on the Go heap.
func TestStepsAllocateNothing(t *testing.T) {
	d := newDNN(t)
	b, err := NewBLAS()
	check(t, err)
	s, err := NewStream()
	check(t, err)
	event, err := NewEvent(false)
	check(t, err)
	host, err := AllocHost(64)
	check(t, err)
	k := kernel(t)
	c, x, w, y, ws := newConvolution(t, Float32)
	pool, err := NewPoolingDesc(cudnn.MaxPooling, Window{KH: 2, KW: 2, StrideH: 2, StrideW: 2})
	check(t, err)
	relu, err := NewActivationDesc(cudnn.ReLU, 0)
	check(t, err)
	out := alloc(t, 4096)
	var args Args
	text := []byte("hello world")
	p := &Product{M: 1, N: 1, K: 1, LDA: 1, LDB: 1, LDC: 1, TypeA: Float32, TypeB: Float32, TypeC: Float32, Compute: ComputeFloat32}
	bn := &BatchNorm{cudnn.Spatial, c.X, c.X, 1e-5}
	graph := newGraph(t, d, graphed(Forward))
	plan := newPlan(t, graph)
	check(t, graph.Close())
	check(t, BeginCapture(s))
	g, err := EndCapture(s)
	check(t, err)
	for name, call := range map[string]func() error{
		"launch":            func() error { return k.Launch(Along(4), Along(64), 0, s, set(&args, out, text)) },
		"copy to device":    func() error { return CopyToDeviceAsync(out, host, s) },
		"copy to host":      func() error { return CopyToHostAsync(host, out, s) },
		"copy":              func() error { return CopyAsync(out+2048, out, 64, s) },
		"set":               func() error { return SetAsync(out, 1, 64, s) },
		"record":            func() error { return Record(event, s) },
		"wait":              func() error { return Wait(s) },
		"gemm":              func() error { return b.Gemm(p, 1, x, w, 0, out) },
		"sgemm":             func() error { return b.Sgemm(p, 1, x, w, 0, out) },
		"convolve":          func() error { return d.Convolve(Forward, c, 0, 3, x, w, y, ws, 64, 0) },
		"convolve and bias": func() error { return d.ConvolveBiasActivate(c, 1, x, w, ws, 64, 1, 0, c.Y, y, c.Y, y, relu, out) },
		"bias backward":     func() error { return d.BackwardBias(1, c.Y, y, 0, c.Y, out) },
		"add":               func() error { return d.AddTensor(1, c.Y, y, 1, c.Y, out) },
		"pool":              func() error { return d.Pool(pool, 1, c.X, x, 0, c.Y, out) },
		"pool backward":     func() error { return d.PoolBackward(pool, 1, c.Y, y, y, 0, c.X, x, out) },
		"activate":          func() error { return d.Activate(relu, 1, c.X, x, 0, out) },
		"activate backward": func() error { return d.ActivateBackward(relu, 1, c.X, y, y, x, 0, out) },
		"softmax":           func() error { return d.Softmax(cudnn.Log, 1, c.X, x, 0, out) },
		"softmax backward":  func() error { return d.SoftmaxBackward(cudnn.Log, 1, c.X, y, y, 0, out) },
		"batch norm":        func() error { return d.BatchNormTrain(bn, x, out, x, x, 0.25, x, x, x, x) },
		"batch norm infer":  func() error { return d.BatchNormInfer(bn, x, out, x, x, x, x) },
		"batch norm back":   func() error { return d.BatchNormBackward(bn, x, y, out, x, x, x, 0, x, x) },
		"graph":             func() error { return g.Launch(s) },
		"operation graph":   func() error { return plan.Run(x, w, out, x, ws) },
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
	check(t, plan.Close())
}
