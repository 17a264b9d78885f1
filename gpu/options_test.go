package gpu

import (
	"strings"
	"testing"

	"trainer/nn/device"
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
	for p, want := range map[Precision]device.DType{
		Auto: device.Float32, FP32: device.Float32, TF32: device.Float32, FP16: device.Float16, BF16: device.BFloat16,
	} {
		if got := p.DType(); got != want {
			t.Errorf("networks of %v are of %v, want %v", p, got, want)
		}
	}
}

// settled is a device that tells its precision, and other one that doesn't.
type (
	settled struct{ device.Device }
	other   struct{ device.Device }
)

func (settled) Precision() Precision { return BF16 }

func TestPrecisionOf(t *testing.T) {
	if p, ok := PrecisionOf(settled{}); p != BF16 || !ok {
		t.Errorf("PrecisionOf = %v, %v; want bf16, true", p, ok)
	}
	if _, ok := PrecisionOf(other{}); ok {
		t.Error("a device of another package has a precision")
	}
}

func TestOptions(t *testing.T) {
	var o options
	for _, option := range []Option{WithPrecision(TF32), WithDeterministic(), WithAutotune(), WithWorkspaceLimit(7)} {
		option(&o)
	}
	if want := (options{TF32, true, true, 7}); o != want {
		t.Errorf("options %+v, want %+v", o, want)
	}
}
