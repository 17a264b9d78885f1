package train

import (
	"fmt"

	"trainer/nn"
	"trainer/nn/device"
)

// snapshot keeps weights on the host to which a network returns when its loss is no longer
// finite. Weights are good when a finite loss was computed with them, which is known one
// step later: until then they wait.
type snapshot struct {
	net           *nn.Network
	good, waiting [][]float32 // one slice a parameter or state tensor
	goodStep      int         // steps done at good
	waitingStep   int
	waits         bool
}

func newSnapshot(net *nn.Network, step int) (*snapshot, error) {
	s := &snapshot{net: net}
	for _, t := range s.tensors() {
		s.good = append(s.good, make([]float32, t.Value.Len()))
		s.waiting = append(s.waiting, make([]float32, t.Value.Len()))
	}
	if err := s.take(step); err != nil {
		return nil, err
	}
	s.confirm()
	return s, nil
}

func (s *snapshot) tensors() []*nn.Param {
	return append(s.net.Params()[:len(s.net.Params()):len(s.net.Params())], s.net.State()...)
}

// take copies the weights as they are after step steps.
func (s *snapshot) take(step int) error {
	for i, t := range s.tensors() {
		if err := s.net.Device().Download(device.Bytes(s.waiting[i]), t.Value); err != nil {
			return fmt.Errorf("copying %s: %w", t.Name, err)
		}
	}
	s.waits, s.waitingStep = true, step
	return nil
}

// confirm says that the loss of a step after take was finite.
func (s *snapshot) confirm() {
	if !s.waits {
		return
	}
	s.good, s.waiting = s.waiting, s.good
	s.goodStep, s.waits = s.waitingStep, false
}

// restore gives the network the last good weights.
func (s *snapshot) restore() error {
	for i, t := range s.tensors() {
		if err := s.net.Device().Upload(t.Value, device.Bytes(s.good[i])); err != nil {
			return fmt.Errorf("restoring %s: %w", t.Name, err)
		}
	}
	return nil
}

// DivergedError is a loss that is NaN or infinite.
type DivergedError struct {
	Step  int     // steps done, the one with that loss among them
	Epoch int     // from 1
	Loss  float64 // NaN or infinite
	Where string  // what was not finite first, such as "output of layer conv2"; "" where all is
	// GoodStep is how many steps the weights have seen that the network went back to.
	GoodStep int
}

func (e *DivergedError) Error() string {
	where := "the loss itself: all outputs are finite"
	if e.Where != "" {
		where = "the " + e.Where
	}
	return fmt.Sprintf("the loss is %v at step %d (epoch %d), seen first in %s; the weights kept are those after step %d; a lower learning rate may help",
		e.Loss, e.Step, e.Epoch, where, e.GoodStep)
}
