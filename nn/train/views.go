package train

import (
	"fmt"

	"trainer/nn"
	"trainer/nn/device"
)

// TTAView is one view of a test image: shifted down by DY and right by DX pixels with
// reflection, and mirrored if Flip is set. Test-time augmentation averages the network's
// outputs over all views, weighted by Weight.
type TTAView struct {
	DY, DX int
	Mirror bool
	Weight float32 // 0 means 1
}

func checkViews(views []TTAView, h, w int) error {
	for i, v := range views {
		if max(v.DY, -v.DY) > h-1 || max(v.DX, -v.DX) > w-1 {
			return &ConfigError{Setting: "views", Problem: fmt.Sprintf("view %d shifts images of %dx%d by %d, %d: want less than their size", i, h, w, v.DY, v.DX)}
		}
		if !(v.Weight >= 0) {
			return &ConfigError{Setting: "views", Problem: fmt.Sprintf("view %d has weight %v, want a positive number", i, v.Weight)}
		}
	}
	return nil
}

func (v TTAView) weight() float32 {
	if v.Weight == 0 {
		return 1
	}
	return v.Weight
}

// plain is the list with a single view, the image as it is.
var plain = []TTAView{{Weight: 1}}

// viewedOutputs computes a network's outputs for views of images, averaged over the views:
//
//	outputs = sum over v of w[v] * network(view v of the images),    w[v] = weight of v / sum of the weights
type viewedOutputs struct {
	net   *nn.Network
	views []TTAView
	sums  []device.WeightedSum // adds each view's outputs to sum; empty with a single view
	sum   *device.Tensor       // float32 [batch, classes], with several views
}

// newViewedOutputs returns the outputs for views; an empty list means the images as they are.
func newViewedOutputs(net *nn.Network, views []TTAView) (*viewedOutputs, error) {
	o := &viewedOutputs{net: net, views: views}
	switch len(views) {
	case 0:
		o.views = plain
		return o, nil
	case 1:
		return o, nil
	}
	return o, o.build(net.Device(), net.Batch(), net.Classes())
}

// build makes the plans for the weighted sum: sum = w[0]*y[0], then sum = sum + w[v]*y[v].
func (o *viewedOutputs) build(dev device.Device, n, classes int) (err error) {
	if o.sum, err = dev.NewTensor(device.Float32, n, classes); err != nil {
		return err
	}
	total := float32(0)
	for _, v := range o.views {
		total += v.weight()
	}
	for i, v := range o.views {
		spec := device.WeightedSumSpec{Len: n * classes, Alpha: 1, Beta: v.weight() / total}
		if i == 0 {
			spec.Alpha, spec.Beta = spec.Beta, 0
		}
		plan, err := dev.NewWeightedSum(spec)
		if err != nil {
			return err
		}
		o.sums = append(o.sums, plan)
	}
	return nil
}

// forward computes the outputs for the n images that in holds, averaged over views: the views of newViewedOutputs, or
// the single plain one. They are in the network's own buffer, from which its loss reads them.
func (o *viewedOutputs) forward(in input, n int, views []TTAView) *device.Tensor {
	x, _ := in.buffers()
	var outputs *device.Tensor
	for i, v := range views {
		in.view(v)
		outputs = o.net.Forward(x, nn.Inference)
		if len(views) == 1 {
			return outputs
		}
		o.sum.SetRows(n)
		if i == 0 {
			o.sums[i].Run(o.sum, outputs, nil)
		} else {
			o.sums[i].Run(o.sum, o.sum, outputs)
		}
	}
	o.net.Device().Copy(outputs, o.sum)
	return outputs
}

// memory returns the bytes on the device, without the network's.
func (o *viewedOutputs) memory() int64 {
	if o.sum == nil {
		return 0
	}
	return int64(o.sum.MaxRows()) * int64(o.sum.RowLen()) * int64(device.Float32.Size())
}
