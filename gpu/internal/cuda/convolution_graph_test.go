//go:build cuda && linux && cgo && (amd64 || arm64)

package cuda

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"gorgonia.org/cu"

	"trainer/nn/device"
)

// graphed is a convolution to describe as a graph, with bias and ReLU in the forward pass.
func graphed(p Pass) GraphConvolution {
	return GraphConvolution{
		Pass: p, Type: BFloat16, N: 2, H: 8, W: 9, InC: 6, OutC: 4, KH: 3, KW: 5,
		Geometry: Geometry{1, 2, 1, 1, 1, 1, 2}, Bias: p == Forward, ReLU: p == Forward,
	}
}

func newGraph(t *testing.T, d *DNN, c GraphConvolution) *ConvolutionGraph {
	t.Helper()
	g, err := d.NewConvolutionGraph(c)
	check(t, err)
	return g
}

// newPlan returns a plan on the first engine.
func newPlan(t *testing.T, g *ConvolutionGraph) *GraphPlan {
	t.Helper()
	engines, err := g.Engines(Fastest)
	check(t, err)
	p, err := g.Plan(engines[0])
	check(t, err)
	return p
}

// The fake numbers its engines by the operation. If a descriptor isn't destroyed, the fake fails when the handle is
// destroyed at the end of the test.
func TestConvolutionGraph(t *testing.T) {
	d := newDNN(t)
	for _, p := range []Pass{Forward, BackwardData, BackwardFilter} {
		operation := map[Pass]int{Forward: 0, BackwardFilter: 1, BackwardData: 2}[p]
		g := newGraph(t, d, graphed(p))
		want := []GraphEngine{
			{Fastest, 0, 40 + operation, TensorCores, nil}, {Fastest, 1, 50, Nondeterministic, nil}, {Fastest, 2, 60, TensorCores, nil},
		}
		engines, err := g.Engines(Fastest)
		check(t, err)
		if diff := cmp.Diff(want, engines, cmpopts.IgnoreUnexported(GraphEngine{})); diff != "" {
			t.Errorf("%v: engines (-want +got):\n%s", p, diff)
		}
		fallback, err := g.Engines(Fallback)
		check(t, err)
		if diff := cmp.Diff([]GraphEngine{{Fallback, 0, 7, 0, nil}}, fallback, cmpopts.IgnoreUnexported(GraphEngine{})); diff != "" {
			t.Errorf("%v: engines to fall back on (-want +got):\n%s", p, diff)
		}
		_, err = g.Plan(engines[2])
		if !errors.Is(err, device.ErrNotSupported) {
			t.Errorf("%v: a plan that can't be made: %v, want a device.ErrNotSupported", p, err)
		}
		wantText(t, err, p.String()+": preparing graph engine 60: cudnnBackendFinalize: CUDNN_STATUS_NOT_SUPPORTED_ARCH_MISMATCH: the fake's reason")
		plan, err := g.Plan(engines[0])
		check(t, err, g.Close()) // a plan outlives its graph
		if plan.Workspace() != 8*int64(engines[0].Number) {
			t.Errorf("%v: a workspace of %d bytes for engine %d", p, plan.Workspace(), engines[0].Number)
		}
		x, w, y, bias, ws := floats(t, 1, 0, 0, 0, 0), floats(t, 2, 0, 0, 0, 0), floats(t, 3, 0, 0, 0, 0), floats(t, 4), floats(t, 5)
		check(t, plan.Run(x, w, y, bias, ws))
		out := map[Pass]cu.DevicePtr{Forward: y, BackwardData: x, BackwardFilter: w}[p]
		wantOut := map[Pass][]float32{Forward: {1, 2, 4, 5, 40}, BackwardData: {2, 3, 5, 42}, BackwardFilter: {1, 3, 5, 41}}[p]
		if diff := cmp.Diff(wantOut, read(t, out, len(wantOut))); diff != "" {
			t.Errorf("%v: what ran (-want +got):\n%s", p, diff)
		}
		check(t, plan.Close(), plan.Close())
	}
}

// If a graph can't be described, no descriptor is left behind.
func TestConvolutionGraphErrors(t *testing.T) {
	d := newDNN(t)
	c := graphed(Forward)
	c.H = -8
	_, err := d.NewConvolutionGraph(c)
	wantText(t, err, "convolution forward: describing an operation graph: cudnnBackendFinalize: CUDNN_STATUS_BAD_PARAM: the fake's reason")
	for _, wrong := range []GraphConvolution{{Pass: BackwardData, Bias: true}, {ReLU: true}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%+v: no panic", wrong)
				}
			}()
			_, _ = d.NewConvolutionGraph(wrong)
		}()
	}
	if !HasGraphs() {
		t.Error("the fake is a cuDNN 9, whose graphs can be used")
	}
}

// Graphs of cuDNN 8 aren't used.
func TestGraphsOfCuDNN8(t *testing.T) {
	if !again(t, PathVariable+"="+folder("cudnn8")+":"+fakes) {
		return
	}
	newDNN(t)
	if HasGraphs() {
		t.Errorf("the graphs of cuDNN %d are used", CuDNNVersion())
	}
}
