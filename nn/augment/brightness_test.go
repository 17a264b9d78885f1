package augment

import "testing"

func TestBrightness(t *testing.T) {
	x := picture(1, 1, 3, 0.1, 0.4, 0.8)
	want(t, "brighter", operated(brightness, x, x, 1.5), 0.15, 0.6, 1)
	wantRange(t, drawn(Brightness{Max: 0.4}, 2000), 0.6, 1.4)
}
