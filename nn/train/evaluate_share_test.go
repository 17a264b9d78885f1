package train

import (
	"math"
	"reflect"
	"slices"
	"testing"

	"trainer/nn"
	"trainer/nn/device"
	"trainer/nn/metric"
)

// If only a share of the images is evaluated with views, these are the least certain images. They have the answers of an
// evaluation with views, and the others the answers of one without.
func TestViewsShare(t *testing.T) {
	for name, dev := range map[string]device.Device{"images on the host": newCPU(t, 2), "images on the device": newFakeGPU(t)} {
		t.Run(name, func(t *testing.T) {
			cfg := everything(t)
			cfg.Device, cfg.Epochs = dev, 0.3
			r, err := Run(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			evaluate := func(views []TTAView, share float64) *Evaluation {
				e, err := NewEvaluator(r.Network, cfg.Data.Test, r.Mean, r.Std, views)
				if err != nil {
					t.Fatal(err)
				}
				defer e.Close()
				e.SetViewsShare(share)
				result, err := e.Evaluate(t.Context(), nil)
				if err != nil {
					t.Fatal(err)
				}
				return result
			}
			none, all, some := evaluate(nil, 0), evaluate(cfg.TTA, 1), evaluate(cfg.TTA, 0.3)
			chosen := leastCertain(none.Answers, 0.3)
			if len(chosen) != 15 {
				t.Fatalf("%d images of 50 have views, want 15", len(chosen))
			}
			correct := 0
			for i, got := range some.Answers {
				want := none.Answers[i]
				if slices.Contains(chosen, i) {
					want = all.Answers[i]
				}
				if got.Image != want.Image || got.Class != want.Class || math.Abs(got.Probability-want.Probability) > 1e-6 {
					t.Errorf("the answer to image %d is %+v, want %+v", i, got, want)
				}
				if got.Correct() {
					correct++
				}
			}
			if correct != some.Correct || some.Accuracy != float64(correct)/50 || some.Count != 50 {
				t.Errorf("%d of %d correct (%v), want %d of 50", some.Correct, some.Count, some.Accuracy, correct)
			}
			if reflect.DeepEqual(some.Answers, none.Answers) || reflect.DeepEqual(some.Answers, all.Answers) {
				t.Error("the share makes no difference")
			}
			onDiagonal, sum := 0, 0
			for i, row := range some.Confusion {
				for k, n := range row {
					sum += n
					if i == k {
						onDiagonal += n
					}
				}
			}
			if onDiagonal != correct || sum != 50 {
				t.Errorf("the confusion %v has %d of %d on the diagonal, want %d of 50", some.Confusion, onDiagonal, sum, correct)
			}
		})
	}
}

// The loss is the mean over the set, of each image's loss with or without views.
func TestViewsShareLoss(t *testing.T) {
	cfg := everything(t)
	cfg.Loss, cfg.Epochs = nn.CrossEntropy{}, 0.3
	cfg.TTAShare = 0.5
	r, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	loss := 0.0
	for _, a := range r.TestAnswers {
		loss += a.Loss / 50
	}
	if math.Abs(loss-r.TestLoss) > 1e-5*loss {
		t.Errorf("the loss is %v, want %v", r.TestLoss, loss)
	}
}

func TestLeastCertain(t *testing.T) {
	var answers []metric.Answer
	for i, p := range []float64{0.9, 0.5, math.NaN(), 0.5, 0.4, 0.99} {
		answers = append(answers, metric.Answer{Image: 2 * i, Probability: p})
	}
	if got, want := leastCertain(answers, 0.5), []int{2, 4, 8}; !slices.Equal(got, want) {
		t.Errorf("the least certain are %v, want %v", got, want)
	}
	if got := leastCertain(answers, 0.01); len(got) != 0 {
		t.Errorf("the least certain hundredth of 6 images is %v, want none", got)
	}
}
