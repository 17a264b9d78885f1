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
	PadH, PadW           int // zeros above and at the left, and by default as many below and at the right
	ExtraPadH, ExtraPadW int // zeros below and at the right in addition; a negative number takes as many away
	DilationH, DilationW int
	Groups               int
	Bias                 bool
	// DType is the type of images, filters and their gradients: Float32 (or 0), Float16 or
	// BFloat16. Sums, bias and dbias are float32.
	DType DType
	// NoBackward says that only Forward will be called. NoBackwardData says that
	// BackwardData will not be called: a first layer doesn't need dx.
	NoBackward, NoBackwardData bool
}

// Rows returns the window's movement over the rows of the image.
func (s Conv2DSpec) Rows() WindowAxis {
	return WindowAxis{Size: s.H, Kernel: s.KH, Stride: s.StrideH, Dilation: s.DilationH, Before: s.PadH, After: s.PadH + s.ExtraPadH}
}

// Columns returns the window's movement over the columns of the image.
func (s Conv2DSpec) Columns() WindowAxis {
	return WindowAxis{Size: s.W, Kernel: s.KW, Stride: s.StrideW, Dilation: s.DilationW, Before: s.PadW, After: s.PadW + s.ExtraPadW}
}

// OutH returns the height of the output: floor((H + 2 padH + extraPadH - dilationH (kH-1) - 1)/strideH) + 1.
func (s Conv2DSpec) OutH() int { return s.Rows().Positions() }

// OutW returns the width of the output.
func (s Conv2DSpec) OutW() int { return s.Columns().Positions() }

// Symmetric reports whether padding is equal on opposite sides.
func (s Conv2DSpec) Symmetric() bool { return s.ExtraPadH == 0 && s.ExtraPadW == 0 }

// Simplified returns the same convolution with equal padding on opposite sides where that doesn't change the size of the
// output: a window's place depends only on the padding above and at the left.
func (s Conv2DSpec) Simplified() Conv2DSpec {
	equal := s
	equal.ExtraPadH = 0
	if equal.OutH() == s.OutH() {
		s.ExtraPadH = 0
	}
	equal.ExtraPadW = 0
	if equal.OutW() == s.OutW() {
		s.ExtraPadW = 0
	}
	return s
}

// FLOPs returns the floating-point operations of one forward pass over n images, with a
// multiply and an add counted as two. Each backward pass takes as many.
func (s Conv2DSpec) FLOPs(n int) int64 {
	return 2 * int64(n) * int64(s.OutH()) * int64(s.OutW()) * int64(s.OutC) * int64(s.KH) * int64(s.KW) * int64(s.InC/s.Groups)
}

// Conv2D is the plan of a Conv2DSpec. Shapes: x, dx [n,H,W,inC]; y, dy [n,outH,outW,outC];
// w, dw [outC,kH,kW,inC/groups]; bias, dbias [outC].
type Conv2D interface {
	// Forward computes y. bias is nil if and only if the spec has no bias.
	Forward(y, x, w, bias *Tensor)
	// BackwardData computes dx = the transposed convolution of dy with w.
	BackwardData(dx, dy, w *Tensor)
	// BackwardFilter computes dw[o,a,b,c] = sum_{n,i,j} dy[n,i,j,o] x[n,i'+a..,j'+b..,c]
	// and dbias[o] = sum_{n,i,j} dy[n,i,j,o]. Either may be nil and is then not computed.
	BackwardFilter(dw, dbias, dy, x *Tensor)
	// Algorithm names the chosen algorithm, for reports.
	Algorithm() string
	// Workspace returns the bytes that the plan owns.
	Workspace() int64
}

// ConvActivation is the plan of a convolution with an activation f: y = f(z) with z = conv2d(x, w) + bias. The shapes are
// those of Conv2D.
type ConvActivation interface {
	// Forward computes y.
	Forward(y, x, w, bias *Tensor)
	// BackwardBias computes dbias[o] = sum_{n,i,j} dy[n,i,j,o] f'(z[n,i,j,o]), from the operands of Forward.
	BackwardBias(dbias, dy, x, w, bias *Tensor)
}

// PoolMode says what a pooling computes from each window.
type PoolMode uint8

// The pooling modes.
const (
	MaxPool          PoolMode = iota + 1 // largest element; padding never wins
	AvgPool                              // mean over the window's elements inside the padded image, padding counted as zeros
	AvgPoolExcluding                     // mean over the window's elements inside the image
)

// Pool2DSpec is pooling over windows of an NHWC image. Window (i, j) has the elements
//
//	x[n, i*strideH + a*dilationH - padH, j*strideW + b*dilationW - padW, c]     a < kH, b < kW
//
// Every window must have an element inside the image.
type Pool2DSpec struct {
	Mode                 PoolMode
	N, H, W, C           int
	KH, KW               int
	StrideH, StrideW     int
	PadH, PadW           int // above and at the left, and by default as much below and at the right
	ExtraPadH, ExtraPadW int // below and at the right in addition; from -PadH and -PadW
	DilationH, DilationW int // 0 means 1
	// Ceil rounds the size of the output up instead of down: the last windows may reach beyond the padded image, and in
	// mode AvgPool don't count what lies there (see WindowAxis).
	Ceil       bool
	DType      DType // of all tensors; 0 means Float32
	NoBackward bool
}

// Rows returns the window's movement over the rows of the image.
func (s Pool2DSpec) Rows() WindowAxis {
	return WindowAxis{
		Size: s.H, Kernel: s.KH, Stride: s.StrideH, Dilation: max(s.DilationH, 1), Before: s.PadH, After: s.PadH + s.ExtraPadH, Ceil: s.Ceil,
	}
}

// Columns returns the window's movement over the columns of the image.
func (s Pool2DSpec) Columns() WindowAxis {
	return WindowAxis{
		Size: s.W, Kernel: s.KW, Stride: s.StrideW, Dilation: max(s.DilationW, 1), Before: s.PadW, After: s.PadW + s.ExtraPadW, Ceil: s.Ceil,
	}
}

// OutH returns the height of the output.
func (s Pool2DSpec) OutH() int { return s.Rows().Positions() }

// OutW returns the width of the output.
func (s Pool2DSpec) OutW() int { return s.Columns().Positions() }

// Pool2D is the plan of a Pool2DSpec. Shapes: x, dx [n,H,W,c]; y, dy [n,outH,outW,c].
type Pool2D interface {
	// Forward computes y. Of equal elements, the first in row-major order counts as the
	// maximum; a NaN in the window counts as the maximum.
	Forward(y, x *Tensor)
	// Backward computes dx for the last Forward: max pooling passes each gradient to the
	// maximum, average pooling divides it among the elements of the window. If windows
	// overlap, their gradients are added.
	Backward(dx, dy, y, x *Tensor)
}

// MatMulSpec is C = op(A) op(B) (+ bias), where op transposes if TransA or TransB is set; with a batch, one such
// product for each pair of matrices.
type MatMulSpec struct {
	// Batch is the largest number of products; it may be smaller at run time. 0 means one product, of tensors without a
	// batch dimension.
	Batch          int
	M, N, K        int // largest sizes; M and K may be smaller at run time: the tensors' shapes decide
	TransA, TransB bool
	Bias           bool
	DType          DType // of A and B; 0 means Float32. Sums and bias are Float32
	Out            DType // of C: DType (or 0), or Float32
}

// MatMul is the plan of a MatMulSpec. c [m,n]; a [m,k], or [k,m] with TransA; b [k,n], or [n,k] with TransB; with a
// batch c [batch,m,n] and so on. bias [n], added to every row, is nil if and only if the spec has no bias. The batch, m
// and k come from the tensors.
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
	// Momentum is the weight of the new statistics: running = (1-momentum)*running +
	// momentum*batch, with the unbiased variance of the batch (divided by max(rows-1, 1)).
	Momentum   float32
	DType      DType // of x, y, dx and dy; 0 means Float32. The rest, and all sums, are Float32
	NoBackward bool
}

// BatchNorm is the plan of a BatchNormSpec. The last dimension of x, y, dx and dy is c,
// after any others; all other tensors are [c].
type BatchNorm interface {
	// Forward normalises with the batch's statistics, keeps them for Backward, and updates
	// the running statistics.
	Forward(y, x, gamma, beta, runningMean, runningVar *Tensor)
	// Inference normalises with the running statistics. It leaves what Forward kept for Backward unchanged.
	Inference(y, x, gamma, beta, runningMean, runningVar *Tensor)
	// Backward computes the gradients of the last Forward. dgamma and dbeta may be
	// nil. dx may be dy.
	Backward(dx, dgamma, dbeta, dy, x, gamma, beta *Tensor)
}

// DropoutSpec zeroes elements with probability Rate, 0 <= Rate < 1, and multiplies the
// others by 1/(1-Rate) (Srivastava et al. 2014, in the inverted form). Element i of step t
// is kept exactly when Uniform(RandomWord(Seed, Stream, t, i)) >= Rate; nothing is stored.
type DropoutSpec struct {
	Len    int
	Rate   float32
	Seed   uint64
	Stream Stream
	DType  DType // of x and y; 0 means Float32
}

// Dropout is the plan of a DropoutSpec. step is int32 [1], on the device.
type Dropout interface {
	Forward(y, x, step *Tensor)
	// Backward applies the same mask to dy. dx may be dy.
	Backward(dx, dy, step *Tensor)
	// Reseed replaces the spec's Seed, also in a step that is recorded already (see Capturer). It can't be part of one.
	Reseed(seed uint64)
}

// LossKind is the function that training minimises.
type LossKind uint8

// The losses of one example with outputs z [classes] and target t [classes], a row of probabilities. A label stands for
// the row that is 1 at the label and 0 elsewhere. w are the class weights, all 1 if the spec has none.
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
// Every example i has a weight v[i], which is an operand of the plan or otherwise 1. Its target has a weight u[i] =
// sum_k w[k] t[i,k], which is w[label] for a label, and 1 without class weights. The batch's total is
//
//	sum_i v[i] L[i] / W      W = sum_i v[i] u[i]      (without weights W is the number of examples)
//
// or, with Sum, the numerator alone. For labels this is what PyTorch's CrossEntropyLoss computes. For probabilities
// with class weights PyTorch divides by the number of examples instead, so a row with a single 1 has a different loss
// there than the equivalent label; here the two agree.
type LossSpec struct {
	Kind       LossKind
	N, Classes int
	Smoothing  float32
	// SoftTargets makes the targets float32 [n, classes], rows of probabilities, instead of int32 labels [n].
	SoftTargets bool
	// ClassWeights is w, float32 [classes], or nil if every class has the weight 1. It is read at every call.
	ClassWeights *Tensor
	// Weights says that Forward and Backward may get example weights.
	Weights bool
	// Ignore leaves out examples whose label is IgnoreIndex: they count neither in the loss nor in the divisor of its
	// mean nor in the stats, and their gradient is 0, whatever their outputs. It requires labels.
	Ignore      bool
	IgnoreIndex int32
	// Sum makes the batch's total the sum over the batch; otherwise it is the mean. Stats
	// hold the sum in both cases.
	Sum bool
	// Scaling, unless nil, is the state of a LossScaling, by whose scale Backward multiplies the
	// gradient. Stats are not scaled.
	Scaling *Tensor
}

// Plain reports whether every example has a label and all count equally, which devices compute faster.
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

// Loss is the plan of a LossSpec. outputs and doutputs [n, classes]; targets int32 labels [n], or float32 [n, classes]
// with SoftTargets; weights float32 [n], or nil if every example has the weight 1, as without LossSpec.Weights. If a
// label is outside [0, classes) and not ignored, the loss and the gradient of its example are NaN; nothing is read out
// of bounds. The example counts, with a target of weight 1, as an incorrect answer.
type Loss interface {
	// Forward adds the batch's loss, correct answers, count and weight to stats. Of equal outputs, or equal
	// probabilities, the first counts as the largest.
	Forward(stats, outputs, targets, weights *Tensor)
	// Backward computes doutputs. It is 0 if W is not above 0, because then nothing in the batch counts.
	Backward(doutputs, outputs, targets, weights *Tensor)
}

// TrainingLoss is the plan of both passes of a LossSpec whose examples have labels and no weights.
type TrainingLoss interface {
	// Run does Forward and Backward of a Loss. outputs and doutputs, which must not overlap, are [n, classes] of the plan's
	// type.
	Run(stats, doutputs, outputs, targets *Tensor)
}

// SoftmaxSpec is a softmax over the rows of [n, classes].
type SoftmaxSpec struct{ N, Classes int }

// Softmax is the plan of a SoftmaxSpec: y[i] = exp(x[i]-max x) / sum_k exp(x[k]-max x). y may be x.
type Softmax interface {
	Forward(y, x *Tensor)
}

// WeightedSumSpec is y = Alpha*a + Beta*b over at most Len elements.
type WeightedSumSpec struct {
	Len         int
	Alpha, Beta float32
	DType       DType // of all tensors; 0 means Float32
}

// WeightedSum is the plan of a WeightedSumSpec. If b is nil, y = Alpha*a. y may be a or b.
type WeightedSum interface {
	Run(y, a, b *Tensor)
}

// OptimizerKind is an update rule.
type OptimizerKind uint8

// The update rules. If Decoupled is false, g = GradScale*grad + WeightDecay*w; otherwise g
// = GradScale*grad, and w -= LR*WeightDecay*w comes first.
const (
	// SGD: v = momentum*v + g; w -= LR*v, or LR*(g + momentum*v) with Nesterov. With
	// momentum 0 no velocity is kept. The velocity starts at zero, so that in the first
	// step v = g, as in PyTorch.
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

// Columns of the hyperparameter tensor, float32 [groups, HyperLen]: one row per parameter
// group. The tensor is on the device so that recorded steps see new values.
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
	HyperFrozen      = 9 // 1 if the group's parameters keep their values, otherwise 0; plans of optimisers don't read it
)

// SetBetas writes momentum (or beta1), beta2 and what is missing to 1 into a row of hyperparameters. The difference is
// taken before rounding: next to 1 float32 keeps few of its digits, 3 of them at a beta of 0.99999.
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
	// Scaling, unless nil, is the state of a LossScaling: gradients are multiplied by the inverse of the scale, and if
	// the state says skip, nothing is changed.
	Scaling *Tensor
}

// OptimizerParam is one parameter of an optimizer. Value, Grad and the states have the same
// length. State1 is SGD's velocity, Adam's m or RMSProp's v; State2 is Adam's v or RMSProp's
// u. A state that the rule doesn't keep (with momentum 0) is nil.
type OptimizerParam struct {
	Value, Grad, State1, State2 *Tensor
	Group                       int // row of the hyperparameters
	// Copy, unless nil, is Float16 or BFloat16, and gets the updated value, rounded as by a cast. Only a MixedPrecision
	// device has such tensors.
	Copy *Tensor
}

// Optimizer is the plan of an OptimizerSpec.
type Optimizer interface {
	// Step updates every parameter with the hyperparameters, float32 [groups, HyperLen].
	Step(hyper *Tensor)
}

// ClipSpec limits gradients. With MaxNorm > 0 all gradients are scaled by min(1,
// MaxNorm/norm), where norm is the Euclidean norm of all gradients together. With MaxValue
// > 0 each element is then limited to [-MaxValue, MaxValue]. With MaxNorm one NaN makes all
// gradients NaN, and an infinity makes itself NaN and the others 0; with MaxValue alone a NaN
// stays alone. So a step that diverged remains visible.
type ClipSpec struct {
	Grads             []*Tensor
	MaxNorm, MaxValue float32
	Scaling           *Tensor // LossScaling state of the gradients, or nil: the limits apply to unscaled gradients
}

// Clip is the plan of a ClipSpec.
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
	// FlipAlternating draws once per image whether to mirror it in the even or in the odd
	// epochs (Jordan, "94% on CIFAR-10 in 3.29 seconds", 2024, section 3.6).
	FlipAlternating
)

// AugmentSpec turns uint8 images into normalised float images:
//
//	y[n,i,j,c] = (x[n,i',j',c]/255 - Mean[c]) / Std[c]
//
// where (i',j') is (i,j) after the flip, then shifted by the random crop, with the image
// extended by reflection (the edge is not repeated); inside the cutout square y is 0.
//
// Randomness depends on (Seed, StreamAugment, epoch, id) alone, where id is the image's
// index in the data set. From Random(Seed, StreamAugment, epoch, 2*id): word 0 decides the
// random flip by its top bit; words 1 and 2 give the vertical and horizontal shift
// Below(word, 2*Crop+1) - Crop. From block 2*id+1: words 0 and 1 give the top row and left
// column of the cutout square, Below(word, H-Cutout+1) and Below(word, W-Cutout+1).
// FlipAlternating mirrors when (top bit of word 0 of Random(Seed, StreamAugment, 0, 2*id)) +
// epoch is odd. Epochs count from 0. The order is: crop from the padded, mirrored image: i'
// = reflect(i + dy), j0 = reflect(j + dx), j' = W-1-j0 if mirrored else j0.
type AugmentSpec struct {
	N, H, W, C int
	Mean, Std  []float32 // one per channel, for pixels scaled to [0,1]
	Flip       FlipMode
	Crop       int // largest shift, in pixels; at most min(H,W)-1
	Cutout     int // side of the square, at most min(H,W); 0 for none
	Seed       uint64
	// Gather takes images[ids[n]], of a data set that is on the device, as image n of the
	// batch, and labels likewise; otherwise images and labels are the batch itself.
	Gather bool
	DType  DType // of y; 0 means Float32. Pixels are computed in float32
}

// Augment is the plan of an AugmentSpec. y [n,H,W,C]; images uint8 [n or whole set,H,W,C];
// ids int32 [n]; epoch int32 [1].
type Augment interface {
	// Train applies the whole augmentation.
	Train(y, images, ids, epoch *Tensor)
	// Normalize is for evaluation. It shifts the image by (dy, dx), |dy| < H and |dx| < W,
	// with reflection, and mirrors it if asked, as Train does; then it normalises. ids may
	// be nil unless Gather is set.
	Normalize(y, images, ids *Tensor, dy, dx int, mirror bool)
	// GatherLabels copies labels[ids[n]] to dst, int32 [n]; it requires Gather.
	GatherLabels(dst, labels, ids *Tensor)
	// Reseed replaces the spec's Seed, also in a step that is recorded already (see Capturer). It can't be part of one.
	Reseed(seed uint64)
}

// CastSpec converts at most Len elements from one to another of Float32, Float16 and
// BFloat16: to nearest, ties to even, subnormals kept, infinity beyond the largest, NaN
// to NaN.
type CastSpec struct {
	From, To DType
	Len      int
}

// Cast is the plan of a CastSpec.
type Cast interface {
	Run(dst, src *Tensor)
}

// CastListSpec converts each tensor of Src to the tensor of Dst at the same index, all in one pass: from Float32 to
// Float16 or BFloat16, or the other way round, with the rounding of CastSpec. The two tensors of a pair have the same
// number of elements.
type CastListSpec struct{ Dst, Src []*Tensor }

// CastList is the plan of a CastListSpec.
type CastList interface {
	Run()
}

// ScalingLen is the length of the state tensor of a LossScaling.
const ScalingLen = 4

// Indices into a LossScaling's state, float32 [ScalingLen].
const (
	ScalingScale     = 0 // the scale by which the next loss's gradient is multiplied
	ScalingInverse   = 1 // 1/scale of the current gradients
	ScalingSkip      = 2 // 1 if the current gradients are not finite and the step must be skipped; otherwise 0
	ScalingGoodSteps = 3 // finite steps since the scale last changed
)

// LossScalingSpec keeps gradients within the range of Float16 (Micikevicius et al., "Mixed Precision Training", ICLR
// 2018): the loss is multiplied by a scale, and the gradients by its inverse when they are used. If a gradient is NaN
// or infinite, the scale is halved, down to 1, and the step is skipped; after Interval good steps in a row the scale is
// doubled, up to 2^24.
//
// The caller sets the initial State: scale, 1/scale, 0, 0.
type LossScalingSpec struct {
	Grads    []*Tensor // float32
	State    *Tensor   // float32 [ScalingLen]
	Interval int       // at least 1
	// Sources has for each gradient the Float16 tensor that Update first converts to it, or nil; without Sources Update
	// converts none.
	Sources []*Tensor
}

// LossScaling is the plan of a LossScalingSpec. It runs entirely on the device, so that a recorded
// step needs no decision from the host.
type LossScaling interface {
	// Update converts the gradients that have a source, checks all, which were computed with the state's scale, and updates
	// the state.
	Update()
}
