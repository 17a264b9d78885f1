package nn_test

import (
	"testing"

	"trainer/nn"
)

func TestConvTranspose2D(t *testing.T) {
	image := nn.Shape{4, 5, 4}
	for name, c := range map[string]struct {
		layer nn.ConvTranspose2D
		out   string
	}{
		"plain":      {nn.ConvTranspose2D{OutC: 3, Kernel: nn.Pair{H: 3, W: 2}}, "6x6x3"},
		"everything": {nn.ConvTranspose2D{OutC: 6, Kernel: nn.Pair{H: 3, W: 2}, Stride: nn.Pair{H: 2, W: 3}, Padding: nn.Pair{H: 1, W: 0}, OutputPadding: nn.Pair{H: 1, W: 2}, Dilation: nn.Pair{H: 1, W: 2}, Groups: 2}, "8x17x6"},
		"unequal":    {nn.ConvTranspose2D{OutC: 2, Kernel: nn.Square(3), Stride: nn.Square(2), SameLower: true, NoBias: true}, "8x10x2"},
		// The output padding is larger than the stride, so the transposed map is a convolution whose last rows are cut off.
		"output-padding": {nn.ConvTranspose2D{OutC: 2, Kernel: nn.Square(2), Dilation: nn.Square(3), OutputPadding: nn.Pair{H: 2, W: 1}}, "9x9x2"},
		"depthwise":      {nn.ConvTranspose2D{OutC: 4, Kernel: nn.Square(4), Stride: nn.Square(2), Padding: nn.Square(1), Groups: 4}, "8x10x4"},
	} {
		t.Run(name, func(t *testing.T) { checkComposed(t, c.layer, image, c.out) })
	}
}

// A filter of ones adds every pixel to the 3 x 3 pixels around it; with stride 3 and output padding the copies lie side
// by side.
func TestConvTranspose2DByHand(t *testing.T) {
	x, ones := []float32{0, 1, 2, 3, 4, 5, 6, 7, 8}, []float32{1, 1, 1, 1, 1, 1, 1, 1, 1}
	wantNear(t, forward(t, nn.ConvTranspose2D{OutC: 1, Kernel: nn.Square(3)}, nn.Shape{3, 3, 1}, x, ones, []float32{0.5}),
		0.5, 1.5, 3.5, 3.5, 2.5,
		3.5, 8.5, 15.5, 12.5, 7.5,
		9.5, 21.5, 36.5, 27.5, 15.5,
		9.5, 20.5, 33.5, 24.5, 13.5,
		6.5, 13.5, 21.5, 15.5, 8.5)
	side := nn.ConvTranspose2D{OutC: 1, Kernel: nn.Pair{H: 1, W: 2}, Stride: nn.Pair{H: 1, W: 3}, OutputPadding: nn.Pair{W: 1}, NoBias: true}
	wantNear(t, forward(t, side, nn.Shape{1, 3, 1}, []float32{1, 2, 3}, []float32{10, 1}),
		10, 1, 0, 20, 2, 0, 30, 3, 0)
}
