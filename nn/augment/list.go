package augment

import (
	"encoding/json"
	"fmt"

	"trainer/nn/device"
	"trainer/nn/setting"
)

// Transform is a random change to images, with its settings. It declares them as in package setting: zero means the
// default.
type Transform interface {
	// Kind returns the name in recipes, such as "hue".
	Kind() string
	// Ops returns the operations on pixels that the transform needs: the same at each call.
	Ops() []*device.ImageOp
	// Draw draws the change for one image: it sets the parameters of each operation to apply.
	Draw(r *Random, p Params)
}

// Item is a transform in a list, with the probability that it is applied.
type Item struct {
	Transform
	P float64 // for each image in each epoch; 0 means the kind's default: DefaultP, or 1 without that method
}

// MarshalJSON writes the kind and the settings, because checkpoints keep both.
func (i Item) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Kind     string
		P        float64
		Settings Transform
	}{i.Kind(), i.P, i.Transform})
}

// Occasional is a transform that is applied to some of the images unless a list says otherwise.
type Occasional interface {
	// DefaultP returns the default probability.
	DefaultP() float64
}

// Completed returns the item with defaults in place of zeros.
func (i Item) Completed() Item {
	if i.P == 0 {
		i.P = 1
		if o, ok := i.Transform.(Occasional); ok {
			i.P = o.DefaultP()
		}
	}
	i.Transform = setting.Completed(i.Transform)
	return i
}

// List is a list of transforms, applied in order.
type List []Item

// Ops returns the operations of all transforms, in order.
func (l List) Ops() []*device.ImageOp {
	var ops []*device.ImageOp
	for _, item := range l {
		ops = append(ops, item.Ops()...)
	}
	return ops
}

// Mixes reports whether a transform mixes images, and with them their labels.
func (l List) Mixes() bool {
	for _, op := range l.Ops() {
		if op.Mixes {
			return true
		}
	}
	return false
}

// Params are one image's parameters: for each operation, whether it is on, then its parameters.
type Params [][]float32

// Set switches operation k of the transform on, with these parameters.
func (p Params) Set(k int, values ...float64) {
	p[k][0] = 1
	for i, v := range values {
		p[k][1+i] = float32(v)
	}
}

// Check returns the first mistake in a list: a probability or a setting out of bounds.
func (l List) Check() error {
	for i, item := range l {
		if item.Transform == nil {
			return fmt.Errorf("transform %d is nil", i+1)
		}
		if !(item.P >= 0 && item.P <= 1) {
			return fmt.Errorf("transform %d (%s): p is %v, want 0 (the default) to 1", i+1, item.Kind(), item.P)
		}
		if err := setting.Check(item.Transform); err != nil {
			return fmt.Errorf("transform %d (%s): %w", i+1, item.Kind(), err)
		}
	}
	return nil
}
