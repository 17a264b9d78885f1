//go:build cuda && linux && cgo && (amd64 || arm64)

package training

import (
	"maps"
	"math"
	"slices"
	"testing"

	"trainer/gpu"
	"trainer/gpu/internal/emulated"
	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/recipe"
	"trainer/nn/train"
)

// Trainings in 16 bits compared with the same trainings in float32, on the software emulation (or a GPU).

// unitRoundoff is the largest relative error of one rounding to a 16-bit type.
func unitRoundoff(t device.DType) float64 {
	if t == device.BFloat16 {
		return 0x1p-8
	}
	return 0x1p-11
}

// mixedSteps is the number of steps in which precisions are compared.
const mixedSteps = 3

// TestMixedPrecisionParity trains each built-in recipe in 16 bits and in float32 on the same device.
func TestMixedPrecisionParity(t *testing.T) {
	for _, name := range recipe.NamesForDataSets() {
		t.Run(name, func(t *testing.T) {
			skipLong(t, name)
			d := anyDevice(t)
			batch := load(t, name).Batch
			if !emulated.OnGPU() {
				batch = smallBatch(t, name, 3*mixedSteps) // three trainings
			}
			cfg := recipeConfig(t, name, batch, mixedSteps)
			want := onGPU(t, d, cfg, mixedSteps)
			for _, dtype := range []device.DType{device.Float16, device.BFloat16} {
				t.Run(dtype.String(), func(t *testing.T) {
					cfg.DType = dtype
					compareRounded(t, onGPU(t, d, cfg, mixedSteps), want, unitRoundoff(dtype), roundedLossUnits(cfg))
				})
			}
		})
	}
}

// The bounds of trainings in 16 bits, in units of the roundoff u. They are two to five times the values measured on the
// software emulation, which are given in parentheses.
//
// One minus the cosine of two gradients is half the square of their relative distance. Rounding alone causes a distance of
// a few u. But as with float32 (see the bounds of gradients in parity_test.go), rounding changes which pixel of some
// pooling windows is the maximum, and the sign of some inputs of ReLU. The number of such pixels in each layer is
// proportional to u, and the gradient of each changes entirely. So the square of the distance is proportional to u, not to
// the square of u. The distance is largest for airbench96, which has the most layers.
const (
	firstLossUnits = 2  // relative difference of the first losses (0.4); in each later step three times as much (5 in the third)
	muonLossUnits  = 30 // the same after a first update by Muon (10), which magnifies the differences of a gradient (18 in the third)
	stateUnits     = 24 // difference of running statistics, relative to the largest (10)
	gradientUnits  = 40 // one minus the cosine of all gradients (17)
	parameterUnits = 80 // the same, of one parameter (30)
	lengthUnits    = 8  // relative difference between the lengths of all gradients (2.3)
)

// roundedLossUnits returns the bound of the losses' relative difference at a step, counted from 1.
func roundedLossUnits(cfg train.Config) func(step int) float64 {
	return func(step int) float64 {
		if step > 1 && !onlySGD(cfg.Optimizer) && cfg.Optimizer.Kind() == "sgd" { // groups with Muon
			return muonLossUnits * math.Pow(3, float64(step-2))
		}
		return firstLossUnits * math.Pow(3, float64(step-1))
	}
}

// compareRounded checks a training in 16 bits against one in float32; u is the unit roundoff, and lossUnits the bound of the
// losses.
func compareRounded(t *testing.T, got, want *trace, u float64, lossUnits func(step int) float64) {
	t.Helper()
	for name, w := range want.initial {
		if !slices.EqualFunc(got.initial[name], w, sameBits) {
			t.Errorf("%s differs before the first step: the weights themselves are float32", name)
		}
	}
	for i, w := range want.input {
		if off := math.Abs(float64(got.input[i]) - float64(w)); !(off <= u*math.Abs(float64(w))) {
			t.Fatalf("pixel %d of the first batch is %v, which is not %v rounded", i, got.input[i], w)
		}
	}
	compareDropouts(t, got.dropouts, want.dropouts)
	compareLosses(t, got.losses, want.losses, func(step int) float64 { return u * lossUnits(step) })
	for name, w := range want.state {
		off := differences(t, name, got.state[name], w)
		if largest := off[len(off)-1]; !(largest <= stateUnits*u) {
			t.Errorf("%s differs by %.2g of the largest, want at most %.2g", name, largest, stateUnits*u)
		}
	}
	compareDirections(t, got.gradients, want.gradients, u)
}

// compareDirections checks the angles between gradients, and their lengths.
func compareDirections(t *testing.T, got, want map[string][]float32, u float64) {
	t.Helper()
	if len(got) != len(want) || len(want) == 0 {
		t.Fatalf("%d parameters have gradients, want %d", len(got), len(want))
	}
	var all angle
	for _, name := range slices.Sorted(maps.Keys(want)) {
		var one angle
		one.add(got[name], want[name])
		all.add(got[name], want[name])
		if !(1-one.cosine() <= parameterUnits*u) {
			t.Errorf("gradients of %s: the cosine is %.4f, want at least %.4f", name, one.cosine(), 1-parameterUnits*u)
		}
	}
	if !(1-all.cosine() <= gradientUnits*u) {
		t.Errorf("all gradients: the cosine is %.4f, want at least %.4f", all.cosine(), 1-gradientUnits*u)
	}
	if off := math.Abs(math.Sqrt(all.gg/all.ww) - 1); !(off <= lengthUnits*u) {
		t.Errorf("all gradients: the lengths differ by %.2g, want at most %.2g", off, lengthUnits*u)
	}
}

// angle holds the sums from which the angle between two vectors follows.
type angle struct{ gw, gg, ww float64 }

func (a *angle) add(got, want []float32) {
	for i, w := range want {
		g, w := float64(got[i]), float64(w)
		a.gw, a.gg, a.ww = a.gw+g*w, a.gg+g*g, a.ww+w*w
	}
}

func (a *angle) cosine() float64 { return a.gw / math.Sqrt(a.gg*a.ww) }

// scaledTraining trains a small network in float16 step by step.
type scaledTraining struct {
	t       *testing.T
	stepper *train.Stepper
	loader  *data.Loader
	batches int // number of batches done
}

func newScaledTraining(t *testing.T, d *gpu.Device, cfg train.Config) *scaledTraining {
	t.Helper()
	cfg.Device, cfg.DType = d, device.Float16
	cfg.Loss, cfg.Epochs, cfg.Batch, cfg.Seed = nn.CrossEntropy{}, 40, 8, 11
	cfg.Data = &data.Dataset{Name: "stripes", Train: stripes(32, 1)}
	stepper, err := train.NewStepper(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stepper.Close() })
	loader, err := data.NewLoader(data.LoaderConfig{Set: cfg.Data.Train, Batch: cfg.Batch, Shuffle: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(loader.Close)
	return &scaledTraining{t, stepper, loader, 0}
}

// step trains on the next batches until the weights are updated, and returns the mean loss of these batches.
func (s *scaledTraining) step() float64 {
	s.t.Helper()
	for before := s.stepper.Steps(); s.stepper.Steps() == before; s.batches++ {
		if s.batches%s.loader.Steps() == 0 {
			s.loader.Start(s.batches/s.loader.Steps(), 0)
		}
		batch, err := s.loader.Next()
		if err != nil {
			s.t.Fatal(err)
		}
		if err := s.stepper.Step(batch); err != nil {
			s.t.Fatal(err)
		}
		s.loader.Release(batch)
	}
	loss, _, count, err := s.stepper.Collect()
	if err != nil {
		s.t.Fatal(err)
	}
	return loss / float64(count)
}

// state returns the loss scaling's state.
func (s *scaledTraining) state() []float32 {
	s.t.Helper()
	return floats(s.t, s.stepper.Network().Device(), s.stepper.Network().Scaling())
}

func (s *scaledTraining) setState(state ...float32) {
	s.t.Helper()
	net := s.stepper.Network()
	if err := net.Device().Upload(net.Scaling(), device.Bytes(state)); err != nil {
		s.t.Fatal(err)
	}
}

// weights returns the tensors that an update changes: the parameters and the optimiser's state.
func (s *scaledTraining) weights() map[string][]float32 {
	s.t.Helper()
	dev := s.stepper.Network().Device()
	all := values(s.t, dev, s.stepper.Network().Params())
	for _, n := range s.stepper.Optimizer().Tensors() {
		all[n.Name] = floats(s.t, dev, n.Tensor)
	}
	return all
}

func sameWeights(a, b map[string][]float32) bool {
	return maps.EqualFunc(a, b, func(a, b []float32) bool { return slices.EqualFunc(a, b, sameBits) })
}

// scaledCases are parityCases without Lookahead, which averages even after skipped steps.
func scaledCases() map[string]train.Config {
	cases := parityCases()
	for name, cfg := range cases {
		cfg.Optimizer.Lookahead = nil
		cases[name] = cfg
	}
	return cases
}

// TestLossScalingRecovers begins with a scale at which all gradients overflow. Each such step is skipped without changing a
// weight and halves the scale; then training continues and learns.
func TestLossScalingRecovers(t *testing.T) {
	for name, cfg := range scaledCases() {
		t.Run(name, func(t *testing.T) {
			s := newScaledTraining(t, anyDevice(t), cfg)
			scale := float32(1 << 24)
			s.setState(scale, 1/scale, 0, 0)
			before := s.weights()
			skipped := 0
			first := s.step()
			for ; s.state()[device.ScalingSkip] == 1; skipped++ {
				scale /= 2
				if got, want := s.state(), []float32{scale, 1 / scale, 1, 0}; got[0] != want[0] || got[3] != want[3] {
					t.Fatalf("the state is %v after %d skipped steps, want %v", got, skipped+1, want)
				}
				if !sameWeights(s.weights(), before) {
					t.Fatalf("skipped step %d changed a weight", skipped+1)
				}
				s.step()
			}
			// The largest gradients with respect to a logit are about 1/8, for the mean over a batch of 8: these overflow
			// if the scale is above 2^19.
			if skipped < 3 || skipped > 15 {
				t.Errorf("%d steps were skipped, want 3 to 15", skipped)
			}
			if got, want := s.state(), []float32{scale, 1 / scale, 0, 1}; !slices.Equal(got, want) {
				t.Errorf("the state is %v after a good step, want %v", got, want)
			}
			if sameWeights(s.weights(), before) {
				t.Error("a good step changed no weight")
			}
			last := first
			for range 60 {
				last = s.step()
			}
			if !(last < 0.8*first) {
				t.Errorf("the loss is %v after 60 more steps, %v at first", last, first)
			}
		})
	}
}

// TestLossScaleGrows makes the last good step before the scale is doubled. Nothing else changes: the next update is the same
// as with the old scale.
func TestLossScaleGrows(t *testing.T) {
	const interval = 2000 // of nn
	cfg := scaledCases()["conv, pool, dense"]
	d := anyDevice(t)
	s, other := newScaledTraining(t, d, cfg), newScaledTraining(t, d, cfg)
	scale := s.state()[device.ScalingScale]
	if scale != 8 {
		t.Fatalf("the first scale is %v, want 8 for a batch of 8", scale)
	}
	s.setState(scale, 1/scale, 0, interval-2)
	for i, want := range []float32{scale, 2 * scale, 2 * scale} {
		s.step()
		other.step()
		if got := s.state()[device.ScalingScale]; got != want {
			t.Errorf("the scale is %v after step %d, want %v", got, i+1, want)
		}
		if got := other.state(); got[device.ScalingScale] != scale || got[device.ScalingGoodSteps] != float32(i+1) {
			t.Errorf("with few good steps the state is %v after step %d", got, i+1)
		}
		for name, w := range other.weights() {
			off := differences(t, name, s.weights()[name], w)
			if largest := off[len(off)-1]; !(largest <= 4*unitRoundoff(device.Float16)) {
				t.Errorf("step %d: %s differs by %.2g of the largest", i+1, name, largest)
			}
		}
	}
}
