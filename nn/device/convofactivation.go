package device

// FusedConvOfActivation is a device that computes a convolution of the output of a FusedConvActivation from that one's operands: then
// what is between the two, and the gradient with respect to it, need no memory in training. It answers ErrNotSupported to plans that it
// doesn't join.
type FusedConvOfActivation interface {
	// NewConvOfActivation joins the plans of a = f(conv2d(x, filters) + bias) and of y = conv2d(a, w), which has no bias and may pool,
	// and whose spec may have NoBackwardData. Both must be this device's. filters and bias are read at every call.
	NewConvOfActivation(before ConvActivation, filters, bias *Tensor, conv Conv2D) (ConvOfActivation, error)
}

// ConvOfActivation is the plan of two convolutions, y = conv2d(f(conv2d(x, filters) + bias), w), of which x and filters are not trained.
// The plan of the second is as if it had run its part.
type ConvOfActivation interface {
	ConvForward
	// Backward computes dw and the gradient dbias of the first convolution's bias, of which either may be nil, from the gradient dy with
	// respect to y, for the second one's last Forward. x and w are the operands of Forward.
	Backward(dw, dbias, dy, x, w *Tensor)
}

// ConvForward is what Conv2D and ConvOfActivation have in common.
type ConvForward interface {
	// Forward computes y. bias is nil if and only if the convolution has no bias.
	Forward(y, x, w, bias *Tensor)
}
