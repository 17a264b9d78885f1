package train

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/metric"
)

// Evaluation is the result of evaluating a network on a set.
type Evaluation struct {
	Loss      float64 // mean over the set
	Accuracy  float64 // 0 to 1
	Correct   int
	Count     int     // images whose label is not ignored
	Confusion [][]int // [class][answer]; nil with more than MaxConfusionClasses classes
	// Answers has the answer to each image, except those whose label is ignored, in the order of the set.
	Answers []metric.Answer

	lossSum, weight float64 // Loss is their quotient
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
	net    *nn.Network
	dev    device.Device
	views  *viewedOutputs
	set    data.Set
	loader *data.Loader
	input  input

	batches [maxRequests]answers
	oldest  int // index of the oldest pending batch
	pending int // number of pending batches
	done    int // images in batches already taken

	share  float64 // of the images that get views; 0 means all
	images []int   // the images that the loader delivers; nil means the whole set

	outputs []float32 // of a batch

	ranks *evaluationRanks // nil if no other process takes part
}

// NewEvaluator allocates what evaluation needs in addition to the network. mean and std normalise the images. Without
// views, each image is evaluated as it is. If the device should hold data sets and has room, the first evaluation
// copies the whole set.
func NewEvaluator(net *nn.Network, set data.Set, mean, std []float32, views []TTAView) (*Evaluator, error) {
	return newEvaluator(net, set, mean, std, views, nil)
}

// newEvaluator is NewEvaluator with what trainings share.
func newEvaluator(net *nn.Network, set data.Set, mean, std []float32, views []TTAView, shared *Shared) (*Evaluator, error) {
	h, w, c := set.ImageShape()
	if err := checkViews(views, h, w); err != nil {
		return nil, err
	}
	e := &Evaluator{net: net, dev: net.Device(), set: set}
	err := e.build(views, device.AugmentSpec{N: net.Batch(), H: h, W: w, C: c, DType: net.DType(), Mean: mean, Std: std}, shared)
	if err != nil {
		e.Close()
		return nil, fmt.Errorf("evaluation: %w", err)
	}
	return e, nil
}

func (e *Evaluator) build(views []TTAView, s device.AugmentSpec, shared *Shared) (err error) {
	if e.input, err = newInput(e.dev, e.set, s, nil, shared); err != nil {
		return err
	}
	if e.views, err = newViewedOutputs(e.net, views); err != nil {
		return err
	}
	classes := e.net.Classes()
	e.outputs = make([]float32, s.N*classes)
	for i := range e.batches {
		if err := e.batches[i].build(e.dev, s.N, classes); err != nil {
			return err
		}
	}
	e.loader, err = data.NewLoader(data.LoaderConfig{Set: e.set, Batch: s.N, IDsOnly: e.input.resident()})
	return err
}

// Evaluate runs the network over the whole set, in order, all views of each image. progress, unless nil, is called
// after every batch with the number of images done. If ctx is cancelled, Evaluate returns ctx's error. The network's
// Stats are overwritten.
func (e *Evaluator) Evaluate(ctx context.Context, progress func(done int)) (*Evaluation, error) {
	return e.evaluate(ctx, e.views.views, true, progress)
}

// evaluate is Evaluate with the evaluator's views or with the plain view, and without the answers unless they are asked
// for.
func (e *Evaluator) evaluate(ctx context.Context, views []TTAView, answers bool, progress func(done int)) (*Evaluation, error) {
	if e.sharesViews(views) {
		return e.evaluateShare(ctx, views, answers, progress)
	}
	return e.pass(ctx, views, answers, progress)
}

// newEvaluation returns an evaluation of no images, which keeps answers if they are wanted.
func (e *Evaluator) newEvaluation(answers bool) *Evaluation {
	result := &Evaluation{Confusion: newConfusion(e.net.Classes())}
	if answers {
		result.Answers = make([]metric.Answer, 0, e.set.Len())
	}
	return result
}

// pass runs the network once over the images of the loader.
func (e *Evaluator) pass(ctx context.Context, views []TTAView, answers bool, progress func(done int)) (*Evaluation, error) {
	result, err := e.passHere(ctx, views, answers, progress)
	if err != nil {
		if isAgreed(err) || ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			return nil, err
		}
		return nil, fmt.Errorf("evaluation: %w", err)
	}
	return result, nil
}

// passHere is pass in this process, or with the ranks that share evaluations.
func (e *Evaluator) passHere(ctx context.Context, views []TTAView, answers bool, progress func(done int)) (*Evaluation, error) {
	if e.ranks != nil {
		if err := e.ranks.begin(evaluationOrder{Views: !slices.Equal(views, plain), Answers: answers, Images: e.images}); err != nil {
			return nil, err
		}
		return e.passOverRanks(ctx, views, e.images, answers, progress)
	}
	result := e.newEvaluation(answers)
	err := e.input.load(ctx)
	if err == nil {
		e.dev.Zero(e.net.Stats())
		e.done = 0
		err = e.run(ctx, views, progress, result)
	}
	if err != nil {
		e.abandon()
		return nil, err
	}
	result.finish()
	return result, nil
}

// memory returns the bytes on the device, without the network's.
func (e *Evaluator) memory() int64 {
	return e.input.memory() + e.views.memory()
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
