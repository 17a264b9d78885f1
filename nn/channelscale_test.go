package nn_test

import (
	"math"
	"testing"

	"trainer/nn"
)

func TestChannelScale(t *testing.T) {
	t.Run("image", func(t *testing.T) { checkComposed(t, nn.ChannelScale{Reduction: 2}, nn.Shape{3, 4, 6}, "3x4x6") })
	t.Run("one-output", func(t *testing.T) { checkComposed(t, nn.ChannelScale{}, nn.Shape{2, 2, 3}, "2x2x3") })
	t.Run("in-a-residual", func(t *testing.T) {
		checkComposed(t, nn.Residual{Body: nn.NewSequential(nn.Tanh{}, nn.ChannelScale{Reduction: 2}, nn.Tanh{})}, nn.Shape{3, 4, 6}, "3x4x6")
	})
	wantMisfit(t, nn.ChannelScale{}, nn.Shape{7}, "7", "image")
	wantMisfit(t, nn.ChannelScale{Reduction: -2}, nn.Shape{2, 2, 3}, "reduction", "-2")

	// Means 2 and -1; one hidden output relu(2*1 - 1*0.5 + 0.5) = 2; factors sigmoid(2) and sigmoid(-4 + 1).
	y := forward(t, nn.ChannelScale{Reduction: 2}, nn.Shape{1, 2, 2}, []float32{1, -2, 3, 0},
		[]float32{1, 0.5}, []float32{0.5}, []float32{1, -2}, []float32{0, 1})
	sigmoid := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	wantNear(t, y, sigmoid(2), -2*sigmoid(-3), 3*sigmoid(2), 0)
}
