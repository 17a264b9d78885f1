package train

import (
	"context"
	"errors"
	"fmt"

	"trainer/nn"
	"trainer/nn/data"
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

// Evaluation is the result of evaluating a network on a set.
type Evaluation struct {
	Loss      float64 // mean over the set
	Accuracy  float64 // 0 to 1
	Correct   int
	Count     int     // images whose label is not ignored
	Confusion [][]int // [class][answer]; nil with more than MaxConfusionClasses classes
}

// MaxConfusionClasses is the largest number of classes for which an evaluation counts the answers of each class: the
// counts take 8 bytes times its square, 32 MiB.
const MaxConfusionClasses = 2048

// newConfusion returns a matrix of zeros, or nil for too many classes.
func newConfusion(classes int) [][]int {
	if classes > MaxConfusionClasses {
		return nil
	}
	counts := make([][]int, classes)
	for i := range counts {
		counts[i] = make([]int, classes)
	}
	return counts
}

// Evaluator evaluates one network on one set. The network must have been compiled with a
// loss; training networks do.
type Evaluator struct {
	net     *nn.Network
	dev     device.Device
	views   []TTAView
	set     data.Set
	loader  *data.Loader
	input   input
	combine []device.WeightedSum // adds each view's outputs to sum; empty with a single view
	sum     *device.Tensor       // float32 [batch, classes], with several views

	batches [maxRequests]answers
	oldest  int     // index of the oldest pending batch
	pending int     // number of pending batches
	done    int     // images in batches already taken
	weight  float64 // sum of the taken images' weights, by which the loss is divided

	outputs []float32 // of a batch
	stats   [device.StatsLen]float32
}

// NewEvaluator allocates what evaluation needs in addition to the network. mean and std normalise the images. Without
// views, each image is evaluated as it is. If the device should hold data sets and has room, the first evaluation
// copies the whole set.
func NewEvaluator(net *nn.Network, set data.Set, mean, std []float32, views []TTAView) (*Evaluator, error) {
	h, w, c := set.ImageShape()
	if err := checkViews(views, h, w); err != nil {
		return nil, err
	}
	if len(views) == 0 {
		views = plain
	}
	e := &Evaluator{net: net, dev: net.Device(), views: views, set: set}
	err := e.build(device.AugmentSpec{N: net.Batch(), H: h, W: w, C: c, DType: net.DType(), Mean: mean, Std: std})
	if err != nil {
		e.Close()
		return nil, fmt.Errorf("evaluation: %w", err)
	}
	return e, nil
}

func (e *Evaluator) build(s device.AugmentSpec) (err error) {
	if e.input, err = newInput(e.dev, e.set, s, nil); err != nil {
		return err
	}
	classes := e.net.Classes()
	if len(e.views) > 1 {
		if err := e.buildCombine(s.N, classes); err != nil {
			return err
		}
	}
	e.outputs = make([]float32, s.N*classes)
	for i := range e.batches {
		if err := e.batches[i].build(e.dev, s.N, classes); err != nil {
			return err
		}
	}
	e.loader, err = data.NewLoader(data.LoaderConfig{Set: e.set, Batch: s.N, IDsOnly: e.input.resident()})
	return err
}

// buildCombine makes the plans for the weighted sum over the views, sum = w[0]*y[0], then
// sum = sum + w[v]*y[v], with weights that add up to 1.
func (e *Evaluator) buildCombine(n, classes int) (err error) {
	if e.sum, err = e.dev.NewTensor(device.Float32, n, classes); err != nil {
		return err
	}
	total := float32(0)
	for _, v := range e.views {
		total += v.weight()
	}
	for i, v := range e.views {
		spec := device.WeightedSumSpec{Len: n * classes, Alpha: 1, Beta: v.weight() / total}
		if i == 0 {
			spec.Alpha, spec.Beta = spec.Beta, 0
		}
		plan, err := e.dev.NewWeightedSum(spec)
		if err != nil {
			return err
		}
		e.combine = append(e.combine, plan)
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

// Evaluate runs the network over the whole set, in order, all views of each image. progress, unless nil, is called
// after every batch with the number of images done. If ctx is cancelled, Evaluate returns ctx's error. The network's
// Stats are overwritten.
func (e *Evaluator) Evaluate(ctx context.Context, progress func(done int)) (*Evaluation, error) {
	return e.evaluate(ctx, e.views, progress)
}

// evaluate is Evaluate with the evaluator's views or with the plain view.
func (e *Evaluator) evaluate(ctx context.Context, views []TTAView, progress func(done int)) (*Evaluation, error) {
	result := &Evaluation{Confusion: newConfusion(e.net.Classes())}
	err := e.input.load(ctx)
	if err == nil {
		e.dev.Zero(e.net.Stats())
		e.done, e.weight = 0, 0
		err = e.run(ctx, views, progress, result)
	}
	if err != nil {
		e.abandon()
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			return nil, err
		}
		return nil, fmt.Errorf("evaluation: %w", err)
	}
	result.Loss = mean(result.Loss, e.weight)
	result.Accuracy = mean(float64(result.Correct), float64(result.Count))
	return result, nil
}

// memory returns the bytes on the device, without the network's.
func (e *Evaluator) memory() int64 {
	n := e.input.memory()
	if e.sum != nil {
		n += int64(e.sum.MaxRows()) * int64(e.sum.RowLen()) * int64(device.Float32.Size())
	}
	return n
}

// Close stops the goroutines that read the set, and releases the downloads.
func (e *Evaluator) Close() {
	if e.loader != nil {
		e.loader.Close()
	}
	for _, a := range e.batches {
		for _, f := range []device.AsyncDownload{a.stats, a.outputs} {
			if f != nil {
				_ = f.Close() // any fault has been reported elsewhere
			}
		}
	}
}
