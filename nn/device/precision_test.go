package device

import (
	"strings"
	"testing"
)

func TestParsePrecision(t *testing.T) {
	for i, want := range []Precision{Auto, FP32, TF32, FP16, BF16} {
		if int(want) != i {
			t.Errorf("%v is number %d, want %d", want, want, i)
		}
		if got, err := ParsePrecision(want.String()); got != want || err != nil {
			t.Errorf("ParsePrecision(%q) = %v, %v", want, got, err)
		}
	}
	for _, name := range []string{"", "FP32", "fp64", "Precision(9)"} {
		if _, err := ParsePrecision(name); err == nil || !strings.Contains(err.Error(), "want auto, fp32, tf32, fp16 or bf16") {
			t.Errorf("ParsePrecision(%q) gives the error %v", name, err)
		}
	}
	if got := Precision(9).String(); got != "Precision(9)" {
		t.Errorf("Precision(9) is %q", got)
	}
}

func TestPrecisionDType(t *testing.T) {
	for p, want := range map[Precision]DType{
		Auto: Float32, FP32: Float32, TF32: Float32, FP16: Float16, BF16: BFloat16,
	} {
		if got := p.DType(); got != want {
			t.Errorf("networks of %v are of %v, want %v", p, got, want)
		}
	}
}

// settled is a device with a method Precision, and other is a device without it.
type (
	settled struct{ Device }
	other   struct{ Device }
)

func (settled) Precision() Precision { return BF16 }

func TestPrecisionOf(t *testing.T) {
	if p := PrecisionOf(settled{}); p != BF16 {
		t.Errorf("PrecisionOf = %v, want bf16", p)
	}
	if p := PrecisionOf(other{}); p != FP32 {
		t.Errorf("a device that doesn't tell computes in %v, want fp32", p)
	}
}
