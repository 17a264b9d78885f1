//go:build cuda && linux && cgo && (amd64 || arm64)

package cuda

import (
	"errors"
	"slices"
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

// graphTensors allocates the tensors of graphed, whose elements have 16 bits, and the plan's workspace.
func graphTensors(t *testing.T, p *GraphPlan) (x, w, y, bias, workspace cu.DevicePtr) {
	t.Helper()
	return filled(t, 2*8*9*6/2), filled(t, 4*3*5*3/2), filled(t, 2*8*9*4/2), filled(t, 4/2), alloc(t, max(p.Workspace(), 1))
}

// filterBytes is what most of the emulation's engines need for the filter of graphed: its elements in float32, in whole 256
// bytes.
const filterBytes = 768

func TestConvolutionGraph(t *testing.T) {
	d := newDNN(t)
	// The engines of gpu/cudasim/src/dnn_graph.cpp, with the bytes of their workspaces.
	type engine struct {
		number    int
		notes     Notes
		workspace int64
	}
	tiles, spare := engine{62, TensorCores, filterBytes}, engine{62, TensorCores, 131}
	fast, reduced := engine{38, TensorCores, 16 * filterBytes}, engine{47, TensorCores | ReducedSums, 0}
	exact := engine{28, 0, filterBytes}
	for p, want := range map[Pass][]engine{
		Forward:        {tiles, spare, fast, reduced, exact},
		BackwardData:   {tiles, spare, fast, reduced, {25, Nondeterministic, filterBytes}, exact},
		BackwardFilter: {{20, Nondeterministic, 0}, tiles, spare, fast, reduced, exact},
	} {
		g := newGraph(t, d, graphed(p))
		engines, err := g.Engines(Fastest)
		check(t, err)
		if len(engines) != len(want) {
			t.Fatalf("%v: engines %+v, want %+v", p, engines, want)
		}
		for i, w := range want {
			if diff := cmp.Diff(GraphEngine{Fastest, i, w.number, w.notes, nil}, engines[i], cmpopts.IgnoreUnexported(GraphEngine{})); diff != "" {
				t.Errorf("%v: engine %d (-want +got):\n%s", p, i, diff)
			}
			if i == 0 || w == exact {
				continue // they are for below: an engine can be planned once
			}
			plan, err := g.Plan(engines[i])
			check(t, err)
			if plan.Workspace() != w.workspace {
				t.Errorf("%v: a workspace of %d bytes for engine %d, want %d", p, plan.Workspace(), w.number, w.workspace)
			}
			check(t, plan.Close())
		}
		fallback, err := g.Engines(Fallback)
		check(t, err)
		wantFallback := []GraphEngine{{Fallback, 0, 1, 0, nil}, {Fallback, 1, 0, 0, nil}}
		if diff := cmp.Diff(wantFallback, fallback, cmpopts.IgnoreUnexported(GraphEngine{})); diff != "" {
			t.Errorf("%v: engines to fall back on (-want +got):\n%s", p, diff)
		}
		configure(t, "fail=cudnnEngine28:CUDNN_STATUS_NOT_SUPPORTED_ARCH_MISMATCH")
		_, err = g.Plan(engines[len(engines)-1])
		if !errors.Is(err, device.ErrNotSupported) {
			t.Errorf("%v: a plan that can't be made: %v, want a device.ErrNotSupported", p, err)
		}
		wantText(t, err, p.String()+": preparing graph engine 28: cudnnBackendFinalize: CUDNN_STATUS_NOT_SUPPORTED_ARCH_MISMATCH: asked for by the test")
		plan, err := g.Plan(engines[0])
		check(t, err, g.Close()) // a plan outlives its graph
		if plan.Workspace() != want[0].workspace {
			t.Errorf("%v: a workspace of %d bytes, want %d", p, plan.Workspace(), want[0].workspace)
		}
		x, w, y, bias, ws := graphTensors(t, plan)
		// Tensors by identifier, each with its address, and then the engine and the workspace.
		tensors := []string{list(1, x), list(2, w), list(3, y), list(4, bias), list(engines[0].Number, ws)}
		if p != Forward {
			bias, tensors = 0, slices.Delete(tensors, 3, 4)
		}
		record := arguments(t, "cudnnBackendExecute", func() error { return plan.Run(x, w, y, bias, ws) })
		if diff := cmp.Diff(tensors, record); diff != "" {
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
	wantText(t, err, "convolution forward: describing an operation graph: cudnnBackendFinalize: CUDNN_STATUS_BAD_PARAM: "+
		"cudnnBackendFinalize: dimension 0 is 2, with stride -432")
	expect(t, "cudnnBackendFinalize")
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
		t.Error("the graphs of the emulation's cuDNN 9 aren't used")
	}
}

// Graphs of cuDNN 8 aren't used.
func TestGraphsOfCuDNN8(t *testing.T) {
	if !again(t, withDNN8(t)) {
		return
	}
	newDNN(t)
	if HasGraphs() {
		t.Errorf("the graphs of cuDNN %d are used", CuDNNVersion())
	}
}
