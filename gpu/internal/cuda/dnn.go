//go:build cuda && linux && cgo && (amd64 || arm64)

package cuda

// #include "calls.h"
import "C"

import (
	"fmt"
	"runtime"
	"unsafe"

	"gorgonia.org/cu"
	cudnn "gorgonia.org/cu/dnn"
)

// DNN is a cuDNN handle for the current context. gorgonia's functions accept it too.
type DNN struct {
	*cudnn.Context
	handle C.cudnnHandle_t
	target backendDesc // set by newTargetDNN; otherwise nil
}

// NewDNN loads cuDNN if it isn't loaded, and creates a handle.
func NewDNN() (d *DNN, err error) {
	if err := dnn.need(); err != nil {
		return nil, err
	}
	// NewContext panics if it can't create a handle.
	defer func() {
		switch r := recover().(type) {
		case nil:
		case error:
			d, err = nil, Check("starting cuDNN", r)
		default:
			panic(r)
		}
	}()
	c := cudnn.NewContext()
	return &DNN{Context: c, handle: *(*C.cudnnHandle_t)(unsafe.Pointer(c))}, nil
}

// Close destroys the handle.
func (d *DNN) Close() error { return Check("closing cuDNN", d.Context.Close()) }

// SetStream makes cuDNN queue its work on the stream.
func (d *DNN) SetStream(s cu.Stream) error {
	return cudnnError("giving cuDNN a stream", C.cudnnSetStream(d.handle, C.cudaStream_t(streamHandle(s))))
}

// The descriptors are gorgonia's.
type (
	TensorDesc      = cudnn.TensorDescriptor
	FilterDesc      = cudnn.Filter
	ConvolutionDesc = cudnn.Convolution
	PoolingDesc     = cudnn.Pooling
	ActivationDesc  = cudnn.Activation
)

// DataType is the type of a tensor's elements.
type DataType = cudnn.DataType

// The element types. gorgonia has neither a name for bfloat16 nor calls that accept it:
// descriptors of this type work only with the calls of this package.
const (
	Float32  DataType = cudnn.Float
	Float16  DataType = cudnn.Half
	BFloat16 DataType = C.CUDNN_DATA_BFLOAT16
)

// NewTensorDesc describes an NHWC tensor [n,h,w,c].
func NewTensorDesc(t DataType, n, h, w, c int) (*TensorDesc, error) {
	d, err := cudnn.NewTensorDescriptor(cudnn.NHWC, t, []int{n, c, h, w}, nil)
	if err != nil {
		return nil, Check(fmt.Sprintf("describing a tensor [%d,%d,%d,%d]", n, h, w, c), err)
	}
	return d, nil
}

// NewFilterDesc describes a filter [outC,kH,kW,inC], where inC is the channels of one group.
func NewFilterDesc(t DataType, outC, kH, kW, inC int) (*FilterDesc, error) {
	d, err := cudnn.NewFilter(t, cudnn.NHWC, []int{outC, inC, kH, kW})
	if err != nil {
		return nil, Check(fmt.Sprintf("describing a filter [%d,%d,%d,%d]", outC, kH, kW, inC), err)
	}
	return d, nil
}

// Geometry is the geometry of a convolution.
type Geometry struct {
	PadH, PadW, StrideH, StrideW, DilationH, DilationW, Groups int
}

// The math types of a convolution.
const (
	DefaultMath    = cudnn.DefaultMath                 // float32 may be rounded to TF32
	TensorOpMath   = cudnn.TensorOpMath                // tensor cores if they support the element type
	ConversionMath = cudnn.TensorOpMathAllowConversion // float32 may be rounded to float16
	FMAMath        = cudnn.FmaMath                     // float32 stays float32
)

// NewConvolutionDesc describes a cross-correlation that adds in float32.
func NewConvolutionDesc(g Geometry, math cudnn.MathType) (*ConvolutionDesc, error) {
	d, err := cudnn.NewConvolution(math, g.Groups, []int{g.PadH, g.PadW}, []int{g.StrideH, g.StrideW},
		[]int{g.DilationH, g.DilationW}, cudnn.CrossCorrelation, cudnn.Float)
	if err != nil {
		return nil, Check(fmt.Sprintf("describing a convolution %+v", g), err)
	}
	return d, nil
}

// Window is the window of a pooling.
type Window struct {
	KH, KW, PadH, PadW, StrideH, StrideW int
}

// NewPoolingDesc describes a pooling. In max pooling, a NaN counts as the maximum of its window.
func NewPoolingDesc(mode cudnn.PoolingMode, w Window) (*PoolingDesc, error) {
	d, err := cudnn.NewPooling(mode, cudnn.PropagateNan, []int{w.KH, w.KW}, []int{w.StrideH, w.StrideW},
		[]int{w.PadH, w.PadW})
	if err != nil {
		return nil, Check(fmt.Sprintf("describing a pooling %+v", w), err)
	}
	return d, nil
}

// NewActivationDesc describes an activation that passes NaN on. coefficient is the ceiling of
// ClippedReLU and the alpha of Elu.
func NewActivationDesc(mode cudnn.ActivationMode, coefficient float64) (*ActivationDesc, error) {
	d, err := cudnn.NewActivation(mode, cudnn.PropagateNan, coefficient)
	if err != nil {
		return nil, Check("describing an activation", err)
	}
	return d, nil
}

// Destroying a descriptor removes gorgonia's finalizer, which would destroy it again. A filter
// has no finalizer, so it must be destroyed. Destroying nil does nothing.

// DestroyTensorDesc frees the descriptor.
func DestroyTensorDesc(d *TensorDesc) error {
	if d == nil {
		return nil
	}
	runtime.SetFinalizer(d, nil)
	return cudnnError("destroying a descriptor", C.cudnnDestroyTensorDescriptor(tensorHandle(d)))
}

// DestroyFilterDesc frees the descriptor.
func DestroyFilterDesc(d *FilterDesc) error {
	if d == nil {
		return nil
	}
	return cudnnError("destroying a descriptor", C.cudnnDestroyFilterDescriptor(filterHandle(d)))
}

// DestroyConvolutionDesc frees the descriptor.
func DestroyConvolutionDesc(d *ConvolutionDesc) error {
	if d == nil {
		return nil
	}
	runtime.SetFinalizer(d, nil)
	return cudnnError("destroying a descriptor", C.cudnnDestroyConvolutionDescriptor(convolutionHandle(d)))
}

// DestroyPoolingDesc frees the descriptor.
func DestroyPoolingDesc(d *PoolingDesc) error {
	if d == nil {
		return nil
	}
	runtime.SetFinalizer(d, nil)
	return cudnnError("destroying a descriptor", C.cudnnDestroyPoolingDescriptor(poolingHandle(d)))
}

// DestroyActivationDesc frees the descriptor.
func DestroyActivationDesc(d *ActivationDesc) error {
	if d == nil {
		return nil
	}
	runtime.SetFinalizer(d, nil)
	return cudnnError("destroying a descriptor", C.cudnnDestroyActivationDescriptor(activationHandle(d)))
}
