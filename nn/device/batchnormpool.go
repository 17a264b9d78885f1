package device

// FusedPoolBatchNorm is a device that computes a max pooling and a batch normalisation beside it in fewer passes over
// memory. It answers ErrNotSupported to windows that it doesn't fuse.
type FusedPoolBatchNorm interface {
	// NewPoolBatchNorm joins the plans of a pooling and of a normalisation of its output, with an activation or without.
	// Both must be this device's.
	NewPoolBatchNorm(Pool2D, BatchNorm) (PoolBatchNorm, error)
	// NewBatchNormPool returns the plan of y = maxpool(f(batchnorm(x))), x [n, h, w, c] being the images of the pooling. y
	// and dy have the shape of the pooled images; dx must not be dy. alpha is 0.
	NewBatchNormPool(BatchNormSpec, *Function, Pool2DSpec) (BatchNorm, error)
}

// PoolBatchNorm is the plan of two plans: pooled = pool(x), y = norm(pooled). The plans themselves are as if each had run
// its part.
type PoolBatchNorm interface {
	// Forward computes pooled and y, and updates the running statistics.
	Forward(y, pooled, x, gamma, beta, runningMean, runningVar *Tensor)
	// Backward computes dx, the gradient with respect to x, and the parameters' gradients unless they are nil. dx must not
	// be dy.
	Backward(dx, dgamma, dbeta, dy, pooled, gamma, beta *Tensor)
}

// FusedConvPoolBatchNorm is a device that computes a convolution with its max pooling and a batch normalisation after them in fewer
// passes over memory. It answers ErrNotSupported to plans that it doesn't join.
type FusedConvPoolBatchNorm interface {
	// NewConvPoolBatchNorm joins a plan of FusedConvPool, without bias and ReLU, or one of FusedConvOfActivation with such a plan, and one
	// of a normalisation of its output, with an activation or without. Both must be this device's.
	NewConvPoolBatchNorm(ConvForward, BatchNorm) (ConvPoolBatchNorm, error)
}

// ConvPoolBatchNorm is the plan of two plans: pooled = maxpool(conv2d(x)), y = norm(pooled). The plans themselves are as if each had run
// its part, and the gradients with respect to x and the filters are left to the convolution's.
type ConvPoolBatchNorm interface {
	// Forward computes pooled and y, and updates the running statistics.
	Forward(y, pooled, x, w, gamma, beta, runningMean, runningVar *Tensor)
	// Backward computes the parameters' gradients unless they are nil, and the gradient with respect to pooled for the convolution's
	// backward passes: dpooled, which may be dy, is what they are called with. The device may keep the gradient elsewhere, or leave it to
	// those passes, which then read dy and pooled.
	Backward(dpooled, dgamma, dbeta, dy, pooled, gamma, beta *Tensor)
}
