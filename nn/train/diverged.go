package train

import "fmt"

// DivergedError is a loss that is NaN or infinite.
type DivergedError struct {
	// First and Step are the steps, counted from 1, among which that loss is: it is the sum of theirs. They
	// are the same where each step's loss is looked at.
	First, Step int
	Epoch       int     // from 1
	Loss        float64 // NaN or infinite
	// FirstNonFinite is what was not finite first after step Seen, such as "output of layer conv2"; "" where all was
	// finite. A device that runs ahead of the host has done steps after Step when the loss is known.
	FirstNonFinite string
	CheckedAtStep  int
	// RestoredStep is how many steps the weights have seen that the network went back to.
	RestoredStep int
}

func (e *DivergedError) Error() string {
	when := fmt.Sprintf("at step %d", e.Step)
	if e.First < e.Step {
		when = fmt.Sprintf("within steps %d to %d", e.First, e.Step)
	}
	where := "the loss itself: all outputs are finite"
	if e.FirstNonFinite != "" {
		where = "the " + e.FirstNonFinite
	}
	if e.CheckedAtStep > e.Step {
		where += fmt.Sprintf(" (looked for after step %d)", e.CheckedAtStep)
	}
	return fmt.Sprintf("the loss is %v %s (epoch %d), seen first in %s; the weights kept are those after step %d; a lower learning rate may help",
		e.Loss, when, e.Epoch, where, e.RestoredStep)
}

// diverged gives the network its last good weights and returns a *DivergedError for the loss of the steps first to
// last. The order matters: by now the bad gradients are in the weights, and with good weights the first
// thing that isn't finite is the layer where it began.
func (r *run) diverged(loss float64, first, last int) error {
	r.stepper.opt.SwapOut()
	r.snapshot.restore()
	where, err := r.stepper.net.FirstNonFinite()
	if err != nil {
		return err
	}
	return &DivergedError{
		First: first, Step: last, Epoch: (last-1)/r.stepper.perEpoch + 1, Loss: loss,
		FirstNonFinite: where, CheckedAtStep: r.stepper.step, RestoredStep: r.snapshot.goodStep,
	}
}
