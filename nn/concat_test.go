package nn_test

import (
	"testing"

	"trainer/nn"
)

func TestConcat(t *testing.T) {
	conv := func(out int) nn.Layer { return nn.Conv2D{OutC: out, Kernel: nn.Square(3), Same: true} }
	image := nn.Shape{3, 4, 5}
	t.Run("two", func(t *testing.T) {
		checkComposed(t, nn.Concat{Branches: []nn.Layer{conv(3), nn.NewSequential(nn.Tanh{}, conv(4), nn.Sigmoid{})}}, image, "3x4x7")
	})
	t.Run("identity", func(t *testing.T) {
		checkComposed(t, nn.Concat{Branches: []nn.Layer{nil, nn.NewSequential(conv(2), nn.Tanh{}), nn.NewSequential()}}, image, "3x4x12")
	})
	t.Run("vector", func(t *testing.T) {
		checkComposed(t, nn.Concat{Branches: []nn.Layer{nn.Dense{Out: 2}, nn.Tanh{}}}, nn.Shape{5}, "7")
	})
	inner := nn.Concat{Branches: []nn.Layer{nn.Tanh{}, conv(2)}}
	t.Run("nested", func(t *testing.T) {
		checkComposed(t, nn.Concat{Branches: []nn.Layer{
			nn.Residual{Body: nn.NewSequential(inner, conv(5))}, nn.NewSequential(inner, inner), nn.Residual{Body: conv(5), Shortcut: nn.Tanh{}},
		}}, image, "3x4x19")
	})

	wantMisfit(t, nn.Concat{}, image, "no branches")
	wantMisfit(t, nn.Concat{Branches: []nn.Layer{nil, nn.MaxPool2D{Kernel: nn.Square(2)}}}, image, "3x4x5", "branch 2", "1x2x5")
	wantMisfit(t, nn.Concat{Branches: []nn.Layer{nil, nn.Dense{Out: 3}}}, image, "2.dense1", "flatten")

	y := forward(t, nn.Concat{Branches: []nn.Layer{nn.Scale{By: 10}, nil}}, nn.Shape{1, 2, 2}, []float32{1, 2, 3, 4})
	wantNear(t, y, 10, 20, 1, 2, 30, 40, 3, 4)
}
