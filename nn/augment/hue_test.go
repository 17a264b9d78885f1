package augment

import "testing"

// A third of the circle turns red to green, green to blue and blue to red; gray pixels and images with one channel are
// unchanged.
func TestHue(t *testing.T) {
	x := picture(1, 5, 3, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0.4, 0.4, 0.4, 0.8, 0.5, 0.2)
	want(t, "a third", operated(hue, x, x, 1.0/3), 0, 1, 0, 0, 0, 1, 1, 0, 0, 0.4, 0.4, 0.4, 0.2, 0.8, 0.5)
	want(t, "minus a sixth", operated(hue, x, x, -1.0/6), 1, 0, 1, 1, 1, 0, 0, 1, 1, 0.4, 0.4, 0.4, 0.8, 0.2, 0.5)
	want(t, "nothing", operated(hue, x, x, 0), x.Pix...)
	one := picture(1, 3, 1, 0.2, 0.7, 0)
	want(t, "one channel", operated(hue, one, one, 0.3), one.Pix...)
	wantRange(t, drawn(Hue{Max: 0.25}, 2000), -0.25, 0.25)
}
