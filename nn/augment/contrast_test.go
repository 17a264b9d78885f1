package augment

import "testing"

func TestContrast(t *testing.T) {
	x := picture(1, 2, 1, 0.4, 0.6)
	want(t, "stronger", operated(contrast, x, x, 2), 0.3, 0.7)
	want(t, "none", operated(contrast, x, x, 0), 0.5, 0.5)
	wantRange(t, drawn(Contrast{Max: 0.4}, 2000), 0.6, 1.4)
}
