package gpu

import (
	"strings"
	"testing"
)

func TestParsePrecision(t *testing.T) {
	for _, want := range []Precision{FP32, TF32, FP16, BF16} {
		if got, err := ParsePrecision(want.String()); got != want || err != nil {
			t.Errorf("ParsePrecision(%q) = %v, %v", want, got, err)
		}
	}
	for _, name := range []string{"", "FP32", "fp64", "Precision(9)"} {
		if _, err := ParsePrecision(name); err == nil || !strings.Contains(err.Error(), "want fp32, tf32, fp16 or bf16") {
			t.Errorf("ParsePrecision(%q) gives the error %v", name, err)
		}
	}
	if got := Precision(9).String(); got != "Precision(9)" {
		t.Errorf("Precision(9) is %q", got)
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
