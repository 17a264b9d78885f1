package train

import (
	"encoding/binary"
	"fmt"
	"math"

	"trainer/nn/train/internal/safetensors"
)

// ReadTensors reads the tensors of a safetensors file, sorted by name, and its metadata. The file may come from another
// program: F16, BF16 and F64 are converted to float32, and tensors of integers, such as counters, are left out. The error
// for a damaged file is ErrDamaged.
func ReadTensors(path string) (list []NamedValues, meta map[string]string, err error) {
	f, err := openTensors(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	for _, t := range f.Tensors() {
		decode := decoderOf(t.DType)
		if decode == nil {
			continue
		}
		values, err := readValues(f, t, decode)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", path, err)
		}
		list = append(list, NamedValues{Name: t.Name, Shape: t.Shape, Values: values})
	}
	return list, f.Metadata(), nil
}

func readValues(f *safetensors.File, t safetensors.Tensor, decode func(b []byte) float32) ([]float32, error) {
	size, err := t.Bytes()
	if err != nil {
		return nil, err
	}
	raw := make([]byte, size)
	if err := f.Read(t.Name, raw); err != nil {
		return nil, err
	}
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	values := make([]float32, n)
	if n == 0 {
		return values, nil
	}
	width := len(raw) / n
	for i := range values {
		values[i] = decode(raw[i*width:])
	}
	return values, nil
}

// decoderOf returns the function that reads an element of a type, or nil if the type has no floating-point numbers.
func decoderOf(dtype string) func(b []byte) float32 {
	le := binary.LittleEndian
	switch dtype {
	case "F32":
		return func(b []byte) float32 { return math.Float32frombits(le.Uint32(b)) }
	case "F64":
		return func(b []byte) float32 { return float32(math.Float64frombits(le.Uint64(b))) }
	case "BF16": // the upper half of a float32
		return func(b []byte) float32 { return math.Float32frombits(uint32(le.Uint16(b)) << 16) }
	case "F16":
		return func(b []byte) float32 { return fromHalf(le.Uint16(b)) }
	}
	return nil
}

// fromHalf converts an IEEE 754 binary16 number: 1 bit of sign, 5 of exponent with the bias 15, 10 of mantissa.
func fromHalf(h uint16) float32 {
	sign, exponent, mantissa := float64(1), int(h>>10&31), float64(h&1023)
	if h>>15 == 1 {
		sign = -1
	}
	switch {
	case exponent == 0: // zero, or below the smallest normal number
		return float32(math.Copysign(math.Ldexp(mantissa, -24), sign))
	case exponent == 31 && mantissa != 0:
		return float32(math.NaN())
	case exponent == 31:
		return float32(math.Inf(int(sign)))
	}
	return float32(math.Copysign(math.Ldexp(1024+mantissa, exponent-25), sign))
}
