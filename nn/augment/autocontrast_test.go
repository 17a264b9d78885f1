package augment

import "testing"

func TestAutoContrast(t *testing.T) {
	x := picture(1, 3, 2, 0.2, 0.5, 0.3, 0.5, 0.6, 0.5)
	want(t, "stretched", operated(autoContrast, x, x), 0, 0.5, 0.25, 0.5, 1, 0.5)
}
