package train

import (
	"context"
	"errors"
	"fmt"
	"io"

	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/device"
)

// View is one way to look at a test image: moved down by DY and right by DX pixels with
// reflection, and mirrored. The network's outputs for all views are averaged by their weights
// (test-time augmentation).
type View struct {
	DY, DX int
	Mirror bool
	Weight float32 // 0 means 1
}

func checkViews(views []View, h, w int) error {
	for i, v := range views {
		if max(v.DY, -v.DY) > h-1 || max(v.DX, -v.DX) > w-1 {
			return &ConfigError{Setting: "views", Problem: fmt.Sprintf("view %d moves images of %dx%d by %d, %d", i, h, w, v.DY, v.DX)}
		}
		if !(v.Weight >= 0) {
			return &ConfigError{Setting: "views", Problem: fmt.Sprintf("view %d has the weight %v, need a positive number", i, v.Weight)}
		}
	}
	return nil
}

// Evaluation is what a network makes of a set.
type Evaluation struct {
	Loss      float64 // mean over the set
	Accuracy  float64 // 0 to 1
	Correct   int
	Count     int
	Confusion [][]int // [class][answer]
}

// Evaluator evaluates one network on one set. The network must have been compiled with a
// loss; training networks do.
type Evaluator struct {
	net     *nn.Network
	dev     device.Device
	views   []View
	set     data.Set
	loader  *data.Loader
	augment device.Augment
	combine []device.Combine // of each view, into sum; empty with a single view

	input  *device.Tensor // float32 [batch, h, w, c]
	images *device.Tensor // uint8 [batch, h, w, c]
	labels *device.Tensor // int32 [batch]
	sum    *device.Tensor // float32 [batch, classes], with several views

	outputs     []float32 // of a batch
	stats, zero [device.StatsLen]float32
}

// NewEvaluator allocates what evaluation needs besides the network. mean and std normalise
// the images. No views means the image as it is.
func NewEvaluator(net *nn.Network, set data.Set, mean, std []float32, views []View) (*Evaluator, error) {
	h, w, c := set.ImageShape()
	if err := checkViews(views, h, w); err != nil {
		return nil, err
	}
	if len(views) == 0 {
		views = plain
	}
	e := &Evaluator{net: net, dev: net.Device(), views: views, set: set}
	if err := e.build(h, w, c, mean, std); err != nil {
		return nil, fmt.Errorf("evaluation: %w", err)
	}
	return e, nil
}

func (e *Evaluator) build(h, w, c int, mean, std []float32) (err error) {
	n, classes := e.net.Batch(), e.net.Classes()
	if e.input, err = e.dev.NewTensor(device.Float32, n, h, w, c); err != nil {
		return err
	}
	if e.images, err = e.dev.NewTensor(device.Uint8, n, h, w, c); err != nil {
		return err
	}
	if e.labels, err = e.dev.NewTensor(device.Int32, n); err != nil {
		return err
	}
	e.outputs = make([]float32, n*classes)
	if e.augment, err = e.dev.NewAugment(device.AugmentSpec{N: n, H: h, W: w, C: c, Mean: mean, Std: std}); err != nil {
		return err
	}
	if len(e.views) > 1 {
		if err := e.buildCombine(n, classes); err != nil {
			return err
		}
	}
	e.loader, err = data.NewLoader(data.LoaderConfig{Set: e.set, Batch: n})
	return err
}

// buildCombine makes the weighted sum over the views, sum = w[0]*y[0], then
// sum = sum + w[v]*y[v], the weights adding up to 1.
func (e *Evaluator) buildCombine(n, classes int) (err error) {
	if e.sum, err = e.dev.NewTensor(device.Float32, n, classes); err != nil {
		return err
	}
	total := float32(0)
	for _, v := range e.views {
		total += v.weight()
	}
	for i, v := range e.views {
		spec := device.CombineSpec{Len: n * classes, Alpha: 1, Beta: v.weight() / total}
		if i == 0 {
			spec.Alpha, spec.Beta = spec.Beta, 0
		}
		plan, err := e.dev.NewCombine(spec)
		if err != nil {
			return err
		}
		e.combine = append(e.combine, plan)
	}
	return nil
}

func (v View) weight() float32 {
	if v.Weight == 0 {
		return 1
	}
	return v.Weight
}

// plain are the views of an image as it is.
var plain = []View{{Weight: 1}}

// Evaluate runs the network over the whole set, in order, all views of each image. progress, unless nil, is called
// after every batch with the images done. When ctx is cancelled it returns ctx's error. The
// network's Stats are overwritten.
func (e *Evaluator) Evaluate(ctx context.Context, progress func(done int)) (*Evaluation, error) {
	return e.evaluate(ctx, e.views, progress)
}

// evaluate is Evaluate with the evaluator's views, or the plain one.
func (e *Evaluator) evaluate(ctx context.Context, views []View, progress func(done int)) (*Evaluation, error) {
	classes := e.net.Classes()
	result := &Evaluation{Confusion: make([][]int, classes)}
	for i := range result.Confusion {
		result.Confusion[i] = make([]int, classes)
	}
	if err := e.dev.Upload(e.net.Stats(), device.Bytes(e.zero[:])); err != nil {
		return nil, fmt.Errorf("evaluation: %w", err)
	}
	e.loader.Start(0, 0)
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		b, err := e.loader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("evaluation: %w", err)
		}
		err = e.batch(b, views, result)
		e.loader.Release(b)
		if err != nil {
			return nil, fmt.Errorf("evaluation: %w", err)
		}
		if progress != nil {
			progress(result.Count)
		}
	}
	result.Loss /= float64(result.Count)
	result.Accuracy = float64(result.Correct) / float64(result.Count)
	return result, nil
}

// batch adds a batch to the result.
func (e *Evaluator) batch(b *data.Batch, views []View, result *Evaluation) error {
	e.input.SetRows(b.N)
	e.images.SetRows(b.N)
	e.labels.SetRows(b.N)
	if err := e.dev.Upload(e.images, b.Images); err != nil {
		return err
	}
	if err := e.dev.Upload(e.labels, device.Bytes(b.Labels)); err != nil {
		return err
	}
	outputs := e.forward(b.N, views)
	e.net.Loss(e.labels)
	loss, correct, count, err := collect(e.net, e.stats[:], e.zero[:])
	if err != nil {
		return err
	}
	result.Loss += loss
	result.Correct += correct
	result.Count += count

	classes := e.net.Classes()
	host := e.outputs[:b.N*classes]
	if err := e.dev.Download(device.Bytes(host), outputs); err != nil {
		return err
	}
	for i, label := range b.Labels {
		if label < 0 || int(label) >= classes {
			return fmt.Errorf("image %d has the label %d, need 0 to %d", b.IDs[i], label, classes-1)
		}
		result.Confusion[label][largest(host[i*classes:(i+1)*classes])]++
	}
	return nil
}

// forward computes the outputs for n images, averaged over the views, in the network's own
// buffer, where its loss looks for them.
func (e *Evaluator) forward(n int, views []View) *device.Tensor {
	var outputs *device.Tensor
	for i, v := range views {
		e.augment.Normalize(e.input, e.images, nil, v.DY, v.DX, v.Mirror)
		outputs = e.net.Forward(e.input, nn.Inference)
		if len(views) == 1 {
			return outputs
		}
		e.sum.SetRows(n)
		if i == 0 {
			e.combine[i].Run(e.sum, outputs, nil)
		} else {
			e.combine[i].Run(e.sum, e.sum, outputs)
		}
	}
	e.dev.Copy(outputs, e.sum)
	return outputs
}

// largest returns the index of the first largest element.
func largest(x []float32) int {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return best
}

// Close ends the goroutines that read the set.
func (e *Evaluator) Close() { e.loader.Close() }
