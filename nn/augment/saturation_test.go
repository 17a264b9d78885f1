package augment

import "testing"

func TestSaturation(t *testing.T) {
	x := picture(1, 1, 3, 1, 0.5, 0)
	const gray = 0.299 + 0.587/2
	want(t, "gray", operated(saturation, x, x, 0), gray, gray, gray)
	want(t, "half", operated(saturation, x, x, 0.5), (1+gray)/2, (0.5+gray)/2, gray/2)
	one := picture(1, 2, 1, 0.2, 0.7)
	want(t, "one channel", operated(saturation, one, one, 0), 0.2, 0.7)
	want(t, "gray", applied(Gray{}, x, 0, 0), gray, gray, gray)
	wantRange(t, drawn(Saturation{Max: 0.4}, 2000), 0.6, 1.4)
}
