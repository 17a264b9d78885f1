package recipe_test

import (
	"errors"
	"fmt"

	"trainer/cpu"
	"trainer/nn"
	"trainer/nn/device"
	"trainer/nn/recipe"
	"trainer/nn/setting"
)

// Quieten is a layer of this program, not of package nn: it scales its input down.
//
//	y = (1 - by) x        dx = (1 - by) dy
type Quieten struct {
	By float32
}

func quietenKind() nn.LayerKind {
	return nn.LayerKind{Name: "quieten", Doc: "x times 1 - by", Family: nn.Scaling, New: func() nn.Layer { return Quieten{} }}
}

// Settings declares the keys of recipes.
func (q *Quieten) Settings(s *setting.List) {
	s.Float32(&q.By, "by", 0.5, setting.AboveZeroToOne, "share that is taken away").Show("by %g")
}

// Kind returns "quieten".
func (Quieten) Kind() string { return "quieten" }

// OutputShape returns the input's shape.
func (q Quieten) OutputShape(in nn.Shape) (nn.Shape, error) { return in, setting.Check(q) }

// Build allocates the output.
func (q Quieten) Build(b *nn.Builder, in nn.Shape) (nn.BuiltLayer, error) {
	setting.Complete(&q)
	u := &quieten{}
	var err error
	if u.plan, err = b.Device().NewWeightedSum(device.WeightedSumSpec{Len: b.Batch() * in.Len(), Alpha: 1 - q.By}); err != nil {
		return nil, err
	}
	return u, b.Output(in, &u.y)
}

type quieten struct {
	plan device.WeightedSum
	y    *device.Tensor
}

// Forward computes y.
func (u *quieten) Forward(x *device.Tensor, _ nn.Mode) *device.Tensor {
	u.y.SetRows(x.Rows())
	u.plan.Run(u.y, x, nil)
	return u.y
}

// Backward computes dx in place of dy.
func (u *quieten) Backward(dy *device.Tensor) *device.Tensor {
	u.plan.Run(dy, dy, nil)
	return dy
}

const ownRecipe = `name = "own"
epochs = 1
batch = 32
[loss]
kind = "cross-entropy"
[optimizer]
kind = "sgd"
lr = 0.1
[[network]]
layer = "flatten"
[[network]]
layer = "dense"
out = "classes"
[[network]]
layer = "quieten"
by = 0.25
`

// A program's own layer in recipes: the program appends the layer's kind to the list of kinds.
func ExampleKinds() {
	kinds := recipe.BuiltIn()
	kinds.Layers = append(kinds.Layers, quietenKind())

	r, err := kinds.Parse("own.toml", []byte(ownRecipe))
	if err != nil {
		fmt.Println(err)
		return
	}
	dev, err := cpu.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer dev.Close()
	net, err := nn.Compile(dev, r.Model(10), nn.Options{Input: nn.Shape{28, 28, 1}, Batch: r.Batch})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, l := range net.Layers() {
		fmt.Println(l.Name, l.Output)
	}

	// Its settings are checked like any other layer's.
	_, err = kinds.Parse("own.toml", []byte(ownRecipe), "network.2.by=1.5")
	fmt.Println(err)
	_, err = recipe.Parse("own.toml", []byte(ownRecipe)) // with the built-in kinds alone
	fmt.Println(errors.As(err, new(recipe.Errors)))

	// Output:
	// flatten1 784
	// dense1 10
	// quieten1 10
	// -set network.2.by: want a number above 0, up to 1, got 1.5
	// true
}
