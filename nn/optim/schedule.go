package optim

// Schedule multiplies the learning rate, step by step.
type Schedule interface {
	// Factor returns the multiplier of every group's learning rate at the step. It must
	// depend on nothing else, so that a resumed training follows the same curve.
	Factor(p Progress) float64
}

// Progress is where training is.
type Progress struct {
	Step          int // from 0
	Total         int // steps of the whole training
	StepsPerEpoch int
}

// Fraction returns the part of training that is done: 0 at the first step, and still
// less than 1 at the last.
func (p Progress) Fraction() float64 { return float64(p.Step) / float64(p.Total) }

// Epoch returns the epochs that are done, with a fraction.
func (p Progress) Epoch() float64 { return float64(p.Step) / float64(p.StepsPerEpoch) }

// checker is a schedule that can be wrong.
type checker interface{ check() error }

// Constant leaves the learning rate as it is.
type Constant struct{}

// Factor returns 1.
func (Constant) Factor(Progress) float64 { return 1 }
