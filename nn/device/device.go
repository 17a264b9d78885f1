package device

// Memory is where tensors live: it allocates them and copies to, from and between them. A device must have at least a
// Memory: package reference computes every operation on top of it.
type Memory interface {
	// Name is short and unique, such as "cpu" or "cuda:0".
	Name() string
	// Info describes the machine to users.
	Info() Info

	// NewTensor allocates a tensor of zeros.
	NewTensor(dtype DType, shape ...int) (*Tensor, error)
	// Upload copies src, exactly the tensor's bytes (see Bytes), to the device. src may be
	// reused as soon as Upload returns. A src of another size is a programmer's mistake and
	// panics, as it does in Download.
	Upload(dst *Tensor, src []byte) error
	// Download waits for the work that was queued before, and copies the tensor to dst, which
	// must have the tensor's size. An error of Upload or Download persists: Sync returns it
	// too.
	Download(dst []byte, src *Tensor) error
	// Copy copies src to dst, of the same dtype and number of elements.
	Copy(dst, src *Tensor)
	// Zero sets every element of t to zero.
	Zero(t *Tensor)
	// Sync waits for all queued work and returns the first fault since the device was opened.
	Sync() error
	// Close releases everything. The device can't be used afterwards.
	Close() error
}

// Device is a machine that computes: memory, and a plan for each operation. Package cpu and package gpu implement it;
// package devicetest says what an implementation must satisfy. A device that embeds reference.Operations has every
// operation from the start.
type Device interface {
	Memory

	NewConv2D(Conv2DSpec) (Conv2D, error)
	NewPool2D(Pool2DSpec) (Pool2D, error)
	NewMatMul(MatMulSpec) (MatMul, error)
	NewBatchNorm(BatchNormSpec) (BatchNorm, error)
	NewGroupNorm(GroupNormSpec) (GroupNorm, error)
	// NewActivation answers ErrNotSupported to a function that the device has no code for.
	NewActivation(ActivationSpec) (Activation, error)
	NewDropout(DropoutSpec) (Dropout, error)
	NewLoss(LossSpec) (Loss, error)
	NewSoftmax(SoftmaxSpec) (Softmax, error)
	NewWeightedSum(WeightedSumSpec) (WeightedSum, error)
	NewReduce(ReduceSpec) (Reduce, error)
	NewMap(MapSpec) (Map, error)
	NewTranspose(TransposeSpec) (Transpose, error)
	NewGather(GatherSpec) (Gather, error)
	NewCopyColumns(CopyColumnsSpec) (CopyColumns, error)
	NewOptimizer(OptimizerSpec) (Optimizer, error)
	NewClip(ClipSpec) (Clip, error)
	NewAverage(AverageSpec) (Average, error)
	NewAugment(AugmentSpec) (Augment, error)
	NewTransform(TransformSpec) (Transform, error)
	NewCast(CastSpec) (Cast, error)
}

// Info describes a device to users.
type Info struct {
	Description string   // such as "AMD EPYC 9654, 2 threads"
	Features    []string // instruction sets or compute capability in use
	Threads     int      // worker threads; 0 if the device has none
	Memory      int64    // total bytes; 0 if unknown
	// Emulated: the device is a software model of another device, for tests. Its results are valid, but its timings are
	// not: training reports no speeds or times for it, and benchmarks refuse it.
	Emulated bool
}

// Package nn looks for the optional interfaces below with type assertions, and works
// without those that a device lacks.

// FusedBatchNorm is a device that normalises and activates in one pass over memory.
// The plan's y is the activated output; Backward recomputes the normalised values. A device need not fuse every
// function, and answers ErrNotSupported to the others; alpha is 0.
type FusedBatchNorm interface {
	NewBatchNormActivation(BatchNormSpec, *Function) (BatchNorm, error)
}

// FusedPool2D is a device that can fuse pooling with a ReLU after it.
type FusedPool2D interface {
	NewPool2DReLU(Pool2DSpec) (Pool2D, error)
}

// FusedEpilogue is a device whose convolutions and matrix products can apply ReLU as they
// store the output. The backward methods expect a dy that is already multiplied by ReLU's
// derivative, which follows from the output: nn runs Activation.Backward to do so.
type FusedEpilogue interface {
	NewConv2DReLU(Conv2DSpec) (Conv2D, error)
	NewMatMulReLU(MatMulSpec) (MatMul, error)
}

// FusedScale is a device whose matrix products can multiply the result by a number as they store it.
type FusedScale interface {
	// NewMatMulScaled returns the plan of c = alpha op(a) op(b), for a spec without Bias.
	NewMatMulScaled(s MatMulSpec, alpha float32) (MatMul, error)
}

// FusedConvPool is a device whose convolutions can pool as they store the output, so that
// the convolution's own output, often the largest tensor of a network, needs no memory.
type FusedConvPool interface {
	// NewConv2DMaxPool returns the plan of y = maxpool(conv2d(x)), followed by ReLU if relu
	// is set. y, and dy in the backward passes, have the shape of the pooled images; the
	// backward passes are for the last Forward. The input size in pool is the size of the
	// convolution's output. BackwardData after BackwardFilter, both for one Forward, has the same dy.
	NewConv2DMaxPool(conv Conv2DSpec, pool Pool2DSpec, relu bool) (Conv2D, error)
}

// FusedLoss is a device that computes a loss and its gradient in one pass, in the type in which a network stores its outputs.
type FusedLoss interface {
	// NewTrainingLoss returns the plan for outputs of the given type. The error is an ErrNotSupported for a loss that the
	// device doesn't compute like this.
	NewTrainingLoss(s LossSpec, outputs DType) (TrainingLoss, error)
}

// LabelledAugment is an Augment that picks the labels of the images as it augments them.
type LabelledAugment interface {
	// TrainLabelled does Train and GatherLabels, with the same operands.
	TrainLabelled(y, images, dst, labels, ids, epoch *Tensor)
}

// FusedConvActivation is a device whose convolutions can apply an activation as they store the output, where the filters and
// the input need no gradient: the convolution's own output then needs no memory. A device need not fuse every spec and
// function, and answers ErrNotSupported to the others; alpha is 0.
type FusedConvActivation interface {
	// NewConv2DActivation makes the plan of a convolution with a bias. Of the spec's backward passes there is only that of the
	// bias; without NoBackward there is one.
	NewConv2DActivation(Conv2DSpec, *Function) (ConvActivation, error)
}

// Fallbacks is a device on which package reference computes the operations that it lacks.
type Fallbacks interface {
	// Fallbacks returns the names of the operations that plans made so far leave to package reference.
	Fallbacks() []string
}

// Capturer is a device that can record the work that the function step queues, for example as a CUDA graph, and replay
// it as a whole. step must not allocate, upload or download. The error is an ErrNotSupported if the host computes a
// part of step (see Fallbacks).
type Capturer interface {
	Capture(step func()) (Graph, error)
}

// Graph is recorded work.
type Graph interface {
	// Launch queues the recorded work once.
	Launch()
	Close() error
}

// MixedPrecision is a device that can store activations and the operands of convolutions and
// matrix products in 16 bits: its plans accept Float16 and BFloat16 as the DType of a spec. Other
// devices return ErrNotSupported for any DType except Float32.
type MixedPrecision interface {
	NewCastList(CastListSpec) (CastList, error)
	NewLossScaling(LossScalingSpec) (LossScaling, error)
}

// AsyncDownloader is a device that can copy a few numbers to the host while it continues to work.
type AsyncDownloader interface {
	// NewAsyncDownload prepares downloads of tensors of at most bytes bytes.
	NewAsyncDownload(bytes int) (AsyncDownload, error)
}

// AsyncDownload copies tensors to the host, one at a time.
type AsyncDownload interface {
	// Queue queues the copy of src, after the work queued earlier. It must not be called while an earlier copy is in
	// progress.
	Queue(src *Tensor)
	// Ready reports whether the last queued copy has arrived, or the device has a fault.
	Ready() bool
	// Wait waits for the copy and writes the data to dst. The error is the device's first fault; data that was copied
	// before it is returned all the same.
	Wait(dst []byte) error
	Close() error
}

// AlgorithmChooser is a device that has several algorithms for a plan, and can time them. What timing chose may give other
// bits than another choice, so a training keeps it in its checkpoints.
type AlgorithmChooser interface {
	// Autotune makes the plans that follow take the algorithms that were fastest when they were timed, now or earlier.
	Autotune()
	// ChosenAlgorithms returns what timing has chosen for plans so far, for KeepAlgorithms of another process; nil if
	// nothing was timed.
	ChosenAlgorithms() []byte
	// KeepAlgorithms makes the plans that follow take these choices where they apply, in place of timing. The text may come
	// from a stranger.
	KeepAlgorithms(chosen []byte) error
}

// Slicer is a device whose tensors can be a part of another tensor's memory. It lets ranks divide the optimiser's work within a
// parameter (optim.Partition); on other devices every parameter belongs to one rank.
type Slicer interface {
	// Slice returns the elements from <= i < from+n of a tensor as a tensor [n] over the same memory, where from is a multiple of
	// SliceAlignment.
	Slice(t *Tensor, from, n int) *Tensor
}

// HostMemory is a device whose tensors are in the host's memory: beside its work any goroutine may upload and download tensors that
// this work doesn't use.
type HostMemory interface {
	// InHostMemory does nothing: it marks the device.
	InHostMemory()
}

// SliceAlignment is the number of elements at whose multiples a Slice can begin: 256 bytes of float32.
const SliceAlignment = 64

// DatasetResident is a device that should hold whole data sets in its memory, because
// copies to it are expensive: batches are then gathered on the device by index.
type DatasetResident interface {
	// FreeMemory returns the bytes that can still be allocated.
	FreeMemory() int64
}
