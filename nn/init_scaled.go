package nn

import "math"

// The initialisers below draw independent numbers of mean 0 whose variance is chosen so that
// signals neither grow nor fade from layer to layer. An output y = sum_i w_i x_i of fanIn
// independent terms has the variance fanIn Var(w) E(x^2); keeping it at E(x^2) requires
// Var(w) = 1/fanIn, and keeping the gradients' variance in the backward pass requires
// 1/fanOut. A uniform number on [-b, b] has the variance b^2/3.

// LeCunNormal has the variance 1/fanIn (LeCun, Bottou, Orr and Müller, "Efficient
// BackProp", 1998, equation 16).
type LeCunNormal struct{}

func leCunNormalKind() InitializerKind {
	return InitializerKind{Name: "lecun", Doc: "normal, variance 1/inputs (LeCun et al. 1998)", New: func() Initializer { return LeCunNormal{} }}
}

// Fill draws the values.
func (LeCunNormal) Fill(dst []float32, c InitContext) error {
	c.Normal(dst, math.Sqrt(1/float64(c.FanIn)))
	return nil
}

// GlorotNormal has the variance 2/(fanIn + fanOut), a compromise between what the signals
// and what the gradients require (Glorot and Bengio, "Understanding the Difficulty of
// Training Deep Feedforward Neural Networks", 2010, equation 12).
type GlorotNormal struct{}

func glorotNormalKind() InitializerKind {
	return InitializerKind{Name: "glorot", Doc: "normal, variance 2/(inputs+outputs) (Glorot and Bengio 2010)", New: func() Initializer { return GlorotNormal{} }}
}

// Fill draws the values.
func (GlorotNormal) Fill(dst []float32, c InitContext) error {
	c.Normal(dst, math.Sqrt(2/float64(c.FanIn+c.FanOut)))
	return nil
}

// GlorotUniform has GlorotNormal's variance: the bound is sqrt(6/(fanIn + fanOut))
// (equation 16 of the same paper).
type GlorotUniform struct{}

func glorotUniformKind() InitializerKind {
	return InitializerKind{Name: "glorot-uniform", Doc: "the same variance, uniform", New: func() Initializer { return GlorotUniform{} }}
}

// Fill draws the values.
func (GlorotUniform) Fill(dst []float32, c InitContext) error {
	c.Uniform(dst, math.Sqrt(6/float64(c.FanIn+c.FanOut)))
	return nil
}

// HeNormal has the variance 2/fanIn: a ReLU before the layer halves E(x^2) (He, Zhang, Ren
// and Sun, "Delving Deep into Rectifiers", 2015, equation 10).
type HeNormal struct{}

func heNormalKind() InitializerKind {
	return InitializerKind{Name: "he", Doc: "normal, variance 2/inputs (He et al. 2015)", New: func() Initializer { return HeNormal{} }}
}

// Fill draws the values.
func (HeNormal) Fill(dst []float32, c InitContext) error {
	c.Normal(dst, math.Sqrt(2/float64(c.FanIn)))
	return nil
}

// HeUniform has HeNormal's variance: the bound is sqrt(6/fanIn).
type HeUniform struct{}

func heUniformKind() InitializerKind {
	return InitializerKind{Name: "he-uniform", Doc: "the same variance, uniform", New: func() Initializer { return HeUniform{} }}
}

// Fill draws the values.
func (HeUniform) Fill(dst []float32, c InitContext) error {
	c.Uniform(dst, math.Sqrt(6/float64(c.FanIn)))
	return nil
}

// PyTorchDefault is PyTorch's initialisation of the weights and biases of convolutions and
// linear layers: uniform with the bound 1/sqrt(fanIn), its kaiming_uniform_ with a =
// sqrt(5). The variance is 1/(3 fanIn).
type PyTorchDefault struct{}

func pyTorchDefaultKind() InitializerKind {
	return InitializerKind{Name: "pytorch", Doc: "uniform in +-1/sqrt(inputs), the default of PyTorch", New: func() Initializer { return PyTorchDefault{} }}
}

// Fill draws the values.
func (PyTorchDefault) Fill(dst []float32, c InitContext) error {
	c.Uniform(dst, 1/math.Sqrt(float64(c.FanIn)))
	return nil
}
