package nn

import "trainer/nn/device"

// ActivationKind is an activation that recipes can name.
type ActivationKind struct {
	Layer ActivationLayer
	Doc   string // the formula, in a few words
}

// Activations returns every activation, one entry for each function: kinds that are a choice between several have
// several entries. The functions that devices are tested with, the kinds of layers in recipes
// and the colours of figures follow from this list.
func Activations() []ActivationKind {
	return []ActivationKind{
		{ReLU{}, "max(0, x)"},
		{LeakyReLU{}, "x above 0, slope*x below"},
		{GELU{}, "x times the normal distribution function of x"},
		{GELU{Tanh: true}, "GELU, approximated by tanh"},
		{Sigmoid{}, "1/(1+exp(-x))"},
		{Tanh{}, "hyperbolic tangent"},
		{SiLU{}, "x*sigmoid(x)"},
		{HardSwish{}, "x*min(max(x+3, 0), 6)/6"},
		{ELU{}, "x above 0, alpha*(exp(x)-1) below"},
		{Softplus{}, "log(1+exp(x))"},
		{Mish{}, "x*tanh(log(1+exp(x)))"},
	}
}

// Functions returns the function of each activation.
func Functions() []*device.Function {
	var all []*device.Function
	for _, a := range Activations() {
		all = append(all, a.Layer.Activation().Function)
	}
	return all
}
