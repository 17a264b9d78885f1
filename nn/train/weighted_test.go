package train

import (
	"context"
	"math"
	"reflect"
	"testing"

	"trainer/nn"
	"trainer/nn/data"
)

// weightedSet is a data set whose images have weights.
type weightedSet struct {
	*data.InMemory
	weight func(i int) float32
}

func (s weightedSet) Weight(i int) float32 { return s.weight(i) }

// Images of weight 0 change nothing: training on a set in which some images weigh 0 and the rest 2 has the same steps, losses
// and accuracy as a loss that ignores the classes of the former, because the means are over the same images.
func TestExampleWeights(t *testing.T) {
	ignored := everything(t)
	ignored.Loss = nn.CrossEntropy{LossWeights: nn.LossWeights{IgnoreIndex: new(int32(1))}}
	want, err := Run(context.Background(), ignored)
	if err != nil {
		t.Fatal(err)
	}
	weighted := everything(t)
	weighted.Loss = nn.CrossEntropy{LossWeights: nn.LossWeights{IgnoreIndex: new(int32(-100))}}
	set := stripes(156, 1)
	weighted.Data.Train = weightedSet{set, func(i int) float32 {
		if set.Labels[i] == 1 {
			return 0
		}
		return 2
	}}
	got, err := Run(context.Background(), weighted)
	if err != nil {
		t.Fatal(err)
	}
	for i, h := range got.History {
		if w := want.History[i].TrainLoss; math.Abs(h.TrainLoss-w) > 1e-4*w {
			t.Errorf("epoch %d: the loss is %v, with ignored images %v", i+1, h.TrainLoss, w)
		}
	}
	if got.TestCount != 50 || want.TestCount != 50-16-1 { // a third of the test images is of class 1
		t.Errorf("%d test images count, %d with an ignored class", got.TestCount, want.TestCount)
	}
	for class, row := range want.Confusion {
		sum := 0
		for _, n := range row {
			sum += n
		}
		if (sum == 0) != (class == 1) {
			t.Errorf("confusion of class %d: %v", class, row)
		}
	}
}

// Balanced class weights are computed from the training images, and a run that is stopped and resumed ends with the same
// bits.
func TestBalancedClassWeights(t *testing.T) {
	cfg := everything(t)
	set := stripes(156, 1)
	set.Labels, set.Images = set.Labels[:155], set.Images[:155*64] // 52, 52 and 51 images
	cfg.Data.Train = set
	cfg.Loss = nn.CrossEntropy{LossWeights: nn.LossWeights{Balanced: true}}
	balanced, err := Run(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	given := everything(t)
	given.Data.Train = set
	given.Loss = nn.CrossEntropy{LossWeights: nn.LossWeights{ClassWeights: []float32{155.0 / 3 / 52, 155.0 / 3 / 52, 155.0 / 3 / 51}}}
	same, err := Run(context.Background(), given)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(weights(t, balanced.Network), weights(t, same.Network)) {
		t.Error("balanced weights are not n/(classes n[k])")
	}
}

// The sums of an old checkpoint have no weight, because all examples counted equally then.
func TestOldTotals(t *testing.T) {
	if got := (totals{Loss: 6, Count: 3}).withWeight(); got.Weight != 3 {
		t.Errorf("weight %v, want 3", got.Weight)
	}
	if got := (totals{Loss: 6, Count: 3, Weight: 1.5}).withWeight(); got.Weight != 1.5 {
		t.Errorf("weight %v, want 1.5", got.Weight)
	}
}
