//go:build cuda && linux && cgo && (amd64 || arm64)

package cuda

// #include "calls.h"
import "C"

import (
	"runtime"
	"unsafe"
)

// cuDNN's graph interface, cudnnBackend*, has one kind of object, the descriptor. A descriptor has a type and takes
// named attributes, each an array of elements of a named type. Finalising a descriptor checks it and makes it
// read-only. A descriptor keeps what it needs of the descriptors among its attributes.

type (
	backendDesc = C.cudnnBackendDescriptor_t
	backendType = C.cudnnBackendDescriptorType_t
	attribute   = C.cudnnBackendAttributeName_t
	elementType = C.cudnnBackendAttributeType_t
)

// backend makes descriptors, until the first error, and owns them.
type backend struct {
	doing string // the current operation, for errors
	owned []backendDesc
	err   error
}

// create returns a new descriptor.
func (b *backend) create(t backendType) backendDesc {
	var d backendDesc
	if b.err == nil {
		b.err = cudnnError(b.doing, C.cudnnBackendCreateDescriptor(t, &d))
	}
	if b.err == nil {
		b.owned = append(b.owned, d)
	}
	return d
}

// setElements sets an attribute to values, which must have the size that the type requires.
func setElements[T any](b *backend, d backendDesc, a attribute, t elementType, values ...T) {
	if b.err != nil {
		return
	}
	b.err = cudnnError(b.doing, C.cudnnBackendSetAttribute(d, a, t, C.int64_t(len(values)), unsafe.Pointer(unsafe.SliceData(values))))
	runtime.KeepAlive(values)
}

// integers, descriptors, float, dataType and flag set attributes of their types.

func (b *backend) integers(d backendDesc, a attribute, values ...int) {
	wide := make([]C.int64_t, len(values))
	for i, v := range values {
		wide[i] = C.int64_t(v)
	}
	setElements(b, d, a, C.CUDNN_TYPE_INT64, wide...)
}

func (b *backend) descriptors(d backendDesc, a attribute, values ...backendDesc) {
	setElements(b, d, a, C.CUDNN_TYPE_BACKEND_DESCRIPTOR, values...)
}

func (b *backend) float(d backendDesc, a attribute, value float32) {
	setElements(b, d, a, C.CUDNN_TYPE_FLOAT, C.float(value))
}

func (b *backend) dataType(d backendDesc, a attribute, value DataType) {
	setElements(b, d, a, C.CUDNN_TYPE_DATA_TYPE, C.cudnnDataType_t(value))
}

func (b *backend) flag(d backendDesc, a attribute, value bool) {
	setElements(b, d, a, C.CUDNN_TYPE_BOOLEAN, C._Bool(value))
}

// finalize finalises a descriptor and returns it.
func (b *backend) finalize(d backendDesc) backendDesc {
	if b.err == nil {
		b.err = cudnnError(b.doing, C.cudnnBackendFinalize(d))
	}
	return d
}

// elements reads an attribute into values, and returns the attribute's number of elements, which may be more than
// values holds. If the elements are descriptors, values must already hold descriptors of their type, which are filled
// in.
func elements[T any](b *backend, d backendDesc, a attribute, t elementType, values []T) int {
	if b.err != nil {
		return 0
	}
	var count C.int64_t
	b.err = cudnnError(b.doing, C.cudnnBackendGetAttribute(d, a, t, C.int64_t(len(values)), &count, unsafe.Pointer(unsafe.SliceData(values))))
	runtime.KeepAlive(values)
	return int(count)
}

// integer returns an attribute of one integer.
func (b *backend) integer(d backendDesc, a attribute) int64 {
	var value [1]C.int64_t
	elements(b, d, a, C.CUDNN_TYPE_INT64, value[:])
	return int64(value[0])
}

// release gives up the ownership of a descriptor.
func (b *backend) release(d backendDesc) {
	for i := range b.owned {
		if b.owned[i] == d {
			b.owned = append(b.owned[:i], b.owned[i+1:]...)
			return
		}
	}
}

// close destroys the owned descriptors, last first, and returns the first error.
func (b *backend) close() (first error) {
	for i := len(b.owned) - 1; i >= 0; i-- {
		if err := cudnnError("destroying a descriptor", C.cudnnBackendDestroyDescriptor(b.owned[i])); first == nil {
			first = err
		}
	}
	b.owned = nil
	return first
}
