package train

import (
	"fmt"

	"trainer/nn"
	"trainer/nn/device"
)

// snapshot keeps weights on the device to which a network returns when its loss is no longer
// finite. Weights are good when a finite loss was computed with them, which is known one step
// later, and on the host later still: until then they wait, and are not overwritten.
type snapshot struct {
	dev           device.Device
	weights       []*device.Tensor // the network's parameters and state
	good, waiting []*device.Tensor // of the same shapes
	goodStep      int              // steps done at good
	waitingStep   int
	waits         bool
}

// newSnapshot allocates room for two sets of weights. begin must be called before anything else.
func newSnapshot(net *nn.Network) (*snapshot, error) {
	s := &snapshot{dev: net.Device()}
	for _, p := range net.Tensors() {
		s.weights = append(s.weights, p.Value)
		for _, set := range []*[]*device.Tensor{&s.good, &s.waiting} {
			t, err := s.dev.NewTensor(p.Value.DType(), p.Value.Shape()...)
			if err != nil {
				return nil, fmt.Errorf("copying %s: %w", p.Name, err)
			}
			*set = append(*set, t)
		}
	}
	return s, nil
}

// begin takes the weights as they are, after step steps, for good.
func (s *snapshot) begin(step int) {
	s.waits = false
	s.take(step)
	s.confirm(step)
}

// take copies the weights as they are after step steps, unless others wait.
func (s *snapshot) take(step int) {
	if s.waits {
		return
	}
	s.copy(s.waiting, s.weights)
	s.waits, s.waitingStep = true, step
}

// confirm says that the losses are finite which were computed with the weights after step steps, and with all
// before.
func (s *snapshot) confirm(step int) {
	if !s.waits || step < s.waitingStep {
		return
	}
	s.good, s.waiting = s.waiting, s.good
	s.goodStep, s.waits = s.waitingStep, false
}

// restore gives the network the last good weights, and forgets those that wait.
func (s *snapshot) restore() {
	s.copy(s.weights, s.good)
	s.waits = false
}

func (s *snapshot) copy(dst, src []*device.Tensor) {
	for i := range dst {
		s.dev.Copy(dst[i], src[i])
	}
}

// memory returns the bytes on the device.
func (s *snapshot) memory() int64 {
	var n int64
	for _, t := range s.weights {
		n += 2 * int64(t.Len()) * int64(t.DType().Size())
	}
	return n
}
