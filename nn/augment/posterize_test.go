package augment

import (
	"slices"
	"testing"
)

func TestPosterize(t *testing.T) {
	x := picture(1, 3, 1, 255.0/255, 130.0/255, 15.0/255)
	want(t, "four bits", operated(posterize, x, x, 16), 240.0/255, 128.0/255, 0)
	if steps := slices.Compact(slices.Sorted(slices.Values(drawn(Posterize{MinBits: 4}, 200)))); !slices.Equal(steps, []float64{2, 4, 8, 16}) {
		t.Errorf("steps of %v, want 2, 4, 8, 16", steps)
	}
}
