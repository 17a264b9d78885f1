package nn_test

import (
	"fmt"
	"testing"

	"trainer/nn"
)

func TestGroupNorm(t *testing.T) {
	for _, groups := range []int{1, 2, 6} {
		t.Run(fmt.Sprintf("image-%d", groups), func(t *testing.T) {
			checkComposed(t, nn.GroupNorm{Groups: groups}, nn.Shape{3, 2, 6}, "3x2x6")
		})
	}
	t.Run("vector", func(t *testing.T) { checkComposed(t, nn.GroupNorm{Groups: 2, Epsilon: 0.3}, nn.Shape{8}, "8") })
	wantMisfit(t, nn.GroupNorm{Groups: 4}, nn.Shape{5, 5, 6}, "5x5x6", "6 channels", "4 groups")
	wantMisfit(t, nn.GroupNorm{}, nn.Shape{5, 5, 6}, "32 groups")
	wantMisfit(t, nn.GroupNorm{Groups: -1}, nn.Shape{5, 5, 6}, "groups", "-1")

	// Two pixels of four channels in two groups: 1, 3, 5, 7 with mean 4 and variance 5, and 2, 2, -2, -2.
	x := []float32{1, 3, 2, 2, 5, 7, -2, -2}
	y := forward(t, nn.GroupNorm{Groups: 2, Epsilon: 1e-12}, nn.Shape{1, 2, 4}, x, []float32{1, 2, 3, 4}, []float32{0, 0, 0, 1})
	const root = 2.23606797749979
	wantNear(t, y, -3/root, -1/root*2, 3, 5, 1/root, 3/root*2, -3, -3)
}
