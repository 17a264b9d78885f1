package device

import (
	"fmt"
	"strings"
)

// Precision is the type in which a device stores a network's activations and multiplies the operands of convolutions and
// matrix products. Sums are float32 in every precision.
type Precision uint8

// The precisions.
const (
	Auto Precision = iota // the device's choice
	FP32                  // float32
	TF32                  // stored as float32; operands rounded to 10 mantissa bits before they are multiplied
	FP16                  // float16
	BF16                  // bfloat16
)

var precisionNames = [...]string{"auto", "fp32", "tf32", "fp16", "bf16"}

// PrecisionNames returns the names of the precisions as a list for a sentence.
func PrecisionNames() string {
	last := len(precisionNames) - 1
	return strings.Join(precisionNames[:last], ", ") + " or " + precisionNames[last]
}

// Valid reports whether p is one of the constants.
func (p Precision) Valid() bool { return int(p) < len(precisionNames) }

// String returns the name that flags use, such as "tf32".
func (p Precision) String() string {
	if !p.Valid() {
		return fmt.Sprintf("Precision(%d)", uint8(p))
	}
	return precisionNames[p]
}

// ParsePrecision returns the precision with the given name.
func ParsePrecision(name string) (Precision, error) {
	for i, known := range precisionNames {
		if name == known {
			return Precision(i), nil
		}
	}
	return 0, fmt.Errorf("precision %q: want %s", name, PrecisionNames())
}

// DType returns the type that a network is to be compiled with: Float16 for FP16, BFloat16 for BF16, and otherwise
// Float32.
func (p Precision) DType() DType {
	switch p {
	case FP16:
		return Float16
	case BF16:
		return BFloat16
	}
	return Float32
}

// PrecisionOf returns the precision in which a device computes, which is never Auto. Devices without a method Precision
// compute in FP32.
func PrecisionOf(dev Device) Precision {
	if d, ok := dev.(interface{ Precision() Precision }); ok {
		return d.Precision()
	}
	return FP32
}
