package reference

import (
	"encoding/binary"
	"math"

	"trainer/nn/device"
)

// Widen converts to float64, in which the references compute.
func Widen(v []float32) []float64 {
	w := make([]float64, len(v))
	for i, x := range v {
		w[i] = float64(x)
	}
	return w
}

// Unpack returns the numbers that elements of a float type represent.
func Unpack(d device.DType, elements []byte) []float64 {
	if d == device.Float32 {
		return Widen(Float32s(elements))
	}
	f := FormatOf(d)
	v := make([]float64, len(elements)/2)
	for i := range v {
		v[i] = f.Decode(uint32(binary.NativeEndian.Uint16(elements[2*i:])))
	}
	return v
}

// Pack returns bit patterns as elements of the type.
func Pack(d device.DType, patterns []uint32) []byte {
	var b []byte
	for _, p := range patterns {
		if d.Size() == 2 {
			b = binary.NativeEndian.AppendUint16(b, uint16(p))
		} else {
			b = binary.NativeEndian.AppendUint32(b, p)
		}
	}
	return b
}

// Round returns the numbers, each rounded to the nearest one of the float type, as its elements.
func Round(d device.DType, numbers []float64) []byte {
	if d == device.Float32 {
		v := make([]float32, len(numbers))
		for i, x := range numbers {
			v[i] = float32(x)
		}
		return device.Bytes(v)
	}
	f := FormatOf(d)
	patterns := make([]uint32, len(numbers))
	for i, x := range numbers {
		patterns[i] = f.Encode(f.Round(x))
	}
	return Pack(d, patterns)
}

// Float32s returns the numbers that elements of Float32 represent.
func Float32s(elements []byte) []float32 {
	v := make([]float32, len(elements)/4)
	for i := range v {
		v[i] = math.Float32frombits(binary.NativeEndian.Uint32(elements[4*i:]))
	}
	return v
}

// Int32s returns the numbers that elements of Int32 represent.
func Int32s(elements []byte) []int32 {
	v := make([]int32, len(elements)/4)
	for i := range v {
		v[i] = int32(binary.NativeEndian.Uint32(elements[4*i:]))
	}
	return v
}
