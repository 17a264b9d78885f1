//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"errors"
	"fmt"

	"gorgonia.org/cu"
	cudnn "gorgonia.org/cu/dnn"

	"trainer/gpu/internal/cuda"
	"trainer/kernels"
	"trainer/nn/device"
)

// conv2D is the plan of a convolution of NHWC tensors, computed by cuDNN:
//
//	Forward         y = x * w (+ bias), and in the fused form ReLU of it
//	BackwardData    dx = dy * w, transposed
//	BackwardFilter  dw = sum over images and pixels of dy x;  dbias = sum of dy
//
// Bias and ReLU are part of cuDNN's call where it has that, and otherwise a pass over y by the kernels of epilogue.cu.
// dbias is the sum of columns of reduce.cu. choosePass decides how a pass is computed. Convolutions with a filter for each
// channel are not cuDNN's: see depthwise. Those whose padding differs between opposite sides run on a padded copy: see
// paddedConv2D.
//
// cuDNN's call takes the bias in the type of the images. If that has 16 bits, the call gets a converted copy, made
// before each call: that moves only outC numbers, while adding the bias afterwards would read and write all of y again.
type conv2D struct {
	d    *Device
	spec device.Conv2DSpec
	relu bool

	full    *convBatch         // for the spec's N images
	smaller map[int]*convBatch // for other batch sizes used so far

	fused      bool                 // cuDNN hasn't refused bias and activation in one call
	bias       *cuda.TensorDesc     // [1,1,1,outC]
	activation *cuda.ActivationDesc // ReLU or identity
	ownBias    *memory              // the 16-bit copy of the bias, or zeros for ReLU without a bias; nil if neither is needed
	castBias   *cuda.Kernel         // makes the copy
	epilogue   *cuda.Kernel         // nil without bias and ReLU

	sum columnReduction // dbias
}

// convBatch holds how each pass is computed for one number of images. Passes that the plan
// doesn't have are nil, and of smaller batches those that haven't been needed yet.
type convBatch struct{ passes [3]*convPass }

// convPass is one pass of a convolution with the chosen implementation: a graph, or an algorithm of the old calls.
type convPass struct {
	cuda.Convolution
	algorithm int
	math      cudnn.MathType
	graph     *graphPass // nil for an algorithm
	workspace int64      // bytes of the shared workspace
}

// NewConv2D makes a plan for a convolution.
func (d *Device) NewConv2D(s device.Conv2DSpec) (device.Conv2D, error) { return d.newConv2D(s, false) }

// NewConv2DReLU makes a plan for a convolution whose output goes through ReLU.
func (d *Device) NewConv2DReLU(s device.Conv2DSpec) (device.Conv2D, error) {
	return d.newConv2D(s, true)
}

func (d *Device) newConv2D(s device.Conv2DSpec, relu bool) (device.Conv2D, error) {
	s.Check()
	if !s.Symmetric() && !isDepthwise(s) {
		return d.newPaddedConv2D(s, relu)
	}
	s.DType = floatType("NewConv2D", s.DType)
	return build(d, "conv2d", func(b *builder) device.Conv2D {
		b.stores(s.DType)
		outputs := s.N * s.OutH() * s.OutW() * s.OutC
		if !b.elements(s.N*s.H*s.W*s.InC) || !b.elements(outputs) {
			return nil
		}
		if isDepthwise(s) {
			return b.newDepthwise(s, relu)
		}
		b.dnn()
		p := &conv2D{d: d, spec: s, relu: relu, smaller: map[int]*convBatch{}, epilogue: b.epilogue(s.Bias, relu, s.DType)}
		if !s.NoBackward && s.Bias {
			p.sum = b.columnReduction(reductionOf(device.ReduceSum), s.DType, 1, s.OutC)
			b.reserve(columnSums(outputs/s.OutC, s.OutC))
		}
		if p.fused = s.Bias || relu; p.fused {
			p.planFused(b)
		}
		if b.err == nil {
			p.full, b.err = p.choose()
		}
		return p
	})
}

// planFused prepares cuDNN's call for convolution, bias and activation.
func (p *conv2D) planFused(b *builder) {
	mode := cudnn.Identity
	if p.relu {
		mode = cudnn.ReLU
	}
	if b.err == nil {
		p.activation, b.err = p.d.descriptors.activation(mode)
	}
	if b.err == nil {
		p.bias, b.err = p.d.descriptors.tensor(p.spec.DType, [4]int{1, 1, 1, p.spec.OutC})
	}
	bytes := p.spec.DType.Size() * p.spec.OutC
	switch {
	case !p.spec.Bias:
		p.ownBias = b.zeros(bytes)
	case p.spec.DType != device.Float32:
		p.ownBias, p.castBias = b.memory(bytes), b.family(kernels.CastFromFloat32, p.spec.DType)
	}
}

// Algorithm names the algorithm or engine chosen for each pass.
func (p *conv2D) Algorithm() string {
	text := "cuDNN"
	for i, pass := range p.full.passes {
		if pass == nil {
			continue
		}
		if i > 0 {
			text += ","
		}
		if pass.graph != nil {
			text += " " + pass.graph.name(cuda.Pass(i))
		} else {
			text += " " + algorithmName(cuda.Pass(i), pass.algorithm)
		}
	}
	return text
}

// Workspace returns the bytes that the plan owns. cuDNN's workspace is not among them: all plans of the device share
// it.
func (p *conv2D) Workspace() int64 {
	if p.ownBias == nil {
		return 0
	}
	return p.ownBias.bytes
}

// batch returns how to compute a pass of n images; nil after a fault. A pass of a smaller batch is chosen when it is first
// needed: the last batch of an evaluation has only the forward pass.
func (p *conv2D) batch(pass cuda.Pass, n int) *convBatch {
	if n == p.spec.N {
		return p.full
	}
	b := p.smaller[n]
	if b == nil {
		b = &convBatch{}
		p.smaller[n] = b
	}
	if b.passes[pass] == nil {
		c, err := p.choosePass(pass, n)
		if err != nil {
			p.d.fail(err)
			return nil
		}
		b.passes[pass] = c
	}
	return b
}

// run queues a pass on tensors of n images, or of their gradients. bias is the forward pass's bias, or nil.
func (p *conv2D) run(pass cuda.Pass, n int, x, w, y, bias *device.Tensor) {
	d, b := p.d, p.batch(pass, n)
	if b == nil {
		return
	}
	c := b.passes[pass]
	err := p.queue(pass, c, x, w, y, bias)
	if c.graph != nil && d.recording == nil && errors.Is(err, device.ErrNotSupported) {
		// This happens at the first call, before a step is recorded.
		if c, err = p.chooseAlgorithm(pass, n); err == nil {
			b.passes[pass] = c
			err = p.queue(pass, c, x, w, y, bias)
		}
	}
	if err != nil {
		d.fail(err)
	}
}

// queue queues a pass as chosen, and in the forward pass also the bias and the activation, if they are separate.
func (p *conv2D) queue(pass cuda.Pass, c *convPass, x, w, y, bias *device.Tensor) (err error) {
	d := p.d
	switch {
	case c.graph != nil:
		err = p.runGraph(c.graph, x, w, y, bias)
		if c.graph.fused {
			return err
		}
	case pass == cuda.Forward && p.fused:
		if done, err := p.forwardFused(c, x, w, y, bias); done {
			return err
		}
		fallthrough
	default:
		err = d.dnn.Convolve(pass, &c.Convolution, c.algorithm, 1, d.data(x), d.data(w), d.data(y), d.scratch(), c.workspace, 0)
	}
	if err == nil && pass == cuda.Forward && p.epilogue != nil {
		d.finish(p.epilogue, y, bias)
	}
	return err
}

// Forward computes y.
func (p *conv2D) Forward(y, x, w, bias *device.Tensor) {
	const op = "conv2d forward"
	s, d := p.spec, p.d
	n := device.CheckRows(op, "x", x, s.DType, s.N, s.H, s.W, s.InC)
	device.Check(op, "y", y, s.DType, n, s.OutH(), s.OutW(), s.OutC)
	p.checkFilters(op, "w", w)
	if (bias != nil) != s.Bias {
		panic(fmt.Sprintf("%s: bias given: %v, by the spec: %v", op, bias != nil, s.Bias))
	}
	if bias != nil {
		device.Check(op, "bias", bias, device.Float32, s.OutC)
	}
	if !d.begin(op) {
		return
	}
	defer d.end()
	p.run(cuda.Forward, n, x, w, y, bias)
}

// implicitPrecompGEMM is the only forward algorithm in which cuDNN can add a bias without an activation.
const implicitPrecompGEMM = 1

// forwardFused queues convolution, bias and activation as one of the old calls. It reports whether that worked: false
// if cuDNN doesn't support it.
func (p *conv2D) forwardFused(c *convPass, x, w, y, bias *device.Tensor) (done bool, err error) {
	d := p.d
	if !p.relu && c.algorithm != implicitPrecompGEMM {
		return false, nil
	}
	added := p.fusedBias(bias)
	if d.fault != nil {
		return true, nil
	}
	err = d.dnn.ConvolveBiasActivate(&c.Convolution, c.algorithm, d.data(x), d.data(w), d.scratch(), c.workspace,
		1, 0, c.Y, d.data(y), p.bias, added, p.activation, d.data(y))
	if errors.Is(err, device.ErrNotSupported) {
		p.fused = false // found out at the first call, before a step is recorded
		return false, nil
	}
	return true, err
}

// fusedBias returns the bias in the form that cuDNN's call takes, and queues the conversion if one is needed. bias may
// be nil.
func (p *conv2D) fusedBias(bias *device.Tensor) cu.DevicePtr {
	d := p.d
	if p.ownBias == nil {
		return d.data(bias)
	}
	own := d.at(p.ownBias)
	if bias != nil {
		n := bias.Len()
		d.arguments().Pointer(own).Pointer(d.data(bias)).Int32(int32(n))
		d.launch(p.castBias, kernels.FourPerThread(n))
	}
	return own
}

// BackwardData computes dx.
func (p *conv2D) BackwardData(dx, dy, w *device.Tensor) {
	const op = "conv2d backward data"
	s, d := p.spec, p.d
	if s.NoBackward || s.NoBackwardData {
		panic(op + ": the plan was made without it")
	}
	n := device.CheckRows(op, "dx", dx, s.DType, s.N, s.H, s.W, s.InC)
	device.Check(op, "dy", dy, s.DType, n, s.OutH(), s.OutW(), s.OutC)
	p.checkFilters(op, "w", w)
	if !d.begin(op) {
		return
	}
	defer d.end()
	p.run(cuda.BackwardData, n, dx, w, dy, nil)
}

// BackwardFilter computes dw and dbias.
func (p *conv2D) BackwardFilter(dw, dbias, dy, x *device.Tensor) {
	const op = "conv2d backward filter"
	s, d := p.spec, p.d
	if s.NoBackward {
		panic(op + ": the plan was made without it")
	}
	n := device.CheckRows(op, "x", x, s.DType, s.N, s.H, s.W, s.InC)
	device.Check(op, "dy", dy, s.DType, n, s.OutH(), s.OutW(), s.OutC)
	if dw != nil {
		p.checkFilters(op, "dw", dw)
	}
	if dbias != nil {
		device.Check(op, "dbias", dbias, device.Float32, s.OutC)
		if !s.Bias {
			panic(op + ": dbias given, but the spec has no bias")
		}
	}
	if !d.begin(op) {
		return
	}
	defer d.end()
	if dw != nil {
		p.run(cuda.BackwardFilter, n, x, dw, dy, nil)
	}
	if dbias != nil {
		d.reduceColumns(p.sum, dbias, dy, nil, columnShape{1, 1, dy.Len() / s.OutC, s.OutC}, 1)
	}
}

func (p *conv2D) checkFilters(op, operand string, t *device.Tensor) {
	s := p.spec
	device.Check(op, operand, t, s.DType, s.OutC, s.KH, s.KW, s.InC/s.Groups)
}
