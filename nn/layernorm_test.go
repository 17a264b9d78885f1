package nn_test

import (
	"math"
	"testing"

	"trainer/nn"
)

func TestLayerNorm(t *testing.T) {
	t.Run("image", func(t *testing.T) { checkComposed(t, nn.LayerNorm{}, nn.Shape{3, 4, 5}, "3x4x5") })
	t.Run("vector", func(t *testing.T) { checkComposed(t, nn.LayerNorm{Epsilon: 0.3}, nn.Shape{7}, "7") })
	wantMisfit(t, nn.LayerNorm{Epsilon: -1}, nn.Shape{7}, "epsilon", "-1")

	// Two pixels of two channels, (1, 3) and (-5, 5): means 2 and 0, variances 1 and 25.
	y := forward(t, nn.LayerNorm{Epsilon: 1e-12}, nn.Shape{1, 2, 2}, []float32{1, 3, -5, 5}, []float32{2, 3}, []float32{10, 20})
	wantNear(t, y, 10-2, 20+3, 10-2, 20+3)
	// A constant has variance 0, which epsilon keeps from dividing by.
	y = forward(t, nn.LayerNorm{}, nn.Shape{3}, []float32{7, 7, 7, 0, 0.1, 0.2})
	root := math.Sqrt(0.02/3 + 1e-5)
	wantNear(t, y, 0, 0, 0, -0.1/root, 0, 0.1/root)
}
