package train

import (
	"context"
	"fmt"
	"testing"

	"trainer/nn"
)

// With very many classes the confusion matrix would be larger than everything else, so there is none; the accuracy is still
// computed.
func TestManyClasses(t *testing.T) {
	for classes, matrix := range map[int]bool{MaxConfusionClasses: true, MaxConfusionClasses + 1: false} {
		cfg := everything(t)
		names := make([]string, classes)
		for i := range names {
			names[i] = fmt.Sprint(i)
		}
		train, test := stripes(30, 1), stripes(30, 2)
		train.ClassNames, test.ClassNames = names, names
		cfg.Data.Train, cfg.Data.Test = train, test
		cfg.Model, cfg.Epochs = nn.NewSequential(nn.Flatten{}, nn.Dense{Out: classes}), 1
		r, err := Run(context.Background(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if r.TestCount != 30 || (r.Confusion != nil) != matrix {
			t.Errorf("%d classes: %d test images, a matrix of %d", classes, r.TestCount, len(r.Confusion))
		}
	}
}
