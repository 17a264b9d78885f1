//go:build cuda && linux && cgo && (amd64 || arm64)

package cuda

// #include "calls.h"
import "C"

import (
	"runtime"
	"unsafe"
)

// cuDNN's graph interface, cudnnBackend*, has one kind of object: a descriptor of some type that takes named
// attributes, arrays of elements of a type that has a name of its own, and is finalised, which checks it and makes it
// read-only. A descriptor holds what it needs of those that it was given.

type (
	backendDesc = C.cudnnBackendDescriptor_t
	backendType = C.cudnnBackendDescriptorType_t
	attribute   = C.cudnnBackendAttributeName_t
	elementType = C.cudnnBackendAttributeType_t
)

// backend makes descriptors, up to the first error, and owns them.
type backend struct {
	doing string // for errors
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

// setElements sets an attribute to values, which have to be as large as the type says.
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

// finalize finalises a descriptor, and returns it.
func (b *backend) finalize(d backendDesc) backendDesc {
	if b.err == nil {
		b.err = cudnnError(b.doing, C.cudnnBackendFinalize(d))
	}
	return d
}

// elements reads an attribute into values, and returns how many elements there are: that may be more than values holds.
// Elements that are descriptors must be there already, of their type, to be filled in.
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

// release gives the ownership of a descriptor up.
func (b *backend) release(d backendDesc) {
	for i := range b.owned {
		if b.owned[i] == d {
			b.owned = append(b.owned[:i], b.owned[i+1:]...)
			return
		}
	}
}

// close destroys what is owned, the last first, and returns the first error of that.
func (b *backend) close() (first error) {
	for i := len(b.owned) - 1; i >= 0; i-- {
		if err := cudnnError("destroying a descriptor", C.cudnnBackendDestroyDescriptor(b.owned[i])); first == nil {
			first = err
		}
	}
	b.owned = nil
	return first
}
