package device

// Memory is where tensors live: it allocates them and copies to, from and between them. It is the least that a device must
// have: package reference computes every operation on it.
type Memory interface {
	// Name is short and unique, such as "cpu" or "cuda:0".
	Name() string
	// Info describes the machine to a person.
	Info() Info

	// NewTensor allocates a tensor of zeros.
	NewTensor(dtype DType, shape ...int) (*Tensor, error)
	// Upload copies src, exactly the tensor's bytes (see Bytes), to the device. src
	// may be reused as soon as Upload returns. Another number of bytes is a
	// programmer's mistake: it panics, as it does in Download.
	Upload(dst *Tensor, src []byte) error
	// Download waits for the work that was queued before, and copies the tensor to
	// dst, which must have its size. An error of Upload or Download stays: Sync returns it too.
	Download(dst []byte, src *Tensor) error
	// Copy copies src to dst, of the same dtype and number of elements.
	Copy(dst, src *Tensor)
	// Zero sets every element of t to zero.
	Zero(t *Tensor)
	// Sync waits for all queued work and returns the first fault since the start.
	Sync() error
	// Close releases everything. The device can't be used after it.
	Close() error
}

// Device is a machine that computes: memory, and a plan for each operation. Package cpu and package gpu implement it; package
// devicetest says what an implementation must satisfy. A device that embeds reference.Operations begins with all of them.
type Device interface {
	Memory

	NewConv2D(Conv2DSpec) (Conv2D, error)
	NewPool2D(Pool2DSpec) (Pool2D, error)
	NewMatMul(MatMulSpec) (MatMul, error)
	NewBatchNorm(BatchNormSpec) (BatchNorm, error)
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

// Info describes a device to a person.
type Info struct {
	Description string   // such as "AMD EPYC 9654, 2 threads"
	Features    []string // instruction sets or compute capability in use
	Threads     int      // worker threads; 0 where that has no meaning
	Memory      int64    // bytes in all; 0 when unknown
	// Emulated: the device is a model in software of another one, for tests. Its results count, the time that they take
	// doesn't: training reports no speeds and times for it, and programs that measure refuse it.
	Emulated bool
}

// The optional interfaces below are asked for by type assertion; nn does without
// where a device lacks them.

// FusedBatchNorm is a device that normalises and activates in one pass over memory.
// The plan's y is the activated output; Backward recomputes the normalised values. A device need not fuse every
// function, and answers ErrNotSupported to the others; alpha is 0.
type FusedBatchNorm interface {
	NewBatchNormActivation(BatchNormSpec, *Function) (BatchNorm, error)
}

// FusedPool2D is a device that pools and then applies ReLU in one pass.
type FusedPool2D interface {
	NewPool2DReLU(Pool2DSpec) (Pool2D, error)
}

// FusedEpilogue is a device whose convolutions and matrix products can apply ReLU
// as they store the output. Backward methods expect dy already multiplied by ReLU's
// derivative, which follows from the output: nn runs Activation.Backward for it.
type FusedEpilogue interface {
	NewConv2DReLU(Conv2DSpec) (Conv2D, error)
	NewMatMulReLU(MatMulSpec) (MatMul, error)
}

// FusedConvPool is a device whose convolutions can pool as they store the output, so that
// the images between, the largest of a network, need no memory.
type FusedConvPool interface {
	// NewConv2DMaxPool returns the plan of y = maxpool(conv2d(x)), with ReLU after it
	// where relu is set. y is the pooled images, and so is dy of the backward passes, which
	// are those of the last Forward. pool's images are the convolution's output.
	NewConv2DMaxPool(conv Conv2DSpec, pool Pool2DSpec, relu bool) (Conv2D, error)
}

// Fallbacks is a device on which package reference computes the operations that it lacks.
type Fallbacks interface {
	// Fallbacks returns the names of the operations that the plans made so far compute in that way.
	Fallbacks() []string
}

// Capturer is a device that can record the work queued by step and replay it as a
// whole, such as a CUDA graph. step must not allocate, upload or download. The error is an ErrNotSupported if the host
// computes a part of step (see Fallbacks).
type Capturer interface {
	Capture(step func()) (Graph, error)
}

// Graph is recorded work.
type Graph interface {
	// Launch queues the recorded work once.
	Launch()
	Close() error
}

// MixedPrecision is a device that can keep activations, and the factors of convolutions and
// matrix products, in 16 bits: its plans take Float16 and BFloat16 where a spec has a DType. Other
// devices answer ErrNotSupported to anything but Float32.
type MixedPrecision interface {
	NewCastList(CastListSpec) (CastList, error)
	NewLossScaling(LossScalingSpec) (LossScaling, error)
}

// AsyncDownloader is a device that can copy a few numbers to the host while it goes on working.
type AsyncDownloader interface {
	// NewAsyncDownload prepares fetches of tensors of at most bytes bytes.
	NewAsyncDownload(bytes int) (AsyncDownload, error)
}

// AsyncDownload is one copy to the host at a time.
type AsyncDownload interface {
	// Queue queues the copy of src, after the work that was queued before. It must not be called while
	// an earlier copy is under way.
	Queue(src *Tensor)
	// Ready reports whether the copy that was queued last has arrived, or the device has a fault.
	Ready() bool
	// Wait waits for the copy, and writes it to dst. The error is the device's first fault.
	Wait(dst []byte) error
	Close() error
}

// DatasetResident is a device on which whole data sets should live, because copies to it
// are dear: batches are then gathered on the device by index.
type DatasetResident interface {
	// FreeMemory returns the bytes that can still be allocated.
	FreeMemory() int64
}
