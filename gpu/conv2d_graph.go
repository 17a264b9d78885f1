//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"errors"
	"fmt"
	"slices"

	"gorgonia.org/cu"

	"trainer/gpu/internal/cuda"
	"trainer/nn/device"
)

// A pass of a convolution can be computed by cuDNN's old calls (conv2d_algorithm.go) or by an operation graph of cuDNN
// 9, on an engine that its heuristics propose. Only graphs give access to the kernels for compute capability 9.0 and
// newer. So
//
//   - with WithAutotune the best of both are measured, and what wins is kept (conv2d_graph_measure.go);
//   - otherwise graphs are taken from compute capability 9.0 on, and the old calls where that fails for any reason, or
//     on older GPUs.

// graphUse says when graphs are used. Tests change it.
type graphUse uint8

const (
	graphsWhereFaster graphUse = iota // as above
	graphsNever
	graphsAlways // whenever cuDNN supports them
)

// hopper is the first architecture for which cuDNN's old calls lack the fastest kernels.
const hopper = 90

// graphPass is one pass of a convolution as a cuDNN graph on a given engine. The plans of equal convolutions share it,
// and it lives as long as the device.
type graphPass struct {
	plan   *cuda.GraphPlan
	engine cuda.GraphEngine
	fused  bool // the graph includes the bias, and ReLU if there is one
	used   bool // by a plan
}

// graphKey identifies a graphPass.
type graphKey struct {
	convolution cuda.GraphConvolution
	heuristics  cuda.Heuristics
	place       int
}

// newGraphPass returns a pass of n images as a graph, on the heuristics' first engine that fits the device's options,
// with bias and activation in the graph if possible. It reserves the workspace. A smaller batch uses the full batch's
// engine if possible. If cuDNN can't compute the graph, for whatever reason, the error is a device.ErrNotSupported, and
// the old call must be used.
func (p *conv2D) newGraphPass(pass cuda.Pass, n int, h cuda.Heuristics) (*convPass, error) {
	convolutions := graphConvolutions(pass, n, p.spec, p.relu)
	var like *graphPass
	if n < p.spec.N {
		like = p.full.passes[pass].graph
	}
	if like != nil {
		slices.SortStableFunc(convolutions, func(a, b cuda.GraphConvolution) int { return first(a.Bias == like.fused, b.Bias == like.fused) })
	}
	reason := error(unsupported("no suitable engine works with %d bytes of workspace", p.d.workspaceLimit))
	for _, c := range convolutions {
		var found *convPass
		err := p.d.proposals(c, h, like.before, func(g *graphPass) bool {
			found = p.useGraph(g)
			return found == nil
		})
		if found != nil {
			return found, nil
		}
		if err != nil {
			reason = err
		}
	}
	return nil, unsupported("%v as a cuDNN graph for %+v: %v", pass, p.spec, reason)
}

// before orders the choices of the same engine before others. g may be nil.
func (g *graphPass) before(engines []cuda.GraphEngine) []cuda.GraphEngine {
	if g != nil {
		number := g.engine.Number
		slices.SortStableFunc(engines, func(a, b cuda.GraphEngine) int { return first(a.Number == number, b.Number == number) })
	}
	return engines
}

// first orders preferred elements before others.
func first(a, b bool) int {
	switch {
	case a && !b:
		return -1
	case b && !a:
		return 1
	}
	return 0
}

// graphConvolutions returns the graphs that compute a pass of n images, best first: one with bias and activation, and
// one without, which leaves them to a pass over y.
//
// For filters that see one channel, cuDNN has specialised kernels only without bias and activation; then the order is
// reversed.
func graphConvolutions(pass cuda.Pass, n int, s device.Conv2DSpec, relu bool) []cuda.GraphConvolution {
	plain := cuda.GraphConvolution{
		Pass: pass, Type: dataType(s.DType), N: n, H: s.H, W: s.W, InC: s.InC, OutC: s.OutC, KH: s.KH, KW: s.KW, Geometry: geometryOf(s),
	}
	if pass != cuda.Forward || !s.Bias && !relu {
		return []cuda.GraphConvolution{plain}
	}
	fused := plain
	fused.Bias, fused.ReLU = true, relu // a bias of zeros if there is no bias
	if s.InC == s.Groups {
		return []cuda.GraphConvolution{plain, fused}
	}
	return []cuda.GraphConvolution{fused, plain}
}

func geometryOf(s device.Conv2DSpec) cuda.Geometry {
	return cuda.Geometry{
		PadH: s.PadH, PadW: s.PadW, StrideH: s.StrideH, StrideW: s.StrideW,
		DilationH: s.DilationH, DilationW: s.DilationW, Groups: s.Groups,
	}
}

// proposals prepares the engines of a graph that fit the device's options and yields each until yield returns false.
// order, unless nil, rearranges the heuristics' proposals or leaves some out.
func (d *Device) proposals(c cuda.GraphConvolution, h cuda.Heuristics, order func([]cuda.GraphEngine) []cuda.GraphEngine, yield func(*graphPass) bool) error {
	g, err := d.dnn.NewConvolutionGraph(c)
	if err != nil {
		return err
	}
	defer func() { _ = g.Close() }()
	engines, err := g.Engines(h)
	if err != nil {
		return err
	}
	if order != nil {
		engines = order(engines)
	}
	for _, e := range engines {
		if e.Notes&d.avoided(c.Type) != 0 {
			continue
		}
		if pass := d.prepare(g, c, e); pass != nil && !yield(pass) {
			break
		}
	}
	return nil
}

// prepare returns the pass on an engine, or nil if cuDNN can't compute it after all, or not within the workspace limit.
func (d *Device) prepare(g *cuda.ConvolutionGraph, c cuda.GraphConvolution, e cuda.GraphEngine) *graphPass {
	key := graphKey{c, e.Heuristics, e.Place}
	if pass := d.graphPasses[key]; pass != nil && pass.plan.Workspace() <= d.workspaceLimit {
		return pass
	}
	plan, err := g.Plan(e)
	if err != nil {
		return nil
	}
	if plan.Workspace() > d.workspaceLimit {
		_ = plan.Close()
		return nil
	}
	d.graphPasses[key] = &graphPass{plan: plan, engine: e, fused: c.Bias}
	return d.graphPasses[key]
}

// avoided returns the properties that an engine for tensors of a type must not have. Sums must be float32, operands may
// be rounded only as the precision says, and large Winograd tiles lose too many digits.
func (d *Device) avoided(t cuda.DataType) cuda.Notes {
	avoided := cuda.DownConverts | cuda.ReducedSums | cuda.Winograd13
	if d.deterministic {
		avoided |= cuda.Nondeterministic
	}
	if t == cuda.Float32 && d.products(device.Float32) == FP32 {
		avoided |= cuda.TensorCores
	}
	return avoided
}

// closeGraphPasses destroys all graph passes, and returns the first error.
func (d *Device) closeGraphPasses() (first error) {
	for _, g := range d.graphPasses {
		if err := g.plan.Close(); first == nil {
			first = err
		}
	}
	d.graphPasses = nil
	return first
}

// choosePass decides how to compute a pass of n images, and reserves the workspace.
func (p *conv2D) choosePass(pass cuda.Pass, n int) (*convPass, error) {
	d := p.d
	if !cuda.HasGraphs() || d.graphUse == graphsNever {
		return p.chooseAlgorithm(pass, n)
	}
	if d.autotune && d.graphUse == graphsWhereFaster && n == p.spec.N {
		return p.chooseFastest(pass)
	}
	if !p.prefersGraph(pass, n) {
		return p.chooseAlgorithm(pass, n)
	}
	if c, err := p.newGraphPass(pass, n, cuda.Fastest); err == nil {
		return c, nil
	}
	// cuDNN makes no performance claim for fallback engines, so the old algorithms come before them.
	if d.graphUse == graphsAlways {
		return p.newGraphPass(pass, n, cuda.Fallback)
	}
	c, err := p.chooseAlgorithm(pass, n)
	if errors.Is(err, device.ErrNotSupported) || errors.Is(err, device.ErrOutOfMemory) {
		if g, none := p.newGraphPass(pass, n, cuda.Fallback); none == nil {
			return g, nil
		}
	}
	return c, err
}

// prefersGraph reports whether to try a graph before the old call. A smaller batch follows the full batch.
func (p *conv2D) prefersGraph(pass cuda.Pass, n int) bool {
	if n < p.spec.N {
		return p.full.passes[pass].graph != nil
	}
	return p.d.graphUse == graphsAlways || p.d.code.architecture >= hopper
}

// useGraph returns the pass of a graph with the workspace reserved, or nil if there is not enough memory.
func (p *conv2D) useGraph(g *graphPass) *convPass {
	if p.d.reserve(g.plan.Workspace()) != nil {
		return nil
	}
	g.used = true
	return &convPass{graph: g, workspace: g.plan.Workspace()}
}

// runGraph queues a pass on a graph.
func (p *conv2D) runGraph(g *graphPass, x, w, y, bias *device.Tensor) error {
	d := p.d
	var added cu.DevicePtr
	if g.fused {
		added = p.fusedBias(bias)
		if d.fault != nil {
			return nil // the fault has been recorded
		}
	}
	return g.plan.Run(d.data(x), d.data(w), d.data(y), added, d.scratch())
}

// name names the engine, for reports.
func (g *graphPass) name(pass cuda.Pass) string {
	return fmt.Sprintf("%sgraph engine %d", passPrefix(pass), g.engine.Number)
}
