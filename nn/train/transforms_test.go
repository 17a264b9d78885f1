package train

import (
	"math"
	"slices"
	"strings"
	"testing"

	"trainer/nn/augment"
	"trainer/nn/data"
	"trainer/nn/device"
)

// withTransforms is everything with a list of transforms.
func withTransforms(t testing.TB, list augment.List) Config {
	cfg := everything(t)
	cfg.Augment = Augment{Mean: cfg.Augment.Mean, Std: cfg.Augment.Std, Transforms: list}
	return cfg
}

// trainedWeights returns the weights after a training, and the loss.
func trainedWeights(t *testing.T, cfg Config) ([]float32, float64) {
	t.Helper()
	result, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	var all []float32
	for _, p := range result.Network.Params() {
		w := make([]float32, p.Value.Len())
		if err := cfg.Device.Download(device.Bytes(w), p.Value); err != nil {
			t.Fatal(err)
		}
		all = append(all, w...)
	}
	return all, result.FinalLoss
}

// A list that the short form can express trains to the bits of the short form.
func TestShortFormOfTransforms(t *testing.T) {
	want, _ := trainedWeights(t, everything(t))
	got, _ := trainedWeights(t, withTransforms(t, augment.List{
		{Transform: augment.AlternatingFlip{}}, {Transform: augment.Shift{Max: 1}}, {Transform: augment.Cutout{Size: 2}},
	}))
	if !slices.Equal(got, want) {
		t.Error("the list and the short form train to different weights")
	}
}

// mixing is a list with transforms of all sorts, including one that mixes images.
func mixing() augment.List {
	return augment.List{
		{Transform: augment.Flip{}}, {Transform: augment.Rotate{Max: 10}}, {Transform: augment.Contrast{}, P: 0.5},
		{Transform: augment.CutMix{}, P: 0.5}, {Transform: augment.Mixup{Alpha: 1}},
	}
}

// Training with mixed images and labels gives the same bits with any number of threads, and the loss falls so far that the
// mixed labels must have been learnt.
func TestMixedImagesTrain(t *testing.T) {
	var want []float32
	for _, threads := range []int{1, 3} {
		cfg := withTransforms(t, mixing())
		cfg.Device = newCPU(t, threads)
		got, loss := trainedWeights(t, cfg)
		if want == nil {
			want = got
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d threads give other weights than one", threads)
		}
		if !(loss < math.Log(3)) {
			t.Errorf("the loss is %v, no better than guessing", loss)
		}
	}
}

// The targets of a step are the drawn shares.
func TestTargets(t *testing.T) {
	cfg := withTransforms(t, augment.List{{Transform: augment.Mixup{Alpha: 1}}})
	s, err := NewStepper(cfg)
	if err != nil {
		t.Fatal(err)
	}
	in := s.now.input.(*hostInput)
	set := cfg.Data.Train.(*data.InMemory)
	if err := s.Step(&data.Batch{N: 4, Images: set.Images[:4*64], Labels: []int32{0, 1, 2, 2}, IDs: []int32{0, 1, 2, 5}}); err != nil {
		t.Fatal(err)
	}
	targets := make([]float32, 4*3)
	if err := cfg.Device.Download(device.Bytes(targets), in.transforms.targets); err != nil {
		t.Fatal(err)
	}
	labels := []int{0, 1, 2, 2}
	columns := in.transforms.drawer.Columns()
	for i := range 4 {
		var want [3]float32
		want[labels[i]] += in.transforms.table[i*columns+7]
		want[labels[(i+1)%4]] += in.transforms.table[i*columns+8]
		if got := targets[3*i:][:3]; !slices.Equal(got, want[:]) || math.Abs(float64(got[0]+got[1]+got[2])-1) > 1e-6 {
			t.Errorf("the targets of image %d are %v, want %v", i, got, want)
		}
	}
}

// Messages about mistakes in a list name the transform and the setting.
func TestTransformMistakes(t *testing.T) {
	for want, list := range map[string]augment.List{
		"transform 2 (hue): max is 3": {{Transform: augment.Flip{}}, {Transform: augment.Hue{Max: 3}}},
		"p is 1.5":                    {{Transform: augment.Flip{}, P: 1.5}},
		"transform 1 is nil":          {{}},
	} {
		if _, err := NewStepper(withTransforms(t, list)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	cfg := everything(t)
	cfg.Augment.Transforms = augment.List{{Transform: augment.Hue{}}}
	if _, err := NewStepper(cfg); err == nil || !strings.Contains(err.Error(), "alternating-flip") {
		t.Errorf("short form and list: %v", err)
	}
}

func TestStepWithTransformsAllocatesNothing(t *testing.T) {
	cfg := withTransforms(t, mixing())
	cfg.Epochs = 20
	stepsAllocateNothing(t, cfg, 25)
}

// A training that is stopped after a few steps and resumed ends with the bits of a training that was not stopped.
func TestResumeWithTransforms(t *testing.T) {
	want, _ := trainedWeights(t, withTransforms(t, mixing()))
	cfg := withTransforms(t, mixing())
	cfg.Resume = stopAt(t, withTransforms(t, mixing()), 27)
	got, _ := trainedWeights(t, cfg)
	if !slices.Equal(got, want) {
		t.Error("other weights after a stop")
	}
}
