package train

import (
	"fmt"

	"trainer/nn"
	"trainer/nn/device"
)

// snapshot keeps copies of the weights on the device, to be restored if the loss is no longer
// finite. Weights are good if a finite loss was computed with them. The device knows that one
// step later, and the host later still; until then a copy waits and is not overwritten.
type snapshot struct {
	dev           device.Device
	weights       []*device.Tensor // the network's parameters and state
	good, waiting []*device.Tensor // of the same shapes
	goodStep      int              // step after which good was copied
	waitingStep   int
	waits         bool
}

// newSnapshot allocates room for two copies of the weights. begin must be called first.
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

// begin takes the current weights, after step steps, as good.
func (s *snapshot) begin(step int) {
	s.waits = false
	s.take(step)
	s.confirm(step)
}

// take copies the current weights, after step steps, unless another copy is waiting.
func (s *snapshot) take(step int) {
	if s.waits {
		return
	}
	s.copy(s.waiting, s.weights)
	s.waits, s.waitingStep = true, step
}

// confirm reports to the snapshot that all losses up to and including the one computed with the weights after step
// steps are finite.
func (s *snapshot) confirm(step int) {
	if !s.waits || step < s.waitingStep {
		return
	}
	s.good, s.waiting = s.waiting, s.good
	s.goodStep, s.waits = s.waitingStep, false
}

// restore gives the network the last good weights, and discards a waiting copy.
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
