package model_test

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"log"

	"trainer/cpu"
	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/model"
	"trainer/nn/optim"
	"trainer/nn/train"
)

// Square is a layer of this program's own: y = x^2, an activation with the derivative 2x.
type Square struct{}

// Kind returns the name of the layer.
func (Square) Kind() string { return "square" }

// OutputShape returns the input's shape.
func (Square) OutputShape(in nn.Shape) (nn.Shape, error) { return in, nil }

// Build composes the layer of a device operation: y = x * x forwards, dx = 2 x dy backwards.
func (Square) Build(b *nn.Builder, in nn.Shape) (nn.BuiltLayer, error) {
	spec := device.MapSpec{Kind: device.MapMul, Batch: b.Batch(), Rows: 1, C: in.Len(), B: device.AllAxes, Alpha: 1, DType: b.DType(), BDType: b.DType()}
	forward, err := b.Device().NewMap(spec)
	if err != nil {
		return nil, err
	}
	spec.Alpha = 2
	backward, err := b.Device().NewMap(spec)
	u := &square{forward: forward, backward: backward}
	if err == nil {
		err = b.Output(in, &u.y)
	}
	return u, err
}

type square struct {
	forward, backward device.Map
	x, y              *device.Tensor
}

// Forward computes x * x.
func (u *square) Forward(x *device.Tensor, _ nn.Mode) *device.Tensor {
	u.x = x
	u.y.SetRows(x.Rows())
	u.forward.Run(u.y, x, x)
	return u.y
}

// Backward computes 2 x dy in place.
func (u *square) Backward(dy *device.Tensor) *device.Tensor {
	u.backward.Run(dy, dy, u.x)
	return dy
}

// A program trains its own layer on its own pictures, keeps the model, and asks it.
func Example() {
	prepare := data.Preparation{H: 12, W: 12, C: 3}
	classes := []string{"sky", "grass"}
	var pictures []image.Image
	var labels []int
	for i := range 64 {
		pictures, labels = append(pictures, landscape(i, i%2)), append(labels, i%2)
	}
	set, err := data.FromImages(prepare, pictures, labels, classes)
	if err != nil {
		log.Fatal(err)
	}
	dev, err := cpu.New()
	if err != nil {
		log.Fatal(err)
	}
	defer dev.Close()
	result, err := train.Run(context.Background(), train.Config{
		Device: dev, Data: &data.Dataset{Name: "landscapes", Train: set}, Batch: 16, Epochs: 10,
		Model:     nn.NewSequential(nn.Conv2D{OutC: 4, Kernel: nn.Square(3)}, Square{}, nn.GlobalAvgPool{}, nn.Dense{Out: 2}),
		Loss:      nn.CrossEntropy{},
		Optimizer: optim.Config{Algorithm: "adam", LR: 0.02},
	})
	if err != nil {
		log.Fatal(err)
	}
	m, err := model.FromResult(result, prepare, classes)
	if err != nil {
		log.Fatal(err)
	}
	predictions, err := m.Predict(landscape(100, 1))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s, above 90%%: %v\n", predictions[0].Name, predictions[0].Probability > 0.9)
	// Output: grass, above 90%: true
}

// landscape returns a picture of one colour, with noise: blue for 0, green for 1.
func landscape(n, class int) image.Image {
	im := image.NewRGBA(image.Rect(0, 0, 20, 15))
	for k := range 20 * 15 {
		noise := byte(k * (n + 7) % 50)
		c := color.RGBA{R: 60 + noise, G: 90 + noise, B: 150 + noise, A: 255}
		if class == 1 {
			c.G, c.B = c.B, c.G
		}
		im.Set(k%20, k/20, c)
	}
	return im
}
