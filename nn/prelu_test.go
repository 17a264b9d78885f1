package nn_test

import (
	"testing"

	"trainer/nn"
)

func TestPReLU(t *testing.T) {
	t.Run("image", func(t *testing.T) { checkComposed(t, nn.PReLU{}, nn.Shape{3, 4, 5}, "3x4x5") })
	t.Run("vector", func(t *testing.T) { checkComposed(t, nn.PReLU{Initial: 0.5}, nn.Shape{7}, "7") })
	t.Run("shared", func(t *testing.T) { checkComposed(t, nn.PReLU{Shared: true}, nn.Shape{4, 3, 3}, "4x3x3") })
	wantMisfit(t, nn.PReLU{Initial: -1}, nn.Shape{7}, "initial", "-1")

	x := []float32{1, -2, -3, 4, 0, -0.5}
	wantNear(t, forward(t, nn.PReLU{}, nn.Shape{3}, x), 1, -0.5, -0.75, 4, 0, -0.125)
	wantNear(t, forward(t, nn.PReLU{}, nn.Shape{3}, x, []float32{2, 3, 0}), 1, -6, 0, 4, 0, 0)
	wantNear(t, forward(t, nn.PReLU{Shared: true}, nn.Shape{3}, x, []float32{-1}), 1, 2, 3, 4, 0, 0.5)
}
