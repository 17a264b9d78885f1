package export

import (
	"fmt"
	"math"
	"slices"

	"trainer/nn"
	"trainer/nn/device"
	"trainer/nn/graph"
)

// prepare returns what computes a node.
func (s *simulator) prepare(n graph.Node) (func(y []float32, in [][]float32, n int) error, error) {
	switch n.Op {
	case graph.Conv, graph.ConvTranspose, graph.Linear, graph.BatchNorm, graph.MaxPool, graph.AveragePool:
		return s.onDevice(n)
	}
	if f := activation(n); f != nil {
		return s.function(n, f)
	}
	compute := s.onHost(n)
	if compute == nil {
		return nil, fmt.Errorf("there is no simulation of the operation %s", n.Op)
	}
	return func(y []float32, in [][]float32, batch int) error {
		compute(y, in, batch)
		return nil
	}, nil
}

// activation returns the function that a node applies to each element, or nil.
func activation(n graph.Node) *device.Function {
	layers := map[graph.Op]nn.ActivationLayer{
		graph.Relu: nn.ReLU{}, graph.LeakyRelu: nn.LeakyReLU{}, graph.Elu: nn.ELU{}, graph.Sigmoid: nn.Sigmoid{}, graph.Tanh: nn.Tanh{},
		graph.Softplus: nn.Softplus{}, graph.Gelu: nn.GELU{}, graph.GeluTanh: nn.GELU{Tanh: true}, graph.Silu: nn.SiLU{},
	}
	if l, ok := layers[n.Op]; ok {
		return l.Activation().Function
	}
	return nil
}

func (s *simulator) function(n graph.Node, f *device.Function) (func([]float32, [][]float32, int) error, error) {
	plan, err := s.dev.NewActivation(device.ActivationSpec{Function: f, Alpha: float32(n.Alpha), Len: s.batch * length(n.Output)})
	if err != nil {
		return nil, err
	}
	return s.transfer(n, func(y, x *device.Tensor) { plan.Forward(y, x) })
}

// transfer returns what uploads a node's input, runs its plan and downloads the output.
func (s *simulator) transfer(n graph.Node, run func(y, x *device.Tensor)) (func([]float32, [][]float32, int) error, error) {
	x, err := s.dev.NewTensor(device.Float32, append([]int{s.batch}, ownShape(n.Inputs[0])...)...)
	if err != nil {
		return nil, err
	}
	y, err := s.dev.NewTensor(device.Float32, append([]int{s.batch}, ownShape(n.Output)...)...)
	if err != nil {
		return nil, err
	}
	return func(out []float32, in [][]float32, batch int) error {
		x.SetRows(batch)
		y.SetRows(batch)
		if err := s.dev.Upload(x, device.Bytes(in[0])); err != nil {
			return err
		}
		run(y, x)
		return s.dev.Download(device.Bytes(out), y)
	}, nil
}

// ownShape returns the shape of a value in this project's layout.
func ownShape(v graph.Value) []int {
	if len(v.Shape) != 3 {
		return v.Shape
	}
	return []int{v.Shape[1], v.Shape[2], v.Shape[0]}
}

// onDevice prepares a node that has a plan.
func (s *simulator) onDevice(n graph.Node) (func([]float32, [][]float32, int) error, error) {
	params, err := s.params(n)
	if err != nil {
		return nil, err
	}
	switch n.Op {
	case graph.ConvTranspose:
		return s.convTranspose(n, params)
	case graph.Linear:
		plan, err := s.dev.NewMatMul(device.MatMulSpec{M: s.batch, N: n.Output.Shape[0], K: n.Inputs[0].Shape[0], Bias: params[1] != nil})
		if err != nil {
			return nil, err
		}
		return s.transfer(n, func(y, x *device.Tensor) { plan.Run(y, x, params[0], params[1]) })
	case graph.BatchNorm:
		c := n.Output.Shape[0]
		plan, err := s.dev.NewBatchNorm(device.BatchNormSpec{Rows: s.batch * length(n.Output) / c, C: c, Epsilon: float32(n.Epsilon), Momentum: 1, NoBackward: true})
		if err != nil {
			return nil, err
		}
		return s.transfer(n, func(y, x *device.Tensor) { plan.Inference(y, x, params[0], params[1], params[2], params[3]) })
	case graph.Conv:
		spec := convolution(n, s.batch, n.Inputs[0], n.Output)
		spec.Bias, spec.NoBackward = params[1] != nil, true
		plan, err := s.dev.NewConv2D(spec)
		if err != nil {
			return nil, err
		}
		return s.transfer(n, func(y, x *device.Tensor) { plan.Forward(y, x, params[0], params[1]) })
	}
	return s.pool(n)
}

// params puts a node's parameters on the device. A bias that is missing is nil.
func (s *simulator) params(n graph.Node) ([]*device.Tensor, error) {
	list := make([]*device.Tensor, max(2, len(n.Params)))
	for k, p := range n.Params {
		shape := slices.Clone(p.Shape)
		for d, own := range p.Permutation {
			shape[own] = p.Shape[d]
		}
		t, err := s.dev.NewTensor(device.Float32, shape...)
		if err != nil {
			return nil, err
		}
		if err := s.dev.Upload(t, device.Bytes(p.Restore(s.network.values[p.Tensor]))); err != nil {
			return nil, err
		}
		list[k] = t
	}
	return list, nil
}

// convolution returns the plan's description of the convolution from images like x to images like y.
func convolution(n graph.Node, batch int, x, y graph.Value) device.Conv2DSpec {
	return device.Conv2DSpec{
		N: batch, H: x.Shape[1], W: x.Shape[2], InC: x.Shape[0], OutC: y.Shape[0], KH: n.Kernel[0], KW: n.Kernel[1],
		StrideH: n.Stride[0], StrideW: n.Stride[1], PadH: n.Pads[0], PadW: n.Pads[1], ExtraPadH: n.Pads[2] - n.Pads[0], ExtraPadW: n.Pads[3] - n.Pads[1],
		DilationH: n.Dilation[0], DilationW: n.Dilation[1], Groups: max(1, n.Groups),
	}.Simplified()
}

// convTranspose runs the backward pass for the data of the convolution in the other direction.
func (s *simulator) convTranspose(n graph.Node, params []*device.Tensor) (func([]float32, [][]float32, int) error, error) {
	n.Pads[2] -= n.OutputPadding[0]
	n.Pads[3] -= n.OutputPadding[1]
	plan, err := s.dev.NewConv2D(convolution(n, s.batch, n.Output, n.Inputs[0]))
	if err != nil {
		return nil, err
	}
	compute, err := s.transfer(n, func(y, x *device.Tensor) { plan.BackwardData(y, x, params[0]) })
	if err != nil || len(n.Params) == 1 {
		return compute, err
	}
	bias := s.network.values[n.Params[1].Tensor]
	return func(y []float32, in [][]float32, batch int) error {
		err := compute(y, in, batch)
		for i := range y {
			y[i] += bias[i%len(bias)]
		}
		return err
	}, nil
}

func (s *simulator) pool(n graph.Node) (func([]float32, [][]float32, int) error, error) {
	mode := device.MaxPool
	if n.Op == graph.AveragePool {
		if mode = device.AvgPoolExcluding; n.CountPadding {
			mode = device.AvgPool
		}
	}
	x := n.Inputs[0]
	plan, err := s.dev.NewPool2D(device.Pool2DSpec{
		Mode: mode, N: s.batch, H: x.Shape[1], W: x.Shape[2], C: x.Shape[0], KH: n.Kernel[0], KW: n.Kernel[1],
		StrideH: n.Stride[0], StrideW: n.Stride[1], PadH: n.Pads[0], PadW: n.Pads[1], ExtraPadH: n.Pads[2] - n.Pads[0], ExtraPadW: n.Pads[3] - n.Pads[1],
		DilationH: n.Dilation[0], DilationW: n.Dilation[1], Ceil: n.CeilMode, NoBackward: true,
	})
	if err != nil {
		return nil, err
	}
	return s.transfer(n, func(y, x *device.Tensor) { plan.Forward(y, x) })
}

// onHost returns the function that computes a node without a plan, or nil.
func (s *simulator) onHost(n graph.Node) func(y []float32, in [][]float32, batch int) {
	each := func(f func(v float32) float32) func([]float32, [][]float32, int) {
		return func(y []float32, in [][]float32, _ int) {
			for i, v := range in[0] {
				y[i] = f(v)
			}
		}
	}
	switch n.Op {
	case graph.Flatten:
		return each(func(v float32) float32 { return v })
	case graph.Clip:
		low, high := float32(n.Low), float32(n.High)
		return each(func(v float32) float32 { return min(max(v, low), high) })
	case graph.Affine:
		a, b := float32(n.Alpha), float32(n.Beta)
		return each(func(v float32) float32 { return a*v + b })
	case graph.PRelu:
		slope := n.Params[0].Restore(s.network.values[n.Params[0].Tensor])
		return func(y []float32, in [][]float32, _ int) {
			for i, v := range in[0] {
				if y[i] = v; v < 0 {
					y[i] = slope[i%len(slope)] * v
				}
			}
		}
	case graph.Add:
		return func(y []float32, in [][]float32, _ int) {
			for i, v := range in[0] {
				y[i] = v + in[1][i]
			}
		}
	case graph.Mul:
		return multiplied(n)
	case graph.Concat:
		return concatenated(n)
	case graph.Mean:
		return meanOfChannels
	case graph.Repeat:
		return repeated(n)
	case graph.GroupNorm:
		return s.normalized(n, n.Groups, n.Output.Shape[0]/n.Groups, length(n.Output)/n.Output.Shape[0])
	case graph.LayerNorm: // each pixel is an image of its own
		return s.normalized(n, 1, n.Output.Shape[0], 1)
	}
	return nil
}

// multiplied multiplies values of equal shapes, or images by one factor per channel.
func multiplied(n graph.Node) func([]float32, [][]float32, int) {
	if len(n.Inputs[0].Shape) == len(n.Inputs[1].Shape) {
		return func(y []float32, in [][]float32, _ int) {
			for i, v := range in[0] {
				y[i] = v * in[1][i]
			}
		}
	}
	c, image := n.Output.Shape[0], length(n.Output)
	return func(y []float32, in [][]float32, _ int) {
		for i, v := range in[0] {
			y[i] = v * in[1][i/image*c+i%c]
		}
	}
}

// concatenated puts the channels of all inputs side by side.
func concatenated(n graph.Node) func([]float32, [][]float32, int) {
	c := n.Output.Shape[0]
	return func(y []float32, in [][]float32, _ int) {
		from := 0
		for k, v := range n.Inputs {
			width := v.Shape[0]
			for row := 0; row*width < len(in[k]); row++ {
				copy(y[row*c+from:][:width], in[k][row*width:])
			}
			from += width
		}
	}
}

// meanOfChannels takes the mean of each channel over an image's pixels.
func meanOfChannels(y []float32, in [][]float32, batch int) {
	c, image := len(y)/batch, len(in[0])/batch
	sums := make([]float64, c)
	for k := range batch {
		clear(sums)
		for i, v := range in[0][k*image:][:image] {
			sums[i%c] += float64(v)
		}
		for i, sum := range sums {
			y[k*c+i] = float32(sum * float64(c) / float64(image))
		}
	}
}

// repeated repeats each pixel in both directions.
func repeated(n graph.Node) func([]float32, [][]float32, int) {
	c, h, w, f := n.Output.Shape[0], n.Output.Shape[1], n.Output.Shape[2], n.Factor
	return func(y []float32, in [][]float32, batch int) {
		for row := range batch * h {
			from := in[0][(row/h*(h/f)+row%h/f)*(w/f)*c:]
			for j := range w {
				copy(y[(row*w+j)*c:][:c], from[j/f*c:])
			}
		}
	}
}

// normalized normalises groups of channels side by side over so many pixels, and scales each channel.
func (s *simulator) normalized(n graph.Node, groups, channels, pixels int) func([]float32, [][]float32, int) {
	scale, bias := n.Params[0].Restore(s.network.values[n.Params[0].Tensor]), n.Params[1].Restore(s.network.values[n.Params[1].Tensor])
	c := groups * channels
	return func(y []float32, in [][]float32, _ int) {
		for from := 0; from < len(y); from += pixels * c {
			for g := range groups {
				at := func(i int) int { return from + i/channels*c + g*channels + i%channels }
				count := pixels * channels
				mean, variance := 0., 0.
				for i := range count {
					mean += float64(in[0][at(i)]) / float64(count)
				}
				for i := range count {
					d := float64(in[0][at(i)]) - mean
					variance += d * d / float64(count)
				}
				factor := 1 / math.Sqrt(variance+n.Epsilon)
				for i := range count {
					k := at(i)
					y[k] = float32((float64(in[0][k])-mean)*factor)*scale[k%c] + bias[k%c]
				}
			}
		}
	}
}
