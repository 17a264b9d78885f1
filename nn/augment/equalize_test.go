package augment

import (
	"slices"
	"testing"
)

// For 1020 pixels, a quarter each of four bytes, N is 765 and the step is 3: the bytes become (1 + 255 k) / 3.
func TestEqualize(t *testing.T) {
	pix := slices.Repeat([]float64{10.0 / 255, 11.0 / 255, 12.0 / 255, 200.0 / 255}, 255)
	x := picture(30, 34, 1, pix...)
	want(t, "equalised", operated(equalize, x, x), 0, 85.0/255, 170.0/255, 255.0/255)
	one := picture(1, 2, 1, 0.2, 0.4)
	want(t, "too few pixels", operated(equalize, one, one), 0.2, 0.4)
}
