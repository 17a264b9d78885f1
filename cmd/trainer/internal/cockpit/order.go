package cockpit

import "math"

// Order is what a page wants a training to do. Orders are carried out between two steps.
type Order struct {
	Action Action  `json:"action"`
	Factor float64 `json:"factor"` // of ChangeRate: of the scheduled learning rate
}

// Action names an order.
type Action string

// The actions.
const (
	Pause      Action = "pause" // after a checkpoint
	Continue   Action = "continue"
	Stop       Action = "stop" // as if the last step had been done
	Save       Action = "save" // a checkpoint
	ChangeRate Action = "rate"
)

// maxFactor is the largest factor of the learning rate.
const maxFactor = 1000

// maxOrders is the number of orders that wait for the end of a step or of an evaluation.
const maxOrders = 16

// Steer gives an order. The error says why it can't be carried out.
func (t *Training) Steer(o Order) error {
	s := t.State()
	switch {
	case s.Phase.Over():
		return Failf(Busy, "the training has ended")
	case s.Phase == Preparing && o.Action == Stop:
		t.cancel()
		return nil
	case s.Phase == Preparing:
		return Failf(Busy, "the training has not begun yet")
	}
	switch o.Action {
	case Pause, Continue, Stop, Save:
	case ChangeRate:
		if !(o.Factor >= 0 && o.Factor <= maxFactor) || math.IsNaN(o.Factor) {
			return Failf(Invalid, "factor: want a number from 0 to %d", maxFactor)
		}
		if !s.CanSteer {
			return Failf(Invalid, "the learning rate can only be changed in a training of one run, because a change belongs to its configuration")
		}
	default:
		return Failf(Invalid, "action: want pause, continue, stop, save or rate")
	}
	select {
	case t.orders <- o:
		return nil
	default:
		return Failf(Busy, "%d orders wait for the end of the step: try again", maxOrders)
	}
}
