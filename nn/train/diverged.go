package train

import "fmt"

// DivergedError reports a loss that is NaN or infinite.
type DivergedError struct {
	// First and Step are the first and last of the steps, counted from 1, whose losses were summed. They are the same if
	// the loss of every step is checked.
	First, Step int
	Epoch       int     // from 1
	Loss        float64 // NaN or infinite
	// FirstNonFinite names the first tensor that was not finite after step CheckedAtStep, such as "output of layer conv2";
	// "" if all were finite. A device that runs ahead of the host has done more steps than Step when the loss is known.
	FirstNonFinite string
	CheckedAtStep  int
	// RestoredStep is the step after which the restored weights were taken.
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
		where += fmt.Sprintf(" (checked after step %d)", e.CheckedAtStep)
	}
	return fmt.Sprintf("the loss is %v %s (epoch %d), first non-finite in %s; the weights after step %d were restored; try a lower learning rate",
		e.Loss, when, e.Epoch, where, e.RestoredStep)
}

// diverged restores the network's last good weights and returns a *DivergedError for the loss of the steps first to
// last. The order matters: the current weights already include the bad gradients, but with good weights the first
// tensor that isn't finite shows the layer where the divergence began.
func (r *run) diverged(loss float64, first, last int) error {
	r.stepper.opt.SwapOut()
	r.snapshot.restore()
	r.keepGood()
	where, err := r.stepper.net.FirstNonFinite()
	if err != nil {
		return err
	}
	return &DivergedError{
		First: first, Step: last, Epoch: (last-1)/r.stepper.perEpoch + 1, Loss: loss,
		FirstNonFinite: where, CheckedAtStep: r.stepper.step, RestoredStep: r.snapshot.goodStep,
	}
}
