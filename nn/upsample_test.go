package nn_test

import (
	"testing"

	"trainer/nn"
)

func TestUpSample(t *testing.T) {
	t.Run("twice", func(t *testing.T) { checkComposed(t, nn.UpSample{}, nn.Shape{3, 4, 5}, "6x8x5") })
	t.Run("three-times", func(t *testing.T) { checkComposed(t, nn.UpSample{Factor: 3}, nn.Shape{2, 1, 3}, "6x3x3") })
	t.Run("once", func(t *testing.T) { checkComposed(t, nn.UpSample{Factor: 1}, nn.Shape{2, 3, 2}, "2x3x2") })
	wantMisfit(t, nn.UpSample{}, nn.Shape{7}, "7", "image")
	wantMisfit(t, nn.UpSample{Factor: -1}, nn.Shape{2, 2, 3}, "factor", "-1")
	wantMisfit(t, nn.UpSample{Factor: 1 << 40}, nn.Shape{2, 2, 3}, "factor", "16777216")
	wantMisfit(t, nn.UpSample{Factor: 40_000}, nn.Shape{2, 2, 3}, "factor", "65536")

	y := forward(t, nn.UpSample{}, nn.Shape{1, 2, 2}, []float32{1, 2, 3, 4})
	wantNear(t, y, 1, 2, 1, 2, 3, 4, 3, 4, 1, 2, 1, 2, 3, 4, 3, 4)
}
