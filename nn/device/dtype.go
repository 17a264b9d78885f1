package device

import (
	"fmt"
	"unsafe"
)

// DType is the type of a tensor's elements.
type DType uint8

// The element types. On the host, Float16 and BFloat16 are handled as their 16 bits.
const (
	Float32 DType = iota + 1
	Float16
	BFloat16
	Uint8
	Int32
)

// Size returns the bytes that one element occupies.
func (d DType) Size() int {
	switch d {
	case Float32, Int32:
		return 4
	case Float16, BFloat16:
		return 2
	case Uint8:
		return 1
	}
	panic(fmt.Sprintf("device: DType(%d) is not an element type", d))
}

// String returns the name that recipes and checkpoints use, such as "float32".
func (d DType) String() string {
	switch d {
	case Float32:
		return "float32"
	case Float16:
		return "float16"
	case BFloat16:
		return "bfloat16"
	case Uint8:
		return "uint8"
	case Int32:
		return "int32"
	}
	return fmt.Sprintf("DType(%d)", uint8(d))
}

// OrFloat32 returns d, or Float32 if d is 0: specs may leave out their DType.
func (d DType) OrFloat32() DType {
	if d == 0 {
		return Float32
	}
	return d
}

// Element is a Go type that holds one tensor element on the host; uint16 holds
// the bits of a Float16 or BFloat16.
type Element interface {
	float32 | uint16 | uint8 | int32
}

// Bytes returns the memory of s as bytes, without a copy, for Upload and Download.
func Bytes[T Element](s []T) []byte {
	if len(s) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*int(unsafe.Sizeof(s[0])))
}
