package train

import (
	"context"
	"math"
	"slices"

	"trainer/nn/data"
	"trainer/nn/metric"
)

// Views of an image seldom change an answer that is certain. With a share below 1, an evaluation takes each image as it is,
// then all views of that share of the images whose most probable class has the lowest probability. The results of these
// images replace those of the first pass:
//
//	sum over the set = sum of plain images - sum of plain uncertain images + sum of viewed uncertain images
//
// for losses and correct answers alike. With a quarter of the images and six views that is 2.75 passes in place of 6.

// SetViewsShare makes evaluations take views only of the share of images, above 0 and up to 1, whose answers are least
// certain without them.
func (e *Evaluator) SetViewsShare(share float64) { e.share = share }

// sharesViews reports whether an evaluation with the views takes them of some images only.
func (e *Evaluator) sharesViews(views []TTAView) bool {
	return len(views) > 1 && e.share > 0 && e.share < 1
}

// evaluateShare evaluates the set with views of the least certain images.
func (e *Evaluator) evaluateShare(ctx context.Context, views []TTAView, answers bool, progress func(done int)) (*Evaluation, error) {
	whole, err := e.pass(ctx, plain, true, progress)
	if err != nil {
		return nil, err
	}
	uncertain := leastCertain(whole.Answers, e.share)
	if len(uncertain) == 0 {
		return whole, nil
	}
	restore, err := e.restrict(uncertain)
	if err != nil {
		return nil, err
	}
	defer restore()
	before, err := e.pass(ctx, plain, false, nil)
	if err != nil {
		return nil, err
	}
	after, err := e.pass(ctx, views, true, nil)
	if err != nil {
		return nil, err
	}
	whole.replace(before, after)
	if !answers {
		whole.Answers = nil
	}
	return whole, nil
}

// leastCertain returns the indices, in ascending order, of the share of images whose answers have the lowest probability,
// of equal ones the first.
func leastCertain(answers []metric.Answer, share float64) []int {
	sorted := slices.Clone(answers)
	slices.SortStableFunc(sorted, func(a, b metric.Answer) int {
		switch {
		case a.Probability < b.Probability || math.IsNaN(a.Probability) && !math.IsNaN(b.Probability):
			return -1
		case a.Probability > b.Probability || math.IsNaN(b.Probability) && !math.IsNaN(a.Probability):
			return 1
		}
		return 0
	})
	images := make([]int, int(math.Round(share*float64(len(answers)))))
	for i := range images {
		images[i] = sorted[i].Image
	}
	slices.Sort(images)
	return images
}

// restrict makes the following passes take only the images with the given indices, until restore is called.
func (e *Evaluator) restrict(images []int) (restore func(), err error) {
	loader, err := data.NewLoader(data.LoaderConfig{Set: data.Subset(e.set, images), Batch: e.net.Batch(), IDsOnly: e.input.resident()})
	if err != nil {
		return nil, err
	}
	all := e.loader
	e.loader, e.images = loader, images
	return func() {
		loader.Close()
		e.loader, e.images = all, nil
	}, nil
}

// inSet returns a batch of a restricted loader with the images' indices in the set.
func (e *Evaluator) inSet(b *data.Batch) *data.Batch {
	if e.images == nil {
		return b
	}
	of := *b
	of.IDs = make([]int32, b.N)
	for i, id := range b.IDs[:b.N] {
		of.IDs[i] = int32(e.images[id])
	}
	return &of
}

// replace replaces the results of some images: before are those that the evaluation has, and after the new ones.
func (e *Evaluation) replace(before, after *Evaluation) {
	e.lossSum += after.lossSum - before.lossSum
	e.weight += after.weight - before.weight
	e.Correct += after.Correct - before.Correct
	e.finish()
	for i := range e.Confusion {
		for k := range e.Confusion[i] {
			e.Confusion[i][k] += after.Confusion[i][k] - before.Confusion[i][k]
		}
	}
	next := 0
	for i, a := range e.Answers {
		if next < len(after.Answers) && after.Answers[next].Image == a.Image {
			e.Answers[i] = after.Answers[next]
			next++
		}
	}
}
