package gpu

import "testing"

func TestOptions(t *testing.T) {
	var o options
	for _, option := range []Option{WithPrecision(TF32), WithDeterministic(), WithAutotune(), WithWorkspaceLimit(7)} {
		option(&o)
	}
	if want := (options{TF32, true, true, 7}); o != want {
		t.Errorf("options %+v, want %+v", o, want)
	}
}
