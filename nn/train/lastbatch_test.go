package train

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"trainer/nn"
	"trainer/nn/data"
)

// normalized is a configuration with batch normalisation of images, or of vectors if there is one value per channel.
func normalized(t testing.TB, images, batch int, vectors bool) Config {
	cfg := everything(t)
	cfg.Data = &data.Dataset{Name: "stripes", Train: stripes(images, 1)}
	cfg.Batch, cfg.Epochs = batch, 2
	layers := []nn.Layer{nn.Conv2D{OutC: 4, Kernel: nn.Square(3)}, nn.BatchNorm{}, nn.ReLU{}, nn.Flatten{}, nn.Dense{Out: 3}}
	if vectors {
		layers = []nn.Layer{nn.Flatten{}, nn.Dense{Out: 6}, nn.BatchNorm{}, nn.ReLU{}, nn.Dense{Out: 3}}
	}
	cfg.Model = nn.NewSequential(layers...)
	return cfg
}

// TestLastBatch counts the steps of an epoch, and the images that the default leaves out.
func TestLastBatch(t *testing.T) {
	plain := nn.NewSequential(nn.Flatten{}, nn.Dense{Out: 3})
	for _, c := range []struct {
		name          string
		images, batch int
		vectors       bool
		model         nn.Layer // nil: with batch normalisation
		last          LastBatch
		steps         int
		dropped       int
		says          string
	}{
		{"an eighth", 34, 16, false, nil, "", 3, 0, ""},
		{"under an eighth", 33, 16, false, nil, "", 2, 1, ""},
		{"kept", 33, 16, false, nil, KeepLastBatch, 3, 0, ""},
		{"dropped", 34, 16, false, nil, DropLastBatch, 2, 0, ""},
		{"no batch normalisation", 33, 16, false, plain, "", 3, 0, ""},
		{"no last batch", 32, 16, false, nil, "", 2, 0, ""},
		{"one image", 9, 4, false, nil, "", 3, 0, ""},
		{"one vector", 9, 4, true, nil, "", 2, 1, ""},
		{"two vectors", 10, 4, true, nil, "", 3, 0, ""},
		{"one vector kept", 9, 4, true, nil, KeepLastBatch, 0, 0,
			`last-batch: an epoch of 9 images ends with a batch of 1, which has one value per channel to normalise: use last-batch = "drop", or another batch than 4`},
		{"batches of one image", 9, 1, false, nil, "", 9, 0, ""},
		{"batches of one vector", 9, 1, true, nil, "", 0, 0,
			"layer norm1: a batch of 1 has one value per channel to normalise, needs 2 or more: use a larger batch, or group-norm or layer-norm"},
	} {
		cfg := normalized(t, c.images, c.batch, c.vectors)
		cfg.LastBatch = c.last
		if c.model != nil {
			cfg.Model = c.model
		}
		sum, err := DryRun(cfg)
		switch {
		case c.says != "" && (err == nil || err.Error() != c.says):
			t.Errorf("%s: %v, want %s", c.name, err, c.says)
		case c.says == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.says == "" && (sum.StepsPerEpoch != c.steps || sum.Dropped != c.dropped):
			t.Errorf("%s: %d steps per epoch, %d images dropped, want %d and %d", c.name, sum.StepsPerEpoch, sum.Dropped, c.steps, c.dropped)
		}
	}
}

// TestResumeKeepsTheLastBatch resumes runs that say what to do with the last batch with a configuration that doesn't, like
// the configurations of older versions, whose default was to keep the last batch.
func TestResumeKeepsTheLastBatch(t *testing.T) {
	for _, last := range []LastBatch{KeepLastBatch, DropLastBatch} {
		configure := func() Config {
			cfg := normalized(t, 33, 16, false)
			cfg.LastBatch = last
			return cfg
		}
		straight, err := Run(t.Context(), configure())
		if err != nil {
			t.Fatal(err)
		}
		cfg := configure()
		cfg.LastBatch, cfg.Resume = DefaultLastBatch, stopAt(t, configure(), 2)
		r, err := Run(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(weights(t, r.Network), weights(t, straight.Network)) {
			t.Errorf("%s: the weights differ", last)
		}
		cfg.LastBatch = map[LastBatch]LastBatch{KeepLastBatch: DropLastBatch, DropLastBatch: KeepLastBatch}[last]
		var mismatch *MismatchError
		if _, err := Run(t.Context(), cfg); !errors.As(err, &mismatch) || !strings.Contains(err.Error(), "drop last") {
			t.Errorf("%s changed to %s: %v", last, cfg.LastBatch, err)
		}
	}
}
