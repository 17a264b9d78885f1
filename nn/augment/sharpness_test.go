package augment

import "testing"

func TestSharpness(t *testing.T) {
	x := picture(3, 3, 1, 0, 0, 0, 0, 0.65, 0, 0, 0, 0)
	want(t, "smooth", operated(sharpness, x, x, 0), 0, 0, 0, 0, 0.25, 0, 0, 0, 0)
	want(t, "sharper", operated(sharpness, x, x, 1.5), 0, 0, 0, 0, 0.85, 0, 0, 0, 0)
	wantRange(t, drawn(Sharpness{Max: 0.5}, 2000), 0.5, 1.5)
}
