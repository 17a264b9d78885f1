package export

import (
	"errors"
	"fmt"
	"math"

	"trainer/nn/graph"
)

// node translates one operation.
func (e *onnxWriter) node(n graph.Node) (err error) {
	e.layer = n.Layer
	var in []string
	for _, v := range n.Inputs {
		in = append(in, e.names[v.ID])
	}
	translate := e.translate
	if e.half && needsFloat32(n.Op) {
		translate = e.inFloat32
	}
	out, err := translate(n, in)
	e.names[n.Output.ID] = out
	e.quantize(n.Output)
	return err
}

func (e *onnxWriter) translate(n graph.Node, in []string) (string, error) {
	x := in[0]
	switch n.Op {
	case graph.Conv, graph.ConvTranspose, graph.Linear, graph.BatchNorm, graph.GroupNorm, graph.LayerNorm, graph.PRelu:
		return e.withParams(n, x), nil
	case graph.MaxPool:
		a, err := roundedUp(n)
		return e.op("MaxPool", in, append(windowAttributes(a), "ceil_mode", flag(a.CeilMode))...), err
	case graph.AveragePool:
		a, err := roundedUp(n)
		if err != nil {
			return "", err
		}
		if n.Dilation != [2]int{1, 1} {
			return "", errors.New("an average pooling with dilation needs a newer set of operators than opset 17")
		}
		if a.CeilMode && e.rounding != nil {
			// ONNX Runtime 1.32 miscounts the windows of such a pooling of whole numbers. The sum of a single value keeps
			// it in float32.
			in = []string{e.op("Sum", in)}
		}
		return e.op("AveragePool", in, "kernel_shape", n.Kernel[:], "strides", n.Stride[:], "pads", a.Pads[:],
			"count_include_pad", flag(n.CountPadding), "ceil_mode", flag(a.CeilMode)), nil
	case graph.Gelu, graph.GeluTanh:
		return e.gelu(x, n.Op == graph.GeluTanh), nil
	case graph.Silu:
		return e.op("Mul", []string{x, e.op("Sigmoid", in)}), nil
	case graph.Relu, graph.Sigmoid, graph.Tanh, graph.Softplus:
		return e.op(string(n.Op), in), nil
	case graph.LeakyRelu, graph.Elu:
		return e.op(string(n.Op), in, "alpha", n.Alpha), nil
	case graph.Clip:
		return e.op("Clip", []string{x, e.number(n.Low), e.number(n.High)}), nil
	case graph.Add:
		return e.op("Add", in), nil
	case graph.Mul:
		return e.op("Mul", []string{x, e.factors(n.Inputs[0], n.Inputs[1], in[1])}), nil
	case graph.Affine:
		return e.affine(x, n.Alpha, n.Beta), nil
	case graph.Concat:
		return e.op("Concat", in, "axis", 1), nil
	case graph.Mean:
		return e.op("Flatten", []string{e.op("GlobalAveragePool", in)}, "axis", 1), nil
	case graph.Flatten:
		return e.op("Flatten", in, "axis", 1), nil
	case graph.Repeat:
		return e.op("Resize", []string{x, "", e.factorsOfResize(float32(n.Factor))}, "mode", "nearest",
			"coordinate_transformation_mode", "asymmetric", "nearest_mode", "floor"), nil
	}
	return "", fmt.Errorf("there is no translation of the operation %s", n.Op)
}

// roundedUp returns the attributes of a pooling without a CeilMode that changes nothing. Before opset 22, ONNX counts a
// last window that starts behind the image, which doesn't count here: in a direction with such a window, padding that no
// other window reaches is taken away.
func roundedUp(n graph.Node) (graph.Attributes, error) {
	a, needed := n.Attributes, false
	if !a.CeilMode {
		return a, nil
	}
	var rest [2]int // padding that no window reaches
	for k := range rest {
		room := n.Inputs[0].Shape[1+k] + a.Pads[k] + a.Pads[2+k] - a.Dilation[k]*(a.Kernel[k]-1) - 1
		if room >= 0 && room/a.Stride[k]+1 == n.Output.Shape[1+k] {
			rest[k] = room % a.Stride[k]
		} else {
			needed = true
		}
	}
	if a.CeilMode = needed; !needed {
		return a, nil
	}
	for k, r := range rest {
		if a.Pads[2+k] -= r; a.Pads[2+k] < 0 {
			return a, errors.New("a pooling whose size is rounded up in one direction needs a newer set of operators than opset 17")
		}
	}
	return a, nil
}

// withParams translates an operation that has parameters.
func (e *onnxWriter) withParams(n graph.Node, x string) string {
	if n.Op == graph.PRelu {
		return e.prelu(n, x)
	}
	var params []string
	if weighted(n.Op) && e.rounding != nil {
		params = e.quantizedParams(n)
	} else {
		params = e.params(n)
	}
	all := append([]string{x}, params...)
	switch n.Op {
	case graph.Conv:
		return e.op("Conv", all, append(windowAttributes(n.Attributes), "group", max(1, n.Groups))...)
	case graph.ConvTranspose:
		return e.op("ConvTranspose", all, append(windowAttributes(n.Attributes), "group", max(1, n.Groups), "output_padding", n.OutputPadding[:])...)
	case graph.Linear:
		return e.op("Gemm", all, "transB", 1)
	case graph.BatchNorm:
		return e.op("BatchNormalization", all, "epsilon", n.Epsilon)
	case graph.LayerNorm:
		return e.layerNorm(n, x, params)
	}
	return e.groupNorm(n, x, params)
}

// layerNorm moves the channels to the end, over which LayerNormalization runs.
func (e *onnxWriter) layerNorm(n graph.Node, x string, params []string) string {
	image := len(n.Output.Shape) == 3
	if image {
		x = e.op("Transpose", []string{x}, "perm", []int{0, 2, 3, 1})
	}
	x = e.op("LayerNormalization", append([]string{x}, params...), "axis", -1, "epsilon", n.Epsilon)
	if image {
		x = e.op("Transpose", []string{x}, "perm", []int{0, 3, 1, 2})
	}
	return x
}

// groupNorm makes every group a channel of its own, which InstanceNormalization normalises; opset 17 has no operator for
// groups.
func (e *onnxWriter) groupNorm(n graph.Node, x string, params []string) string {
	ones := make([]float32, n.Groups)
	for k := range ones {
		ones[k] = 1
	}
	x = e.op("Reshape", []string{x, e.integers(0, n.Groups, -1)})
	x = e.op("InstanceNormalization", []string{x, e.constant([]int{n.Groups}, ones...), e.constant([]int{n.Groups}, make([]float32, n.Groups)...)}, "epsilon", n.Epsilon)
	x = e.op("Reshape", []string{x, e.integers(append([]int{-1}, n.Output.Shape...)...)})
	for k, kind := range []string{"Mul", "Add"} {
		x = e.op(kind, []string{x, e.perChannel(params[k], n.Output.Shape)})
	}
	return x
}

// perChannel returns values [c] in a shape that goes with images or vectors of the given shape.
func (e *onnxWriter) perChannel(name string, shape []int) string {
	if len(shape) != 3 {
		return name
	}
	return e.op("Reshape", []string{name, e.integers(shape[0], 1, 1)})
}

// prelu adds the slope with one dimension per dimension of x.
func (e *onnxWriter) prelu(n graph.Node, x string) string {
	shape := slicesOfOnes(len(n.Output.Shape))
	shape[0] = n.Params[0].Shape[0]
	return e.op("PRelu", []string{x, e.param(n.Params[0], shape)})
}

// factors returns b in a shape in which it can be multiplied with a.
func (e *onnxWriter) factors(a, b graph.Value, name string) string {
	if len(a.Shape) == len(b.Shape) {
		return name
	}
	return e.op("Reshape", []string{name, e.integers(-1, b.Shape[0], 1, 1)})
}

func (e *onnxWriter) affine(x string, scale, shift float64) string {
	if scale != 1 {
		x = e.op("Mul", []string{x, e.number(scale)})
	}
	if shift != 0 {
		x = e.op("Add", []string{x, e.number(shift)})
	}
	return x
}

// gelu is x/2 (1 + erf(x/sqrt 2)), or x/2 (1 + tanh(sqrt(2/pi) x (1 + 0.044715 x^2))).
func (e *onnxWriter) gelu(x string, tanh bool) string {
	var f string
	if tanh {
		square := e.op("Mul", []string{x, x})
		f = e.op("Tanh", []string{e.affine(e.op("Mul", []string{x, e.affine(square, 0.044715, 1)}), math.Sqrt(2/math.Pi), 0)})
	} else {
		f = e.op("Erf", []string{e.affine(x, 1/math.Sqrt2, 0)})
	}
	return e.op("Mul", []string{x, e.affine(f, 0.5, 0.5)})
}

func windowAttributes(a graph.Attributes) []any {
	return []any{"kernel_shape", a.Kernel[:], "strides", a.Stride[:], "dilations", a.Dilation[:], "pads", a.Pads[:]}
}

func slicesOfOnes(n int) []int {
	ones := make([]int, n)
	for k := range ones {
		ones[k] = 1
	}
	return ones
}

func flag(on bool) int {
	if on {
		return 1
	}
	return 0
}
