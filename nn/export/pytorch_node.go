package export

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"trainer/nn/graph"
)

// node translates one operation.
func (t *torchWriter) node(n graph.Node) error {
	x := t.names[n.Inputs[0].ID]
	switch n.Op {
	case graph.Conv, graph.ConvTranspose:
		return t.convolution(n, x)
	case graph.Linear:
		return t.call(n, x, []string{"weight", "bias"}, "nn.Linear(%d, %d%s)", n.Params[0].Shape[1], n.Params[0].Shape[0], noBias(n))
	case graph.BatchNorm:
		kind := "BatchNorm2d"
		if len(n.Output.Shape) == 1 {
			kind = "BatchNorm1d"
		}
		return t.call(n, x, []string{"weight", "bias", "running_mean", "running_var"}, "nn.%s(%d, eps=%s)", kind, n.Output.Shape[0], number(n.Epsilon))
	case graph.GroupNorm:
		return t.call(n, x, []string{"weight", "bias"}, "nn.GroupNorm(%d, %d, eps=%s)", n.Groups, n.Output.Shape[0], number(n.Epsilon))
	case graph.LayerNorm:
		return t.layerNorm(n, x)
	case graph.PRelu:
		return t.call(n, x, []string{"weight"}, "nn.PReLU(%d)", n.Params[0].Shape[0])
	case graph.MaxPool:
		return t.maxPool(n, x)
	case graph.AveragePool:
		return t.averagePool(n, x)
	}
	return t.function(n, x)
}

// function translates an operation without parameters and windows.
func (t *torchWriter) function(n graph.Node, x string) error {
	y := ""
	if len(n.Inputs) > 1 {
		y = t.names[n.Inputs[1].ID]
	}
	switch n.Op {
	case graph.Relu:
		t.assign(n, "F.relu(%s)", x)
	case graph.Gelu:
		t.assign(n, "F.gelu(%s)", x)
	case graph.GeluTanh:
		t.assign(n, `F.gelu(%s, approximate="tanh")`, x)
	case graph.Silu:
		t.assign(n, "F.silu(%s)", x)
	case graph.Sigmoid, graph.Tanh:
		t.assign(n, "torch.%s(%s)", strings.ToLower(string(n.Op)), x)
	case graph.Softplus:
		t.assign(n, "F.softplus(%s)", x)
	case graph.LeakyRelu:
		t.assign(n, "F.leaky_relu(%s, %s)", x, number(n.Alpha))
	case graph.Elu:
		t.assign(n, "F.elu(%s, %s)", x, number(n.Alpha))
	case graph.Clip:
		t.assign(n, "%s.clamp(%s, %s)", x, number(n.Low), number(n.High))
	case graph.Add:
		t.assign(n, "%s + %s", x, y)
	case graph.Mul:
		if len(n.Inputs[0].Shape) != len(n.Inputs[1].Shape) {
			y += "[:, :, None, None]"
		}
		t.assign(n, "%s * %s", x, y)
	case graph.Affine:
		t.assign(n, "%s", affine(x, n.Alpha, n.Beta))
	case graph.Concat:
		var parts []string
		for _, v := range n.Inputs {
			parts = append(parts, t.names[v.ID])
		}
		t.assign(n, "torch.cat([%s], dim=1)", strings.Join(parts, ", "))
	case graph.Mean:
		t.assign(n, "%s.mean(dim=(2, 3))", x)
	case graph.Flatten:
		t.assign(n, "%s.flatten(1)", x)
	case graph.Repeat:
		t.assign(n, `F.interpolate(%s, scale_factor=%d, mode="nearest")`, x, n.Factor)
	default:
		return fmt.Errorf("there is no translation of the operation %s", n.Op)
	}
	return nil
}

// call adds a module and its call.
func (t *torchWriter) call(n graph.Node, x string, names []string, format string, args ...any) error {
	module, err := t.addModule(n, names, format, args...)
	if err != nil {
		return err
	}
	t.assign(n, "%s(%s)", module, x)
	return nil
}

func (t *torchWriter) layerNorm(n graph.Node, x string) error {
	module, err := t.addModule(n, []string{"weight", "bias"}, "nn.LayerNorm(%d, eps=%s)", n.Output.Shape[0], number(n.Epsilon))
	if err != nil {
		return err
	}
	if len(n.Output.Shape) == 3 { // over the channels, which nn.LayerNorm wants last
		t.assign(n, "%s(%s.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)", module, x)
		return nil
	}
	t.assign(n, "%s(%s)", module, x)
	return nil
}

func (t *torchWriter) convolution(n graph.Node, x string) error {
	a, shape := n.Attributes, n.Params[0].Shape
	inC, outC := shape[1]*max(1, a.Groups), shape[0]
	kind, more := "Conv2d", ""
	if n.Op == graph.ConvTranspose {
		inC, outC = shape[0], shape[1]*max(1, a.Groups)
		kind, more = "ConvTranspose2d", option("output_padding", a.OutputPadding, [2]int{})
	}
	padding := [2]int{a.Pads[0], a.Pads[1]}
	if padding != [2]int{a.Pads[2], a.Pads[3]} {
		if n.Op == graph.ConvTranspose {
			return errors.New("a transposed convolution with different paddings on opposite sides has no counterpart")
		}
		x, padding = padded(x, a.Pads, "0.0"), [2]int{}
	}
	groups := ""
	if a.Groups > 1 {
		groups = fmt.Sprintf(", groups=%d", a.Groups)
	}
	return t.call(n, x, []string{"weight", "bias"}, "nn.%s(%d, %d, %s%s%s%s%s%s%s)", kind, inC, outC, pair(a.Kernel),
		option("stride", a.Stride, [2]int{1, 1}), option("padding", padding, [2]int{}), more, groups, noBias(n), option("dilation", a.Dilation, [2]int{1, 1}))
}

// errUnequalCeil reports a pooling that no call of PyTorch computes: of an image that is padded beforehand, a window may
// start in the padding behind it.
var errUnequalCeil = errors.New("PyTorch has no pooling that pads opposite sides differently and rounds its size up")

func (t *torchWriter) maxPool(n graph.Node, x string) error {
	a := n.Attributes
	padding := [2]int{a.Pads[0], a.Pads[1]}
	if padding != [2]int{a.Pads[2], a.Pads[3]} {
		if a.CeilMode {
			return errUnequalCeil
		}
		x, padding = padded(x, a.Pads, `float("-inf")`), [2]int{}
	}
	t.assign(n, "F.max_pool2d(%s, %s%s%s%s%s)", x, pair(a.Kernel), option("stride", a.Stride, a.Kernel), option("padding", padding, [2]int{}),
		option("dilation", a.Dilation, [2]int{1, 1}), ceilMode(a))
	return nil
}

func (t *torchWriter) averagePool(n graph.Node, x string) error {
	a := n.Attributes
	padding := [2]int{a.Pads[0], a.Pads[1]}
	switch {
	case a.Dilation != [2]int{1, 1}:
		return errors.New("PyTorch has no average pooling with dilation")
	case padding != [2]int{a.Pads[2], a.Pads[3]}:
		if a.CeilMode {
			return errUnequalCeil
		}
		if !a.CountPadding {
			return errors.New("PyTorch has no average pooling that pads opposite sides differently and leaves the padding out of the mean")
		}
		x, padding = padded(x, a.Pads, "0.0"), [2]int{}
	}
	count := ""
	if !a.CountPadding {
		count = ", count_include_pad=False"
	}
	t.assign(n, "F.avg_pool2d(%s, %s%s%s%s%s)", x, pair(a.Kernel), option("stride", a.Stride, a.Kernel), option("padding", padding, [2]int{}), ceilMode(a), count)
	return nil
}

// padded returns x with different paddings (top, left, bottom, right) on opposite sides.
func padded(x string, pads [4]int, value string) string {
	return fmt.Sprintf("F.pad(%s, (%d, %d, %d, %d), value=%s)", x, pads[1], pads[3], pads[0], pads[2], value)
}

func affine(x string, scale, shift float64) string {
	if scale != 1 {
		x = number(scale) + " * " + x
	}
	if shift != 0 {
		x += " + " + number(shift)
	}
	return x
}

func noBias(n graph.Node) string {
	if len(n.Params) == 1 {
		return ", bias=False"
	}
	return ""
}

func ceilMode(a graph.Attributes) string {
	if a.CeilMode {
		return ", ceil_mode=True"
	}
	return ""
}

// option returns a keyword argument, or nothing if it has its default value.
func option(name string, v, byDefault [2]int) string {
	if v == byDefault {
		return ""
	}
	return ", " + name + "=" + pair(v)
}

// pair returns sizes in both directions.
func pair(v [2]int) string {
	if v[0] == v[1] {
		return strconv.Itoa(v[0])
	}
	return fmt.Sprintf("(%d, %d)", v[0], v[1])
}

// number returns a number with the fewest digits that give it again; settings are float32.
func number(v float64) string {
	bits := 64
	if float64(float32(v)) == v {
		bits = 32
	}
	text := strconv.FormatFloat(v, 'g', -1, bits)
	if !strings.ContainsAny(text, ".e") {
		text += ".0"
	}
	return text
}
