package device

// FusedConvActivationGradient is a device that computes the gradient of the bias of a FusedConvActivation in the backward pass of the
// convolution after it: then the gradient with respect to what is between the two needs no memory. It answers ErrNotSupported to plans
// that it doesn't join.
type FusedConvActivationGradient interface {
	// NewConvActivationGradient joins the plans of y = f(conv2d(x)) and of a convolution whose x is that y. Both must be this device's.
	NewConvActivationGradient(ConvActivation, Conv2D) (ConvActivationGradient, error)
}

// ConvActivationGradient is the backward pass for the bias of the first of two convolutions.
type ConvActivationGradient interface {
	// Run computes dbias from the gradient dy with respect to the second convolution's output, for its last Forward. w are its filters;
	// x, filters and bias are the operands of the first one's Forward.
	Run(dbias, dy, w, x, filters, bias *Tensor)
}
