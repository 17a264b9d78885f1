package nn_test

import (
	"strings"
	"testing"

	"trainer/nn"
	"trainer/nn/device"
)

// TestOneValuePerChannel compiles networks that normalise over the batch. If an example has one value per channel, a
// batch of one is refused: in training, not in inference.
func TestOneValuePerChannel(t *testing.T) {
	dev := newCPU(t)
	vectors := nn.NewSequential(nn.Flatten{}, nn.Dense{Out: 3}, nn.BatchNorm{}, nn.ReLU{})
	images := nn.NewSequential(nn.BatchNorm{}, nn.Flatten{}, nn.Dense{Out: 3})
	pixels := nn.NewSequential(nn.GlobalAvgPool{}, nn.Residual{Body: nn.NewSequential(nn.BatchNorm{})}, nn.Flatten{}, nn.Dense{Out: 3})
	for _, c := range []struct {
		name     string
		model    nn.Layer
		training bool
		smallest int
	}{
		{"vectors", vectors, true, 2}, {"vectors in inference", vectors, false, 1},
		{"images", images, true, 1}, {"no normalisation", nn.NewSequential(nn.Flatten{}, nn.Dense{Out: 3}), true, 1},
	} {
		options := nn.Options{Input: nn.Shape{2, 2, 1}, Batch: 2, Training: c.training, Loss: nn.CrossEntropy{}}
		n, err := nn.Compile(dev, c.model, options)
		if err != nil {
			t.Fatal(err)
		}
		if n.SmallestBatch() != c.smallest || n.NormalizesOverBatch() != (c.training && c.name != "no normalisation") {
			t.Errorf("%s: smallest batch %d, normalises %v", c.name, n.SmallestBatch(), n.NormalizesOverBatch())
		}
		options.Batch = 1
		if _, err := nn.Compile(dev, c.model, options); (err == nil) != (c.smallest == 1) {
			t.Errorf("%s: a batch of 1: %v", c.name, err)
		}
	}
	if _, err := nn.Compile(dev, pixels, nn.Options{Input: nn.Shape{2, 2, 1}, Batch: 1, Training: true, Loss: nn.CrossEntropy{}}); err == nil ||
		!strings.Contains(err.Error(), "one value per channel") {
		t.Errorf("a batch of 1 in a container: %v", err)
	}

	n, err := nn.Compile(dev, vectors, nn.Options{Input: nn.Shape{2, 2, 1}, Batch: 2, Training: true, Loss: nn.CrossEntropy{}})
	if err != nil {
		t.Fatal(err)
	}
	x, err := dev.NewTensor(device.Float32, 1, 2, 2, 1)
	if err != nil {
		t.Fatal(err)
	}
	n.Forward(x, nn.Inference)
	defer func() {
		if p, _ := recover().(string); !strings.Contains(p, "want at least 2 rows in training") {
			t.Errorf("panic %q", p)
		}
	}()
	n.Forward(x, nn.Training)
}
