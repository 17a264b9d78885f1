package recipe

import (
	"slices"
	"strings"

	"trainer/nn"
)

// Key is one key of a recipe's table.
type Key struct {
	Name     string
	Doc      string
	Required bool
}

// LayerKind is a kind of layer that recipes can use.
type LayerKind struct {
	Kind string // what "layer" says in the recipe
	Doc  string
	Keys []Key // without "layer" and "name", which every kind has

	build func(s *section, classes int) nn.Layer
}

// LayerKinds returns every kind of layer, in the order in which a reader meets them.
func LayerKinds() []LayerKind {
	kernel := Key{"kernel", "height and width of the window: 3 or [3, 5]", true}
	stride := Key{"stride", "rows and columns from one window to the next (1)", false}
	poolStride := Key{"stride", "rows and columns from one window to the next (as kernel)", false}
	padding := Key{"padding", "rows and columns added on each side (0)", false}
	initial := Key{"init", "initial weights, see initialisers (pytorch)", false}
	bias := Key{"bias", "add a bias to each output (true)", false}
	biasInit := Key{"bias-init", "initial bias, see initialisers (pytorch)", false}

	all := []LayerKind{
		{"conv2d", "convolution", []Key{
			{"out", "number of filters, the channels of the output", true}, kernel, stride,
			{"padding", `rows and columns of zeros on each side, or "same" (0)`, false},
			{"dilation", "distance between the taps of a filter (1)", false},
			{"groups", "split of the channels into independent convolutions (1)", false},
			bias, initial, biasInit,
			{"frozen", "never train the filters; a bias is still trained (false)", false},
		}, buildConv2D},
		{"dense", "fully connected layer", []Key{
			{"out", `number of outputs, or "classes"`, true}, bias, initial, biasInit,
		}, buildDense},
		{"max-pool2d", "largest value of each window", []Key{kernel, poolStride, padding}, buildMaxPool2D},
		{"avg-pool2d", "mean of each window", []Key{kernel, poolStride, padding}, buildAvgPool2D},
		{"global-avg-pool", "mean of each channel", nil, plain(nn.GlobalAvgPool{})},
		{"batch-norm", "normalisation of each channel over the batch, then scale and shift", []Key{
			{"epsilon", "added to the variance (1e-5)", false},
			{"momentum", "weight of the new batch in the running statistics (0.1)", false},
			{"frozen-scale", "keep the scale at 1 (false)", false},
		}, buildBatchNorm},
	}
	all = append(all, activationKinds()...)
	return append(all, []LayerKind{
		{"flatten", "image to vector", nil, plain(nn.Flatten{})},
		{"dropout", "zeroes a random share of the values in training", []Key{
			{"rate", "the share, 0 to below 1", true},
		}, buildDropout},
		{"scale", "x times a constant", []Key{{"by", "the constant", true}}, buildScale},
		{"residual", "sum of a body and a shortcut", []Key{
			{"body", "list of layers", true},
			{"shortcut", "list of layers; without one the input itself", false},
		}, buildResidual},
	}...)
}

// activationKinds returns the kinds of nn's list of activations, which have no keys unless they are given here.
func activationKinds() []LayerKind {
	withKeys := map[string]LayerKind{
		"leaky-relu": {Keys: []Key{{"slope", "above 0 to 1 (0.01)", false}}, build: buildLeakyReLU},
		"gelu":       {Keys: []Key{{"tanh", "the approximation by tanh (false)", false}}, build: buildGELU},
		"elu":        {Keys: []Key{{"alpha", "minus the limit below (1)", false}}, build: buildELU},
	}
	var all []LayerKind
	for _, a := range nn.Activations() {
		kind := a.Layer.Kind()
		if slices.ContainsFunc(all, func(k LayerKind) bool { return k.Kind == kind }) {
			continue // the same kind with another function
		}
		k, ok := withKeys[kind]
		if !ok {
			k.build = plain(a.Layer)
		}
		k.Kind, k.Doc = kind, a.Doc
		all = append(all, k)
	}
	return all
}

// buildLayers builds a list of layers. It never returns nil; errors are in the document.
func buildLayers(sections []*section, classes int) *nn.Sequential {
	byKind := map[string]LayerKind{}
	var valid []string
	for _, k := range LayerKinds() {
		byKind[k.Kind] = k
		valid = append(valid, k.Kind)
	}
	chain := &nn.Sequential{}
	names := map[string]bool{}
	for _, s := range sections {
		if !s.require("layer") {
			continue
		}
		name := s.text("name", "")
		kind, ok := byKind[s.choice("layer", "", valid...)]
		if !ok {
			continue
		}
		layer := kind.build(s, classes)
		s.finish()
		if s.has("name") {
			if !validName(name) {
				s.fail("name", "want letters, digits, - and _, got %q", name)
			}
			if names[name] {
				s.fail("name", "another layer is called %q already", name)
			}
			names[name] = true
			layer = nn.Named(name, layer)
		}
		chain.Layers = append(chain.Layers, layer)
	}
	return chain
}

// validName reports whether a layer can be called so: dots join names, * and others
// make patterns of groups.
func validName(name string) bool {
	return name != "" && strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

func plain(l nn.Layer) func(*section, int) nn.Layer {
	return func(*section, int) nn.Layer { return l }
}

func buildConv2D(s *section, _ int) nn.Layer {
	s.require("out")
	s.require("kernel")
	c := nn.Conv2D{
		OutC:     s.integer("out", 1, 1),
		Kernel:   s.pair("kernel", 1, 1),
		Stride:   s.pair("stride", 1, 1),
		Dilation: s.pair("dilation", 1, 1),
		Groups:   s.integer("groups", 1, 1),
		NoBias:   !s.flag("bias", true),
		Init:     initializer(s, "init"),
		BiasInit: initializer(s, "bias-init"),
		Frozen:   s.flag("frozen", false),
	}
	if v, _ := s.lookup("padding"); v == "same" {
		c.Same = true
	} else {
		c.Padding = s.pair("padding", 0, 0)
	}
	return c
}

func buildDense(s *section, classes int) nn.Layer {
	s.require("out")
	d := nn.Dense{
		NoBias:   !s.flag("bias", true),
		Init:     initializer(s, "init"),
		BiasInit: initializer(s, "bias-init"),
	}
	v, _ := s.lookup("out")
	if name, ok := v.(string); ok && name != "classes" {
		s.fail("out", `want a whole number from 1 or "classes", got %s`, describe(v))
	} else if ok {
		d.Out = classes
	} else {
		d.Out = s.integer("out", 1, 1)
	}
	return d
}

func buildMaxPool2D(s *section, _ int) nn.Layer {
	kernel, stride, padding := window(s)
	return nn.MaxPool2D{Kernel: kernel, Stride: stride, Padding: padding}
}

func buildAvgPool2D(s *section, _ int) nn.Layer {
	kernel, stride, padding := window(s)
	return nn.AvgPool2D{Kernel: kernel, Stride: stride, Padding: padding}
}

// window reads the keys that pooling layers share. The stride is the kernel unless given.
func window(s *section) (kernel, stride, padding nn.Pair) {
	s.require("kernel")
	kernel = s.pair("kernel", 1, 1)
	stride = kernel
	if s.has("stride") {
		stride = s.pair("stride", 1, 1)
	}
	return kernel, stride, s.pair("padding", 0, 0)
}

func buildBatchNorm(s *section, _ int) nn.Layer {
	return nn.BatchNorm{
		Epsilon:     float32(s.number("epsilon", positive, 1e-5)),
		Momentum:    float32(s.number("momentum", aboveZero, 0.1)),
		FrozenScale: s.flag("frozen-scale", false),
	}
}

func buildLeakyReLU(s *section, _ int) nn.Layer {
	return nn.LeakyReLU{Slope: float32(s.number("slope", aboveZero, 0.01))}
}

func buildELU(s *section, _ int) nn.Layer {
	return nn.ELU{Alpha: float32(s.number("alpha", positive, 1))}
}

func buildGELU(s *section, _ int) nn.Layer { return nn.GELU{Tanh: s.flag("tanh", false)} }

func buildDropout(s *section, _ int) nn.Layer {
	s.require("rate")
	return nn.Dropout{Rate: float32(s.number("rate", belowOne, 0))}
}

func buildScale(s *section, _ int) nn.Layer {
	s.require("by")
	return nn.Scale{By: float32(s.number("by", anyNumber, 1))}
}

func buildResidual(s *section, classes int) nn.Layer {
	s.require("body")
	r := nn.Residual{Body: buildLayers(s.subs("body"), classes)}
	if s.has("shortcut") {
		r.Shortcut = buildLayers(s.subs("shortcut"), classes)
	}
	return r
}

// InitializerKind is a rule for initial weights that recipes can name.
type InitializerKind struct {
	Kind string
	Doc  string
}

// InitializerKinds returns every kind of initialiser.
func InitializerKinds() []InitializerKind {
	return []InitializerKind{
		{"pytorch", "uniform in +-1/sqrt(inputs), the default of PyTorch"},
		{"he", "normal, variance 2/inputs (He et al. 2015)"},
		{"he-uniform", "the same variance, uniform"},
		{"glorot", "normal, variance 2/(inputs+outputs) (Glorot and Bengio 2010)"},
		{"glorot-uniform", "the same variance, uniform"},
		{"lecun", "normal, variance 1/inputs (LeCun et al. 1998)"},
		{"orthogonal", "a random orthogonal matrix (Saxe et al. 2013); key: gain"},
		{"dirac", "the first filters pass their input channel on, the others are as in pytorch"},
		{"whitening", "filters that decorrelate patches of the training images; keys: images, epsilon"},
		{"constant", "one value; key: value"},
	}
}

// initializer reads a kind, or a table with the key kind and more; nil when there is none.
func initializer(s *section, key string) nn.Initializer {
	v, ok := s.lookup(key)
	if !ok {
		return nil
	}
	var valid []string
	for _, k := range InitializerKinds() {
		valid = append(valid, k.Kind)
	}
	if _, isTable := v.(map[string]any); !isTable {
		kind := s.choice(key, "", valid...)
		if kind == "constant" {
			s.fail(key, `constant needs a value, such as { kind = "constant", value = 0.5 }`)
		}
		return newInitializer(&section{doc: s.doc, path: s.at(key)}, kind)
	}
	sub := s.sub(key)
	sub.require("kind")
	made := newInitializer(sub, sub.choice("kind", "", valid...))
	if made != nil {
		sub.finish()
	}
	return made
}

// newInitializer makes an initialiser with the keys in s, or nil for an unknown kind.
func newInitializer(s *section, kind string) nn.Initializer {
	switch kind {
	case "pytorch":
		return nn.PyTorchDefault{}
	case "he":
		return nn.HeNormal{}
	case "he-uniform":
		return nn.HeUniform{}
	case "glorot":
		return nn.GlorotNormal{}
	case "glorot-uniform":
		return nn.GlorotUniform{}
	case "lecun":
		return nn.LeCunNormal{}
	case "orthogonal":
		return nn.Orthogonal{Gain: s.number("gain", positive, 1)}
	case "dirac":
		return nn.Dirac{}
	case "whitening":
		return nn.Whitening{
			Images:  s.integer("images", 1, 5000),
			Epsilon: s.number("epsilon", positive, 5e-4),
		}
	case "constant":
		if s.table != nil {
			s.require("value")
		}
		return nn.Constant{Value: float32(s.number("value", anyNumber, 0))}
	}
	return nil
}
