//go:build cuda && linux && cgo && (amd64 || arm64)

package cuda

// #include "calls.h"
import "C"

import (
	"fmt"

	"gorgonia.org/cu"
)

// A convolution through cuDNN's graph interface: an operation graph describes the computation, heuristics propose
// engines for it, each with its own choices, and an execution plan is one of these proposals, ready to run. The calls
// in convolution.go reach only some of the engines; on GPUs of compute capability 9.0 and newer, not the fastest.

// oldestGraphs is the oldest version of cuDNN whose graph interface is used: cuDNN 8 has a graph interface too, but
// fewer engines.
const oldestGraphs = 90000

// HasGraphs reports whether the graph interface of the loaded cuDNN is used.
func HasGraphs() bool { return CuDNNVersion() >= oldestGraphs }

// GraphConvolution describes a pass of a convolution as an operation graph, with sums in float32:
//
//	Forward         y = x * w, or y = x * w + bias, or y = ReLU(x * w + bias)
//	BackwardData    dx = dy * w, transposed
//	BackwardFilter  dw = sum over images and pixels of dy x
//
// Tensors are x, dx [n,h,w,inC]; y, dy [n,outH,outW,outC]; w, dw [outC,kH,kW,inC/groups]; bias [outC].
//
// All tensors have the same type, including the bias: with a bias of that type, cuDNN 9.28 proposes the same
// precompiled kernels on compute capability 9.0 as without a bias. With a float32 bias and 16-bit images, and with ReLU
// without a bias, it proposes only engines that compile a kernel for each plan.
type GraphConvolution struct {
	Pass         Pass
	Type         DataType
	N, H, W, InC int
	OutC, KH, KW int
	Geometry
	Bias, ReLU bool // for Forward; ReLU requires Bias
}

func (c *GraphConvolution) outH() int {
	return (c.H+2*c.PadH-c.DilationH*(c.KH-1)-1)/c.StrideH + 1
}

func (c *GraphConvolution) outW() int {
	return (c.W+2*c.PadW-c.DilationW*(c.KW-1)-1)/c.StrideW + 1
}

// ConvolutionGraph is an operation graph.
type ConvolutionGraph struct {
	backend
	d     *DNN
	pass  Pass
	bias  bool
	graph backendDesc
}

// NewConvolutionGraph describes a convolution. If cuDNN doesn't support such graphs, the error is a
// device.ErrNotSupported.
func (d *DNN) NewConvolutionGraph(c GraphConvolution) (*ConvolutionGraph, error) {
	if c.Bias && c.Pass != Forward || c.ReLU && !c.Bias {
		panic(fmt.Sprintf("cuda: %v as a graph with bias %v and ReLU %v: want a bias in the forward pass only, and ReLU after one", c.Pass, c.Bias, c.ReLU))
	}
	g := &ConvolutionGraph{backend: backend{doing: c.Pass.String() + ": describing an operation graph"}, d: d, pass: c.Pass, bias: c.Bias}
	x := g.tensor(C.UID_X, c.Type, false, c.N, c.H, c.W, c.InC)
	w := g.tensor(C.UID_W, c.Type, false, c.OutC, c.KH, c.KW, c.InC/c.Groups)
	y := g.tensor(C.UID_Y, c.Type, false, c.N, c.outH(), c.outW(), c.OutC)
	var operations []backendDesc
	if c.Bias {
		operations = g.biased(&c, x, w, y)
	} else {
		operations = []backendDesc{g.convolution(&c, x, w, y)}
	}
	g.graph = g.create(C.CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR)
	g.descriptors(g.graph, C.CUDNN_ATTR_OPERATIONGRAPH_OPS, operations...)
	if d.target == nil {
		setElements(&g.backend, g.graph, C.CUDNN_ATTR_OPERATIONGRAPH_HANDLE, C.CUDNN_TYPE_HANDLE, d.handle)
	}
	g.finalize(g.graph)
	if g.err != nil {
		err := g.err
		_ = g.Close()
		return nil, err
	}
	return g, nil
}

// tensorAlignment is the alignment of the addresses of all tensors, in bytes, which vector loads need.
const tensorAlignment = 16

// tensor describes a tensor [n,h,w,c]; a virtual tensor is a value passed between two operations, which is not in
// memory.
func (g *ConvolutionGraph) tensor(uid int, t DataType, virtual bool, n, h, w, c int) backendDesc {
	d := g.create(C.CUDNN_BACKEND_TENSOR_DESCRIPTOR)
	g.integers(d, C.CUDNN_ATTR_TENSOR_UNIQUE_ID, uid)
	g.dataType(d, C.CUDNN_ATTR_TENSOR_DATA_TYPE, t)
	g.integers(d, C.CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, tensorAlignment)
	// cuDNN counts dimensions as [n,c,h,w]; the strides say that channels are innermost.
	g.integers(d, C.CUDNN_ATTR_TENSOR_DIMENSIONS, n, c, h, w)
	g.integers(d, C.CUDNN_ATTR_TENSOR_STRIDES, h*w*c, 1, w*c, c)
	g.flag(d, C.CUDNN_ATTR_TENSOR_IS_VIRTUAL, virtual)
	return g.finalize(d)
}

// convolution returns the operation that computes y, dx or dw.
func (g *ConvolutionGraph) convolution(c *GraphConvolution, x, w, y backendDesc) backendDesc {
	geometry := g.create(C.CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR)
	g.dataType(geometry, C.CUDNN_ATTR_CONVOLUTION_COMP_TYPE, Float32)
	setElements(&g.backend, geometry, C.CUDNN_ATTR_CONVOLUTION_CONV_MODE, C.CUDNN_TYPE_CONVOLUTION_MODE,
		C.cudnnConvolutionMode_t(C.CUDNN_CROSS_CORRELATION))
	g.integers(geometry, C.CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, 2)
	g.integers(geometry, C.CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, c.PadH, c.PadW)
	g.integers(geometry, C.CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, c.PadH, c.PadW)
	g.integers(geometry, C.CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, c.StrideH, c.StrideW)
	g.integers(geometry, C.CUDNN_ATTR_CONVOLUTION_DILATIONS, c.DilationH, c.DilationW)
	g.finalize(geometry)

	// The attributes of the three operations differ only in their names.
	names := map[Pass]struct {
		operation                      backendType
		alpha, beta, geometry, x, w, y attribute
	}{
		Forward: {C.CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
			C.CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, C.CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA,
			C.CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, C.CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
			C.CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, C.CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y},
		BackwardData: {C.CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
			C.CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, C.CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA,
			C.CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, C.CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
			C.CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, C.CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY},
		BackwardFilter: {C.CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
			C.CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA, C.CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA,
			C.CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, C.CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
			C.CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, C.CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY},
	}[c.Pass]
	operation := g.create(names.operation)
	g.float(operation, names.alpha, 1)
	g.float(operation, names.beta, 0)
	g.descriptors(operation, names.geometry, geometry)
	g.descriptors(operation, names.x, x)
	g.descriptors(operation, names.w, w)
	g.descriptors(operation, names.y, y)
	return g.finalize(operation)
}

// biased returns the operations of y = x * w + bias, followed by ReLU if requested. The values passed between
// operations are float32, so y is rounded only once.
func (g *ConvolutionGraph) biased(c *GraphConvolution, x, w, y backendDesc) []backendDesc {
	between := func(uid int) backendDesc { return g.tensor(uid, Float32, true, c.N, c.outH(), c.outW(), c.OutC) }
	product, sum := between(C.UID_PRODUCT), y
	if c.ReLU {
		sum = between(C.UID_SUM)
	}
	bias := g.tensor(C.UID_BIAS, c.Type, false, 1, 1, 1, c.OutC)
	operations := []backendDesc{
		g.convolution(c, x, w, product),
		g.pointwise(C.CUDNN_POINTWISE_ADD, product, bias, sum),
	}
	if c.ReLU {
		operations = append(operations, g.pointwise(C.CUDNN_POINTWISE_RELU_FWD, sum, nil, y))
	}
	return operations
}

// pointwise returns the operation y = mode(x, b); b is nil for a mode of one operand.
func (g *ConvolutionGraph) pointwise(mode C.cudnnPointwiseMode_t, x, b, y backendDesc) backendDesc {
	function := g.create(C.CUDNN_BACKEND_POINTWISE_DESCRIPTOR)
	setElements(&g.backend, function, C.CUDNN_ATTR_POINTWISE_MODE, C.CUDNN_TYPE_POINTWISE_MODE, mode)
	g.dataType(function, C.CUDNN_ATTR_POINTWISE_MATH_PREC, Float32)
	if b == nil {
		setElements(&g.backend, function, C.CUDNN_ATTR_POINTWISE_NAN_PROPAGATION, C.CUDNN_TYPE_NAN_PROPOGATION,
			C.cudnnNanPropagation_t(C.CUDNN_PROPAGATE_NAN))
	}
	g.finalize(function)
	operation := g.create(C.CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR)
	g.descriptors(operation, C.CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, function)
	g.descriptors(operation, C.CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x)
	if b != nil {
		g.descriptors(operation, C.CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b)
	}
	g.descriptors(operation, C.CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y)
	return g.finalize(operation)
}

// Close destroys the graph and the engines without a plan. Plans remain usable.
func (g *ConvolutionGraph) Close() error { return g.close() }

// Heuristics is a way in which cuDNN proposes engines.
type Heuristics int

// The ways: engines in order of expected speed, and fallback engines, for which cuDNN has no expectation.
const (
	Fastest  Heuristics = C.CUDNN_HEUR_MODE_A
	Fallback Heuristics = C.CUDNN_HEUR_MODE_FALLBACK
)

// Notes say how an engine computes, one bit for each note.
type Notes uint64

// The notes. An engine for float32 with TensorCores rounds operands to TF32.
const (
	TensorCores      Notes = 1 << C.CUDNN_NUMERICAL_NOTE_TENSOR_CORE
	DownConverts     Notes = 1 << C.CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS         // operands to a smaller type
	ReducedSums      Notes = 1 << C.CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION // sums in less than float32
	Nondeterministic Notes = 1 << C.CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC
	Winograd13       Notes = 1 << C.CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13 // Winograd's method on tiles of 13 x 13
)

// GraphEngine is a proposal for a graph: an engine of cuDNN with choices, such as tile sizes.
type GraphEngine struct {
	Heuristics Heuristics
	Place      int   // place among the heuristics' proposals, from 0
	Number     int   // the engine's
	Notes      Notes // how it computes

	config backendDesc
}

// maxEngines is the largest number of proposals requested; cuDNN 9.28 makes up to 40.
const maxEngines = 128

// maxNotes is more than the number of existing notes, because each cuDNN version may add some.
const maxNotes = 64

// Engines asks for proposals, best first. There may be none. They live as long as the graph.
func (g *ConvolutionGraph) Engines(h Heuristics) ([]GraphEngine, error) {
	b := &backend{doing: g.pass.String() + ": asking for engines"}
	defer func() { _ = b.close() }()
	query := b.create(C.CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR)
	b.descriptors(query, C.CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, g.graph)
	setElements(b, query, C.CUDNN_ATTR_ENGINEHEUR_MODE, C.CUDNN_TYPE_HEUR_MODE, C.cudnnBackendHeurMode_t(h))
	if g.d.target != nil {
		b.descriptors(query, attributeHeuristicsTarget, g.d.target)
	}
	b.finalize(query)
	count := min(maxEngines, elements[backendDesc](b, query, C.CUDNN_ATTR_ENGINEHEUR_RESULTS, C.CUDNN_TYPE_BACKEND_DESCRIPTOR, nil))
	configs := make([]backendDesc, count)
	for i := range configs {
		configs[i] = b.create(C.CUDNN_BACKEND_ENGINECFG_DESCRIPTOR)
	}
	if count > 0 {
		count = min(count, elements(b, query, C.CUDNN_ATTR_ENGINEHEUR_RESULTS, C.CUDNN_TYPE_BACKEND_DESCRIPTOR, configs))
	}
	var engines []GraphEngine
	for i, config := range configs[:count] {
		e := GraphEngine{Heuristics: h, Place: i, config: config}
		b.describe(&e)
		engines = append(engines, e)
	}
	if b.err != nil {
		return nil, b.err
	}
	for _, e := range engines {
		b.release(e.config)
		g.owned = append(g.owned, e.config)
	}
	return engines, nil
}

// describe fills in the engine's number and notes.
func (b *backend) describe(e *GraphEngine) {
	engine := []backendDesc{b.create(C.CUDNN_BACKEND_ENGINE_DESCRIPTOR)}
	elements(b, e.config, C.CUDNN_ATTR_ENGINECFG_ENGINE, C.CUDNN_TYPE_BACKEND_DESCRIPTOR, engine)
	e.Number = int(b.integer(engine[0], C.CUDNN_ATTR_ENGINE_GLOBAL_INDEX))
	var notes [maxNotes]C.cudnnBackendNumericalNote_t
	count := elements(b, engine[0], C.CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, C.CUDNN_TYPE_NUMERICAL_NOTE, notes[:])
	for _, note := range notes[:min(count, maxNotes)] {
		e.Notes |= 1 << note
	}
}

// GraphPlan is an execution plan: a graph on an engine, which can be run on any tensors of the graph's shapes.
type GraphPlan struct {
	backend
	d         *DNN
	pass      Pass
	bias      bool
	plan      backendDesc
	workspace int64
}

// Plan prepares an engine of this graph. Each engine can have only one plan. The error is a device.ErrNotSupported if
// the engine can't compute the graph after all, or if something that it needs is missing, such as a library that
// compiles kernels.
func (g *ConvolutionGraph) Plan(e GraphEngine) (*GraphPlan, error) {
	p := &GraphPlan{backend: backend{doing: fmt.Sprintf("%v: preparing graph engine %d", g.pass, e.Number)}, d: g.d, pass: g.pass, bias: g.bias}
	p.plan = p.create(C.CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR)
	if g.d.target == nil {
		setElements(&p.backend, p.plan, C.CUDNN_ATTR_EXECUTION_PLAN_HANDLE, C.CUDNN_TYPE_HANDLE, g.d.handle)
	} else {
		p.descriptors(p.plan, attributePlanTarget, g.d.target)
	}
	p.descriptors(p.plan, C.CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, e.config)
	p.finalize(p.plan)
	p.workspace = p.integer(p.plan, C.CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE)
	if p.err != nil {
		err := p.err
		_ = p.Close()
		return nil, err
	}
	g.release(e.config)
	p.owned = append([]backendDesc{e.config}, p.owned...)
	return p, nil
}

// Workspace returns the bytes of device memory that the plan needs.
func (p *GraphPlan) Workspace() int64 { return p.workspace }

// Run queues the pass: y, dx or dw is written, the other two are read, and bias is read if the graph has one. Addresses
// must be multiples of 16.
func (p *GraphPlan) Run(x, w, y, bias, workspace cu.DevicePtr) error {
	if !p.bias {
		bias = 0
	}
	return cudnnError(p.pass.String(), C.shim_execute(p.d.handle, p.plan, C.address(x), C.address(w), C.address(y), C.address(bias),
		C.address(workspace)))
}

// Close destroys the plan. None of its runs may still be in progress.
func (p *GraphPlan) Close() error { return p.close() }

// Attributes of cuDNN 9.8 for preparing a graph for a GPU that is not present.
const (
	attributeHeuristicsTarget = 204  // CUDNN_ATTR_ENGINEHEUR_DEVICEPROP
	attributePlanTarget       = 407  // CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP
	attributeTargetJSON       = 2702 // CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION
	backendTarget             = 38   // CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR
)

// newTargetDNN returns a DNN without a handle. It prepares graphs for the GPU that the text describes in cuDNN's JSON
// format, but can't run them. Only tests use it, because they can't call C themselves; it must not be closed.
func newTargetDNN(text string) (*DNN, error) {
	if err := dnn.need(); err != nil {
		return nil, err
	}
	b := &backend{doing: "describing a GPU"}
	target := b.create(backendTarget)
	setElements(b, target, attributeTargetJSON, C.CUDNN_TYPE_CHAR, append([]byte(text), 0)...)
	b.finalize(target)
	if b.err != nil {
		err := b.err
		_ = b.close()
		return nil, err
	}
	return &DNN{target: target}, nil
}
