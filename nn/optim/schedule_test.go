package optim

import (
	"math"
	"testing"

	"trainer/nn/setting"
)

func TestSchedules(t *testing.T) {
	type want struct {
		step   int
		factor float64
	}
	for _, c := range []struct {
		name            string
		schedule        Schedule
		total, perEpoch int
		wants           []want
	}{
		{"constant", Constant{}, 10, 5, []want{{0, 1}, {9, 1}}},
		{"milestones", Step{Gamma: 0.1, Milestones: []float64{2, 3.5}}, 40, 10,
			[]want{{0, 1}, {19, 1}, {20, 0.1}, {34, 0.1}, {35, 0.01}, {39, 0.01}}},
		{"every two epochs", Step{Gamma: 0.5, Every: 2}, 50, 10,
			[]want{{0, 1}, {19, 1}, {20, 0.5}, {39, 0.5}, {40, 0.25}}},
		{"every fifth of an epoch", Step{Gamma: 0.5, Every: 0.2}, 80, 10,
			[]want{{0, 1}, {1, 1}, {2, 0.5}, {3, 0.5}, {4, 0.25}, {6, 0.125}, {8, 1. / 16}, {9, 1. / 16}, {10, 1. / 32}}},
		{"every 2.5 steps", Step{Gamma: 0.5, Every: 0.25}, 80, 10, []want{{2, 1}, {3, 0.5}, {4, 0.5}, {5, 0.25}, {7, 0.25}, {8, 0.125}}},
		{"milestones within an epoch", Step{Gamma: 0.5, Milestones: []float64{0.1, 0.25, 0.7}}, 90, 30,
			[]want{{2, 1}, {3, 0.5}, {7, 0.5}, {8, 0.25}, {20, 0.25}, {21, 0.125}}},
		{"restarts", CosineRestarts{First: 0.5, Growth: 1.5}, 100, 4, []want{{0, 1}, {1, 0.5}, {2, 1}, {5, 1}, {8, (1 - math.Cos(math.Pi/3)) / 2}}},
		{"polynomial", Polynomial{Power: 2, Final: 0.5}, 10, 10, []want{{0, 1}, {5, 0.5 + 0.5/4}}},
		{"sequential", Sequential{Schedules: []Schedule{Constant{}, WarmUp{Steps: 2, Then: Polynomial{}}}, Milestones: []float64{2}}, 14, 5,
			[]want{{9, 1}, {10, 0.5}, {11, 0.75}, {12, 0.5}, {13, 0.25}}},
		{"sequential that never ends", Sequential{Schedules: []Schedule{Constant{}, Step{Gamma: 0.5, Every: 1}}, Milestones: []float64{3e38}}, 10, 5, []want{{0, 1}, {9, 1}}},
		{"sequential beyond the end", Sequential{Schedules: []Schedule{Polynomial{}, Constant{}}, Milestones: []float64{4}}, 10, 5,
			[]want{{5, 0.75}, {9, 1 - 9./20}}},
		{"cosine", Cosine{Final: 0.2}, 100, 10,
			[]want{{0, 1}, {50, 0.6}, {25, 0.2 + 0.4*(1+math.Sqrt2/2)}, {100, 0.2}}},
		// torch.optim.lr_scheduler.OneCycleLR(max_lr=1, total_steps=10): the peak is at step
		// 0.3*10 - 1 = 2, the middle of the fall at 5.5.
		{"one-cycle", OneCycle{}, 10, 10,
			[]want{{0, 0.04}, {1, 0.52}, {2, 1}, {9, 4e-6}, {3, 4e-6 + (1-4e-6)/2*(1+math.Cos(math.Pi/7))}}},
		{"one-cycle, linear", OneCycle{Start: 0.5, Div: 10, FinalDiv: 100, Linear: true}, 10, 10,
			[]want{{0, 0.1}, {2, 0.55}, {4, 1}, {9, 0.001}, {5, 1 - 0.999/5}}},
		{"one-cycle of one step", OneCycle{}, 1, 1, []want{{0, 4e-6}}},
		// airbench94's triangle.
		{"piecewise", PiecewiseLinear{[]Point{{0, 0.2}, {0.25, 1}, {0.75, 0.1}}}, 100, 10,
			[]want{{0, 0.2}, {25, 1}, {50, 0.55}, {75, 0.1}, {99, 0.1}}},
		{"warm-up by steps", WarmUp{Steps: 4}, 10, 10, []want{{0, 0.25}, {2, 0.75}, {3, 1}, {9, 1}}},
		{"warm-up by fraction", WarmUp{Fraction: 0.2, Then: Cosine{}}, 10, 10,
			[]want{{0, 0.5}, {1, (1 + math.Cos(math.Pi/10)) / 2}, {5, 0.5}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := setting.Check(c.schedule); err != nil {
				t.Fatal(err)
			}
			for _, w := range c.wants {
				got := c.schedule.Factor(Progress{Step: w.step, Total: c.total, StepsPerEpoch: c.perEpoch})
				if math.Abs(got-w.factor) > 1e-12 {
					t.Errorf("step %d: factor %v, want %v", w.step, got, w.factor)
				}
			}
		})
	}
}

func TestSchedulesRefuseNonsense(t *testing.T) {
	for _, s := range []Schedule{
		Step{}, Step{Gamma: 0.1}, Step{Gamma: 0.1, Every: 1, Milestones: []float64{1}}, Step{Gamma: -1, Every: 1},
		Cosine{Final: -1}, OneCycle{Start: 2}, OneCycle{Div: 0.5}, OneCycle{FinalDiv: -1},
		PiecewiseLinear{}, PiecewiseLinear{[]Point{{0.5, 1}, {0.5, 0}}}, PiecewiseLinear{[]Point{{2, 1}}},
		OneCycle{BaseMomentum: 0.8}, OneCycle{BaseMomentum: 0.9, MaxMomentum: 0.8}, OneCycle{BaseMomentum: 0.9, MaxMomentum: 1},
		Polynomial{Power: -1}, CosineRestarts{}, CosineRestarts{First: 1, Growth: 0.5}, Plateau{Gamma: 1}, Plateau{Patience: -1}, Plateau{Min: 1},
		Sequential{}, Sequential{Schedules: []Schedule{Constant{}}, Milestones: []float64{1}}, Sequential{Schedules: []Schedule{Constant{}, Step{}}, Milestones: []float64{1}},
		Sequential{Schedules: []Schedule{Constant{}, Constant{}, Constant{}}, Milestones: []float64{2, 2}},
		WarmUp{}, WarmUp{Steps: 1, Fraction: 0.5}, WarmUp{Fraction: 2}, WarmUp{Steps: 2, Then: Cosine{Final: math.NaN()}},
	} {
		if setting.Check(s) == nil {
			t.Errorf("%T%+v is accepted", s, s)
		}
	}
}

// TestPlateauInParts has a plateau as the second part of a sequence, with a warm-up: it counts its own evaluations only.
func TestPlateauInParts(t *testing.T) {
	s := Sequential{
		Schedules:  []Schedule{Constant{}, WarmUp{Steps: 2, Then: Plateau{Gamma: 0.5}}},
		Milestones: []float64{2},
	}
	if !needsEvaluations(s) || needsEvaluations(Sequential{Schedules: []Schedule{Constant{}}}) || needsEvaluations(nil) {
		t.Error("which schedule needs evaluations?")
	}
	var evaluations []Evaluation
	for step, want := range []float64{1, 1, 1, 1, 0.5, 1, 1, 1, 0.5, 0.5, 0.25, 0.25} {
		if step > 0 && step%2 == 0 { // the loss improves up to step 6 and not after it; in the first part it doesn't matter
			evaluations = append(evaluations, Evaluation{Step: step, Loss: []float64{0.1, 0.2, 0.1, 0.3, 0.3}[step/2-1]})
		}
		p := Progress{Step: step, Total: 12, StepsPerEpoch: 2, Evaluations: evaluations}
		if got := s.Factor(p); got != want {
			t.Errorf("step %d: factor %v, want %v", step, got, want)
		}
	}
}

// TestCosineRestartsAlwaysEnd has waves that are much shorter than a step, and waves that hardly grow.
func TestCosineRestartsAlwaysEnd(t *testing.T) {
	for _, s := range []CosineRestarts{{First: 1e-30, Growth: 1 + 1e-15}, {First: 1e-300, Growth: 2}, {First: 1e-30, Growth: 1}, {First: 1, Growth: 1 + 1e-12}, {First: 1e30, Growth: 3}} {
		for _, step := range []int{0, 1, 1000, 1e9} {
			if f := s.Factor(Progress{Step: step, Total: 2e9, StepsPerEpoch: 10}); !(f >= 0 && f <= 1) {
				t.Errorf("%+v: factor %v at step %d", s, f, step)
			}
		}
	}
}
