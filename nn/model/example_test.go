package model_test

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"log"

	"trainer/cpu"
	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/model"
	"trainer/nn/optim"
	"trainer/nn/train"
)

// Square is a layer of this program's own: y = x^2, whose derivative is 2x.
type Square struct{}

// Kind returns the name of the layer.
func (Square) Kind() string { return "square" }

// OutputShape returns the input's shape.
func (Square) OutputShape(in nn.Shape) (nn.Shape, error) { return in, nil }

// Build makes the layer on a device. Layers that aren't elementwise are composed of a device's operations in the same way.
func (Square) Build(b *nn.Builder, in nn.Shape) (nn.BuiltLayer, error) {
	return nn.BuildActivation(b, in, device.ActivationSpec{Function: &device.Function{
		Name: "square", Value: func(x, _ float64) float64 { return x * x }, Slope: func(x, _ float64) float64 { return 2 * x },
	}})
}

// A program trains its own layer on its own pictures, and asks the trained network.
func Example() {
	prepare, classes := data.Preparation{H: 12, W: 12, C: 3}, []string{"sky", "grass"}
	var pictures []image.Image
	var labels []int
	for i := range 64 {
		pictures, labels = append(pictures, landscape(i, i%2)), append(labels, i%2)
	}
	set := must(data.FromImages(prepare, pictures, labels, classes))
	dev := must(cpu.New())
	defer dev.Close()
	result := must(train.Run(context.Background(), train.Config{
		Device: dev, Data: &data.Dataset{Name: "landscapes", Train: set}, Batch: 16, Epochs: 10,
		Model: nn.NewSequential(nn.Conv2D{OutC: 4, Kernel: nn.Square(3)}, Square{}, nn.GlobalAvgPool{}, nn.Dense{Out: 2}),
		Loss:  nn.CrossEntropy{}, Optimizer: optim.Config{Algorithm: "adam", LR: 0.02},
	}))
	m := must(model.FromResult(result, prepare, classes))
	answer := must(m.Predict(landscape(100, 1)))[0]
	fmt.Printf("%s, above 90%%: %v\n", answer.Name, answer.Probability > 0.9)
	// Output: grass, above 90%: true
}

// landscape returns a picture of one colour, a shade of blue for class 0 or of green for class 1.
func landscape(n, class int) image.Image {
	im, shade := image.NewRGBA(image.Rect(0, 0, 20, 15)), uint8(150+n)
	colour := []color.RGBA{{60, 90, shade, 255}, {60, shade, 90, 255}}[class]
	draw.Draw(im, im.Rect, image.NewUniform(colour), image.Point{}, draw.Src)
	return im
}

// must ends the program if there is an error.
func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}
