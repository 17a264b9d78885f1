package device

// Conv2DSpec is a two-dimensional cross-correlation (what deep learning calls
// convolution) over NHWC images:
//
//	y[n,i,j,o] = bias[o] + sum_{a,b,c} x[n, i*strideH + a*dilationH - padH, j*strideW + b*dilationW - padW, g*inC/groups + c] * w[o,a,b,c]
//
// with g = o / (outC/groups), and zero outside the image.
type Conv2DSpec struct {
	N, H, W, InC         int // largest batch, input image
	OutC, KH, KW         int
	StrideH, StrideW     int
	PadH, PadW           int // zeros on each side
	DilationH, DilationW int
	Groups               int
	Bias                 bool
	// DType is that of images, filters and their gradients: Float32 (or 0), Float16 or
	// BFloat16. Sums are float32, and so are bias and dbias.
	DType DType
	// NoBackward tells that only Forward will be called; NoBackwardData that
	// BackwardData won't be: a first layer has no use for it.
	NoBackward, NoBackwardData bool
}

// OutH returns the height of the output: floor((H + 2 padH - dilationH (kH-1) - 1)/strideH) + 1.
func (s Conv2DSpec) OutH() int { return (s.H+2*s.PadH-s.DilationH*(s.KH-1)-1)/s.StrideH + 1 }

// OutW returns the width of the output.
func (s Conv2DSpec) OutW() int { return (s.W+2*s.PadW-s.DilationW*(s.KW-1)-1)/s.StrideW + 1 }

// FLOPs returns the floating-point operations of one forward pass over n images,
// a multiply and an add counting two. Each backward pass takes as many.
func (s Conv2DSpec) FLOPs(n int) int64 {
	return 2 * int64(n) * int64(s.OutH()) * int64(s.OutW()) * int64(s.OutC) * int64(s.KH) * int64(s.KW) * int64(s.InC/s.Groups)
}

// Conv2D is a convolution's plan. Shapes: x, dx [n,H,W,inC]; y, dy
// [n,outH,outW,outC]; w, dw [outC,kH,kW,inC/groups]; bias, dbias [outC].
type Conv2D interface {
	// Forward computes y. bias is nil exactly when the spec has none.
	Forward(y, x, w, bias *Tensor)
	// BackwardData computes dx = the transposed convolution of dy with w.
	BackwardData(dx, dy, w *Tensor)
	// BackwardFilter computes dw[o,a,b,c] = sum_{n,i,j} dy[n,i,j,o] x[n,i'+a..,j'+b..,c]
	// and dbias[o] = sum_{n,i,j} dy[n,i,j,o]. Either may be nil: it is then not computed.
	BackwardFilter(dw, dbias, dy, x *Tensor)
	// Algorithm names what was chosen, for reports.
	Algorithm() string
	// Workspace returns the bytes that the plan owns.
	Workspace() int64
}

// PoolMode is what a pooling window yields.
type PoolMode uint8

// The pooling modes.
const (
	MaxPool          PoolMode = iota + 1 // largest element; padding never wins
	AvgPool                              // mean over the window, padding counted as zeros
	AvgPoolExcluding                     // mean over the window's elements inside the image
)

// Pool2DSpec is pooling over windows of an NHWC image. Output sizes are as a
// convolution's with dilation 1. Padding must be smaller than the window.
type Pool2DSpec struct {
	Mode             PoolMode
	N, H, W, C       int
	KH, KW           int
	StrideH, StrideW int
	PadH, PadW       int
	DType            DType // of all tensors; 0 means Float32
	NoBackward       bool
}

// OutH returns the height of the output.
func (s Pool2DSpec) OutH() int { return (s.H+2*s.PadH-s.KH)/s.StrideH + 1 }

// OutW returns the width of the output.
func (s Pool2DSpec) OutW() int { return (s.W+2*s.PadW-s.KW)/s.StrideW + 1 }

// Pool2D is a pooling's plan. Shapes: x, dx [n,H,W,c]; y, dy [n,outH,outW,c].
type Pool2D interface {
	// Forward computes y. Among equal elements the first in row-major order is the
	// maximum; a NaN in the window is the maximum.
	Forward(y, x *Tensor)
	// Backward computes dx for the last Forward: the gradient goes to the maximum, or
	// is shared by the window. Where windows overlap gradients add up.
	Backward(dx, dy, y, x *Tensor)
}

// MatMulSpec is C = op(A) op(B) (+ bias), op being the transposition if asked; with a batch, that of each of its
// pairs of matrices.
type MatMulSpec struct {
	// Batch is the largest number of products; it may be smaller at run time. 0 means one, of tensors without
	// the batch's dimension.
	Batch          int
	M, N, K        int // largest sizes; M and K may be smaller at run time, as the tensors say
	TransA, TransB bool
	Bias           bool
	DType          DType // of A and B; 0 means Float32. Sums and bias are Float32
	Out            DType // of C: DType (or 0), or Float32
}

// MatMul is a matrix product's plan. c [m,n]; a [m,k], or [k,m] with TransA; b [k,n],
// or [n,k] with TransB; with a batch c [batch,m,n] and so on. bias [n], added to every row, is nil exactly
// when the spec has none. The batch, m and k come from the tensors.
type MatMul interface {
	Run(c, a, b, bias *Tensor)
}

// BatchNormSpec is batch normalisation over the last dimension of [rows, c]
// (Ioffe and Szegedy 2015): with mean and variance over the rows,
//
//	xhat = (x - mean) / sqrt(var + epsilon)      y = gamma*xhat + beta
type BatchNormSpec struct {
	Rows, C int // largest number of rows: n*h*w
	Epsilon float32
	// Momentum is the weight of the new statistics:
	// running = (1-momentum)*running + momentum*batch,
	// the batch's variance taken unbiased (divided by max(rows-1, 1)) there.
	Momentum   float32
	DType      DType // of x, y, dx and dy; 0 means Float32. The rest, and all sums, are Float32
	NoBackward bool
}

// BatchNorm is a batch normalisation's plan. x, y, dx, dy have the last dimension c
// (any others before it); the rest are [c].
type BatchNorm interface {
	// Forward normalises by the batch's statistics, keeps them for Backward, and
	// updates the running ones.
	Forward(y, x, gamma, beta, runningMean, runningVar *Tensor)
	// Inference normalises by the running statistics. What Forward kept stays.
	Inference(y, x, gamma, beta, runningMean, runningVar *Tensor)
	// Backward computes the gradients of the last Forward. dgamma and dbeta may be
	// nil. dx may be dy.
	Backward(dx, dgamma, dbeta, dy, x, gamma, beta *Tensor)
}

// DropoutSpec zeroes elements with probability Rate, 0 <= Rate < 1, and multiplies the
// others by 1/(1-Rate) (Srivastava et al. 2014, in its inverted form). Element i of step
// t is kept exactly when Uniform(RandomWord(Seed, Stream, t, i)) >= Rate; nothing is stored.
type DropoutSpec struct {
	Len    int
	Rate   float32
	Seed   uint64
	Stream Stream
	DType  DType // of x and y; 0 means Float32
}

// Dropout is a dropout's plan. step is int32 [1], on the device.
type Dropout interface {
	Forward(y, x, step *Tensor)
	// Backward applies the same mask to dy. dx may be dy.
	Backward(dx, dy, step *Tensor)
}

// LossKind is what training minimises.
type LossKind uint8

// The losses of one example with outputs z [classes] and target t [classes], a row of probabilities. A label is
// the row that is 1 there and 0 elsewhere. w are the class weights, 1 where the spec has none.
const (
	// SoftmaxCrossEntropy takes logits:
	// L = -sum_k w[k] q[k] log softmax(z)[k], q[k] = (1-s) t[k] + s/classes
	// with s the label smoothing, computed as sum_k w[k] q[k] (logsumexp(z) - z[k]).
	SoftmaxCrossEntropy LossKind = iota + 1
	// MeanSquaredError takes any outputs: L = u/classes sum_k (z[k] - t[k])^2, with u the target's
	// weight (LossSpec).
	MeanSquaredError
)

// LossSpec is a loss over at most N examples of Classes outputs.
//
// Every example i has a weight v[i], an operand of the plan or else 1, and its target has a weight
// u[i] = sum_k w[k] t[i,k], which is w[label] for a label, and 1 without class weights. The batch's total is
//
//	sum_i v[i] L[i] / W      W = sum_i v[i] u[i]      (without weights W is the number of examples)
//
// or with Sum the numerator alone. For labels that is what PyTorch's CrossEntropyLoss computes; for probabilities with class
// weights PyTorch divides by the number of examples instead, so that there a row with a single 1 costs
// something else than its label. Here the two agree.
type LossSpec struct {
	Kind       LossKind
	N, Classes int
	Smoothing  float32
	// SoftTargets makes the targets float32 [n, classes], rows of probabilities, instead of int32 labels [n].
	SoftTargets bool
	// ClassWeights is w, float32 [classes], or nil: every class has the weight 1. It is read at every call.
	ClassWeights *Tensor
	// Weights says that Forward and Backward may be given weights of the examples.
	Weights bool
	// Ignore leaves out examples whose label is IgnoreIndex: they count neither in the loss and its mean nor in
	// the stats, and their gradient is 0, whatever their outputs. It needs labels.
	Ignore      bool
	IgnoreIndex int32
	// Sum makes the total the sum over the batch; otherwise the gradient is that of
	// the mean. Stats hold the sum in both cases.
	Sum bool
	// Scaling, unless nil, is the state of a LossScaling, by whose scale Backward multiplies the
	// gradient. Stats don't know of it.
	Scaling *Tensor
}

// Plain reports whether every example has a label and counts alike, which devices compute faster.
func (s LossSpec) Plain() bool {
	return !s.SoftTargets && s.ClassWeights == nil && !s.Weights && !s.Ignore
}

// StatsLen is the length of the tensor that a loss accumulates into.
const StatsLen = 4

// Indices into the stats tensor, float32 [StatsLen].
const (
	StatLoss    = 0 // sum of v[i] L[i] over the examples since the stats were zeroed
	StatCorrect = 1 // examples whose largest output is where their target is largest
	StatCount   = 2 // examples
	StatWeight  = 3 // sum of v[i] u[i]: StatLoss is divided by it for the mean loss
)

// Loss is a loss's plan. outputs and doutputs [n, classes]; targets int32 labels [n], or float32 [n, classes] with
// SoftTargets; weights float32 [n], or nil: every example has the weight 1, as without LossSpec.Weights. A label outside [0, classes) that is not
// ignored gives a NaN loss and a NaN gradient of its example, never a wrong read; the example counts, with a
// target of weight 1, and not as a correct one.
type Loss interface {
	// Forward adds the batch's loss, correct answers, count and weight to stats. The first of equal outputs, and of
	// equal probabilities, is the largest.
	Forward(stats, outputs, targets, weights *Tensor)
	// Backward computes doutputs. It is 0 where W is not above 0: nothing in the batch counts.
	Backward(doutputs, outputs, targets, weights *Tensor)
}

// SoftmaxSpec is a softmax over the rows of [n, classes].
type SoftmaxSpec struct{ N, Classes int }

// Softmax is a softmax's plan: y[i] = exp(x[i]-max x) / sum_k exp(x[k]-max x). y may be x.
type Softmax interface {
	Forward(y, x *Tensor)
}

// WeightedSumSpec is y = Alpha*a + Beta*b over at most Len elements.
type WeightedSumSpec struct {
	Len         int
	Alpha, Beta float32
	DType       DType // of all tensors; 0 means Float32
}

// WeightedSum is its plan. b may be nil: y = Alpha*a. y may be a or b.
type WeightedSum interface {
	Run(y, a, b *Tensor)
}

// OptimizerKind is an update rule.
type OptimizerKind uint8

// The update rules, with g the gradient as Slot and the hyperparameters make it:
// g = GradScale*grad (+ WeightDecay*w where Decoupled is false), and at the end
// w -= LR*WeightDecay*w first where Decoupled is true.
const (
	// SGD: v = momentum*v + g; w -= LR*v, or LR*(g + momentum*v) with Nesterov. With
	// momentum 0 no velocity is kept. The velocity starts at zero, as in PyTorch with
	// its first step v = g.
	SGD OptimizerKind = iota + 1
	// Adam (Kingma and Ba 2015): m = b1 m + (1-b1) g; v = b2 v + (1-b2) g^2;
	// w -= LR * m*Correction1 / (sqrt(v*Correction2) + Epsilon).
	Adam
	// RMSProp (Hinton 2012): v = b2 v + (1-b2) g^2; w -= LR*g / (sqrt(v) + Epsilon);
	// with momentum: u = momentum*u + g/(sqrt(v)+Epsilon); w -= LR*u.
	RMSProp
)

// HyperLen is the length of one row of hyperparameters.
const HyperLen = 10

// Columns of the hyperparameter tensor, float32 [groups, HyperLen]: one row a
// parameter group. They live on the device so that recorded steps see new values.
const (
	HyperLR          = 0
	HyperWeightDecay = 1
	HyperMomentum    = 2 // SGD, RMSProp: momentum; Adam: beta1
	HyperBeta2       = 3 // Adam: beta2; RMSProp: decay of the squares
	HyperCorrection1 = 4 // Adam: 1/(1-beta1^t)
	HyperCorrection2 = 5 // Adam: 1/(1-beta2^t)
	HyperGradScale   = 6 // gradients are multiplied by it first
	HyperNewMomentum = 7 // Adam: 1-beta1
	HyperNewBeta2    = 8 // Adam, RMSProp: 1-beta2
)

// SetBetas writes momentum (or beta1), beta2 and what is missing to 1 into a row of hyperparameters. The difference is taken
// before rounding: next to 1 float32 keeps few of its digits, 3 of them at a beta of 0.99999.
func SetBetas(row []float32, momentum, beta2 float64) {
	row[HyperMomentum], row[HyperBeta2] = float32(momentum), float32(beta2)
	row[HyperNewMomentum], row[HyperNewBeta2] = float32(1-momentum), float32(1-beta2)
}

// OptimizerSpec is one update rule over a list of parameters.
type OptimizerSpec struct {
	Kind      OptimizerKind
	Nesterov  bool
	Decoupled bool // weight decay applied to the weight, not to the gradient
	Epsilon   float32
	Slots     []OptimizerParam
	// Scaling, unless nil, is the state of a LossScaling: gradients are multiplied by the inverse of
	// its scale, and where it says skip nothing is changed.
	Scaling *Tensor
}

// OptimizerParam is one parameter. Value, Grad and the states have the same length. State1 is
// SGD's velocity, Adam's m, RMSProp's v; State2 is Adam's v, RMSProp's u; nil when the
// rule keeps none (momentum 0).
type OptimizerParam struct {
	Value, Grad, State1, State2 *Tensor
	Group                       int // row of the hyperparameters
}

// Optimizer is its plan.
type Optimizer interface {
	// Step updates every parameter by the hyperparameters, float32 [groups, HyperLen].
	Step(hyper *Tensor)
}

// ClipSpec limits gradients. With MaxNorm > 0 all are scaled by
// min(1, MaxNorm/norm), norm being the Euclidean norm of them all together; with
// MaxValue > 0 each element is then limited to [-MaxValue, MaxValue].
type ClipSpec struct {
	Grads             []*Tensor
	MaxNorm, MaxValue float32
	Scaling           *Tensor // state of the LossScaling that the gradients were made with, or nil: the limits are for gradients without the scale
}

// Clip is its plan.
type Clip interface {
	// Run limits the gradients in place.
	Run()
}

// AverageSpec keeps moving averages: dst = weights[0]*dst + weights[1]*src for each pair;
// with CopyBack src = dst afterwards, which is Lookahead (Zhang et al. 2019).
type AverageSpec struct {
	Dst, Src []*Tensor
	CopyBack bool
}

// Average is its plan. weights is float32 [2], on the device: a decay, and what is missing to 1, rounded by itself (see
// SetBetas).
type Average interface {
	Run(weights *Tensor)
}

// FlipMode says which images are mirrored left to right.
type FlipMode uint8

// The flip modes.
const (
	FlipNone   FlipMode = iota
	FlipRandom          // each image in each epoch with probability 1/2
	// FlipAlternating decides once for each image, and mirrors it in every other
	// epoch from there (Jordan, "94% on CIFAR-10 in 3.29 seconds", 2024, section 3.6).
	FlipAlternating
)

// AugmentSpec turns uint8 images into normalised float32 ones:
//
//	y[n,i,j,c] = (x[n,i',j',c]/255 - Mean[c]) / Std[c]
//
// where (i',j') is (i,j) after the flip, then shifted by the random crop, with the
// image continued by reflection (the edge not repeated); inside the cutout square y is 0.
//
// Randomness depends on (Seed, StreamAugment, epoch, id) alone, id being the image's number
// in the data set. From Random(Seed, StreamAugment, epoch, 2*id): word 0 decides the random
// flip by its top bit; words 1 and 2 give the vertical and horizontal shift
// Below(word, 2*Crop+1) - Crop. From block 2*id+1: words 0 and 1 give the top row and
// left column of the cutout square, Below(word, H-Cutout+1) and Below(word, W-Cutout+1).
// FlipAlternating mirrors when (top bit of word 0 of Random(Seed, StreamAugment, 0, 2*id)) +
// epoch is odd. Epochs count from 0. The order is: crop from the padded, mirrored image:
// i' = reflect(i + dy), j0 = reflect(j + dx), j' = W-1-j0 if mirrored else j0.
type AugmentSpec struct {
	N, H, W, C int
	Mean, Std  []float32 // one a channel, for pixels scaled to [0,1]
	Flip       FlipMode
	Crop       int // largest shift, in pixels; at most min(H,W)-1
	Cutout     int // side of the square, at most min(H,W); 0 for none
	Seed       uint64
	// Gather makes image n of the batch images[ids[n]] of a data set that lives on the
	// device, and labels likewise; otherwise images and labels are the batch itself.
	Gather bool
	DType  DType // of y; 0 means Float32. Pixels are computed in float32
}

// Augment is its plan. y [n,H,W,C]; images uint8 [n or whole set,H,W,C]; ids
// int32 [n]; epoch int32 [1].
type Augment interface {
	// Train applies the whole augmentation.
	Train(y, images, ids, epoch *Tensor)
	// Normalize only normalises, for evaluation, after moving the image by (dy, dx),
	// |dy| < H and |dx| < W, with reflection and mirroring it if asked, as Train does.
	// ids may be nil unless Gather.
	Normalize(y, images, ids *Tensor, dy, dx int, mirror bool)
	// GatherLabels copies labels[ids[n]] to dst, int32 [n]; only with Gather.
	GatherLabels(dst, labels, ids *Tensor)
}

// CastSpec converts at most Len elements from one to another of Float32, Float16 and
// BFloat16: to nearest, ties to even, subnormals kept, infinity beyond the largest, NaN
// to NaN.
type CastSpec struct {
	From, To DType
	Len      int
}

// Cast is its plan.
type Cast interface {
	Run(dst, src *Tensor)
}

// CastListSpec converts the tensors of Src to those of Dst, in one pass over all of them: from
// Float32 to one of Float16 and BFloat16, or the other way round, rounding as CastSpec says. Each pair
// has the same number of elements.
type CastListSpec struct{ Dst, Src []*Tensor }

// CastList is its plan.
type CastList interface {
	Run()
}

// ScalingLen is the length of the tensor that is the state of a LossScaling.
const ScalingLen = 4

// Indices into a LossScaling's state, float32 [ScalingLen].
const (
	ScalingScale     = 0 // what the next loss's gradient is multiplied by
	ScalingInverse   = 1 // 1/scale of the gradients at hand
	ScalingSkip      = 2 // 1: the gradients at hand are not finite, and the step must be skipped; otherwise 0
	ScalingGoodSteps = 3 // finite steps since the scale last changed
)

// LossScalingSpec keeps gradients within the range of Float16 (Micikevicius et al., "Mixed
// Precision Training", ICLR 2018): the loss is multiplied by a scale, and the gradients by its inverse
// when they are used. Where a gradient is NaN or infinite the scale is halved, down to 1, and the step
// skipped; after Interval good steps in a row it is doubled, up to 2^24.
//
// State is set by the caller at the start: scale, 1/scale, 0, 0.
type LossScalingSpec struct {
	Grads    []*Tensor // float32
	State    *Tensor   // float32 [ScalingLen]
	Interval int       // at least 1
}

// LossScaling is its plan. All of it happens on the device, so that a recorded step needs no answer
// from the host.
type LossScaling interface {
	// Update looks at the gradients, which were made with the state's scale, and sets the state.
	Update()
}
