package optim

import (
	"errors"
	"fmt"

	"trainer/nn/setting"
)

// Point is the schedule's factor at a given fraction of training.
type Point struct {
	At     float64 // fraction of training that is done, 0 to 1
	Factor float64
}

// PiecewiseLinear interpolates linearly between points. Before the first point the factor
// is the first point's, and after the last point the last point's.
type PiecewiseLinear struct {
	Points []Point // At increasing
}

func piecewiseLinearKind() ScheduleKind {
	return ScheduleKind{Name: "piecewise", Doc: "lines from point to point", New: func() Schedule { return PiecewiseLinear{} }}
}

const pointsForm = "a list of points, such as [[0, 0.2], [0.3, 1], [1, 0]]"

// Settings declares the keys of recipes.
func (s *PiecewiseLinear) Settings(l *setting.List) {
	l.Func("points", pointsForm, "list of [share of training, factor]", s.setPoints).Require()
}

// setPoints reads the points of a recipe.
func (s *PiecewiseLinear) setPoints(v any) error {
	list, _ := v.([]any)
	if len(list) == 0 {
		return fmt.Errorf("want %s, got %s", pointsForm, setting.Describe(v))
	}
	for i, e := range list {
		p, ok := setting.Numbers(e)
		if !ok || len(p) != 2 {
			return fmt.Errorf("point %d is %s, want [share of training from 0 to 1, factor from 0]", i, setting.Describe(e))
		}
		s.Points = append(s.Points, Point{p[0], p[1]})
	}
	return s.Check()
}

// Check returns an error if the points are invalid.
func (s *PiecewiseLinear) Check() error {
	if len(s.Points) == 0 {
		return errors.New("want points")
	}
	for i, p := range s.Points {
		if !setting.ZeroToOne.Contains(p.At) || !setting.NotNegative.Contains(p.Factor) {
			return fmt.Errorf("point %d is [%v, %v], want [share of training from 0 to 1, factor from 0]", i, p.At, p.Factor)
		}
		if i > 0 && p.At <= s.Points[i-1].At {
			return fmt.Errorf("point %d is at %v, want more than the %v of the point before it", i, p.At, s.Points[i-1].At)
		}
	}
	return nil
}

// Factor returns the interpolated factor.
func (s PiecewiseLinear) Factor(p Progress) float64 {
	x := p.Fraction()
	if x <= s.Points[0].At {
		return s.Points[0].Factor
	}
	for i, to := range s.Points[1:] {
		from := s.Points[i]
		if x <= to.At {
			return linear(from.Factor, to.Factor, (x-from.At)/(to.At-from.At))
		}
	}
	return s.Points[len(s.Points)-1].Factor
}
