package device

// Function is an elementwise function f and its derivative f', in float64: the definition that the
// reference computes by and that tests check the devices against. A device looks its own code up by
// the name. alpha is a constant of the layer; most functions ignore it.
//
// Where f has a kink, the derivative is that of the side which Slope says. Value keeps NaN; at infinity it
// may give NaN where its formula multiplies infinity by zero. A Function is never changed, so that layers
// and plans share it.
type Function struct {
	Name         string // unique, such as "leaky-relu"
	Value, Slope func(x, alpha float64) float64
	// Short says that devices may compute it by a shorter polynomial where the result has 16 bits, with an error of a
	// sixteenth of float16's rounding (reference.ShortFunctionUlps).
	Short bool
}

// String returns the name.
func (f *Function) String() string {
	if f == nil {
		return "none"
	}
	return f.Name
}

// ActivationSpec is an elementwise activation over at most Len elements.
type ActivationSpec struct {
	Function *Function
	Alpha    float32 // second argument of the function
	Len      int
	DType    DType // of all tensors; 0 means Float32
}

// Activation is an activation's plan. All tensors have the same number of elements.
// NaN gives NaN in Forward; the derivative at NaN is left to the device. At infinity a formula that multiplies
// infinity by zero may give NaN or its limit.
type Activation interface {
	Forward(y, x *Tensor)
	// Backward computes dx = dy * f'(x); y is Forward's output. dx may be dy.
	Backward(dx, dy, x, y *Tensor)
}
