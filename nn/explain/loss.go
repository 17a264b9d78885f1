package explain

// Loss is how a loss of one example with a label comes from the network's outputs z.
type Loss struct {
	Formula
	Softmax bool // the loss takes the softmax of z
	// Terms returns the summands of the loss.
	Terms func(z []float64, label int) []Summand
	// Gradient returns the summands of the loss's derivative with respect to z[k]. With Softmax, the first is the one that
	// has the softmax.
	Gradient func(z []float64, label, k int) []Summand
}

// Summand is a number with a name, such as "-q[3] z[3]".
type Summand struct {
	Label string
	Value float64
	// Output is the network's output that the summand belongs to, or Any.
	Output int
}
