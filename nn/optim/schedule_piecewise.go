package optim

import "fmt"

// Point is a factor at a part of training.
type Point struct {
	At     float64 // part of training that is done, 0 to 1
	Factor float64
}

// PiecewiseLinear goes from point to point along lines. Before the first point its factor
// holds, after the last one the last one's.
type PiecewiseLinear struct {
	Points []Point // At increasing
}

// Factor returns the point of the line.
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

func (s PiecewiseLinear) check() error {
	if len(s.Points) == 0 {
		return fmt.Errorf("piecewise-linear has no points")
	}
	for i, p := range s.Points {
		switch {
		case !(p.At >= 0 && p.At <= 1):
			return fmt.Errorf("piecewise-linear's point %d is at %v of training, need 0 to 1", i, p.At)
		case !(p.Factor >= 0):
			return fmt.Errorf("piecewise-linear's point %d has the factor %v, need 0 or more", i, p.Factor)
		case i > 0 && p.At <= s.Points[i-1].At:
			return fmt.Errorf("piecewise-linear's point %d is at %v, need more than %v, where the one before is", i, p.At, s.Points[i-1].At)
		}
	}
	return nil
}
