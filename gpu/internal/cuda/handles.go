//go:build cuda && linux && cgo && (amd64 || arm64)

package cuda

// #include "calls.h"
import "C"

import (
	"unsafe"

	"gorgonia.org/cu"
	cudnn "gorgonia.org/cu/dnn"
)

// gorgonia keeps most C handles in unexported fields. They are the first field of each type, and
// in package cu the only field: the declarations below don't compile if the size changes, and
// TestHandlesOfGorgonia fails if the first field is no longer the handle.
var (
	_ [unsafe.Sizeof(uintptr(0))]byte = [unsafe.Sizeof(cu.Stream{})]byte{}
	_ [unsafe.Sizeof(uintptr(0))]byte = [unsafe.Sizeof(cu.Function{})]byte{}
	_ [unsafe.Sizeof(uintptr(0))]byte = [unsafe.Sizeof(cu.Module{})]byte{}
	_ [unsafe.Sizeof(uintptr(0))]byte = [unsafe.Sizeof(cu.Event{})]byte{}
)

func streamHandle(s cu.Stream) C.CUstream { return C.CUstream(unsafe.Pointer(s.C())) }

func eventHandle(e cu.Event) C.CUevent { return *(*C.CUevent)(unsafe.Pointer(&e)) }

func functionHandle(f cu.Function) C.CUfunction { return *(*C.CUfunction)(unsafe.Pointer(&f)) }

func tensorHandle(d *cudnn.TensorDescriptor) C.cudnnTensorDescriptor_t {
	return *(*C.cudnnTensorDescriptor_t)(unsafe.Pointer(d))
}

func filterHandle(d *cudnn.Filter) C.cudnnFilterDescriptor_t {
	return *(*C.cudnnFilterDescriptor_t)(unsafe.Pointer(d))
}

func convolutionHandle(d *cudnn.Convolution) C.cudnnConvolutionDescriptor_t {
	return *(*C.cudnnConvolutionDescriptor_t)(unsafe.Pointer(d))
}

func poolingHandle(d *cudnn.Pooling) C.cudnnPoolingDescriptor_t {
	return *(*C.cudnnPoolingDescriptor_t)(unsafe.Pointer(d))
}

func activationHandle(d *cudnn.Activation) C.cudnnActivationDescriptor_t {
	return *(*C.cudnnActivationDescriptor_t)(unsafe.Pointer(d))
}
