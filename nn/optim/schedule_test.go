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
		{"cosine", Cosine{Final: 0.2}, 100, 10,
			[]want{{0, 1}, {50, 0.6}, {25, 0.2 + 0.4*(1+math.Sqrt2/2)}, {100, 0.2}}},
		// torch.optim.lr_scheduler.OneCycleLR(max_lr=1, total_steps=10): the peak is at step
		// 0.3*10 - 1 = 2, the middle of the fall at 5.5.
		{"one-cycle", OneCycle{}, 10, 10,
			[]want{{0, 0.04}, {1, 0.52}, {2, 1}, {9, 4e-6}, {3, 4e-6 + (1-4e-6)/2*(1+math.Cos(math.Pi/7))}}},
		{"one-cycle, linear", OneCycle{Start: 0.5, Div: 10, FinalDiv: 100, Linear: true}, 10, 10,
			[]want{{0, 0.1}, {2, 0.55}, {4, 1}, {9, 0.001}, {5, 1 - 0.999/5}}},
		{"one-cycle of one step", OneCycle{}, 1, 1, []want{{0, 1}}},
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
		WarmUp{}, WarmUp{Steps: 1, Fraction: 0.5}, WarmUp{Fraction: 2}, WarmUp{Steps: 2, Then: Cosine{Final: math.NaN()}},
	} {
		if setting.Check(s) == nil {
			t.Errorf("%T%+v is accepted", s, s)
		}
	}
}
