package augment

import (
	"math"
	"testing"
)

// A white pixel becomes a round spot of the Gaussian's shape; a plain image is unchanged.
func TestBlur(t *testing.T) {
	x := picture(15, 15, 1, make([]float64, 225)...)
	x.Pix[7*15+7] = 1
	y := applied(Blur{MinSigma: 1.5, MaxSigma: 1.5}, x, 0, 0)
	if right, down := y.At(7, 9, 0)/y.At(7, 7, 0), y.At(9, 7, 0)/y.At(7, 7, 0); math.Abs(right-math.Exp(-4/4.5)) > 1e-5 || right != down {
		t.Errorf("two pixels away are %v to the right and %v below, want %v", right, down, math.Exp(-4/4.5))
	}
	plain := picture(2, 3, 1, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3)
	want(t, "a plain image", applied(Blur{}, plain, 3, 0), plain.Pix...)
}
