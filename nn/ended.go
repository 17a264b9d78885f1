package nn

import "trainer/nn/device"

// A parameter's training may end before the network's: its optimiser group has an end, as that of a whitening layer's bias
// has. Nothing reads its gradient then, and if the same is true of all parameters before a layer, nothing reads the
// gradient that the layer passes on.

// EndTraining leaves out of the following backward passes what only parameters need whose training has ended, and sets the
// gradients of those parameters to 0. Weights, running statistics and the other gradients keep their bits. It returns
// whether the work of a step has changed, so that a recorded step is no longer valid. Call it between steps; a later
// call may name other parameters.
func (n *Network) EndTraining(hasEnded func(*Param) bool) (changed bool) {
	root, ok := n.root.(*sequential)
	if !ok {
		return false
	}
	needsGradient := func(u unitParams) bool {
		for _, p := range n.params[u.from:u.to] {
			if p.Grad != nil && !hasEnded(p) {
				return true
			}
		}
		return false
	}
	first := 0
	for first < len(root.units)-1 && !needsGradient(root.params[first]) {
		first++
	}
	if first == root.ended {
		return false
	}
	root.ended = first
	root.endBackward()
	for _, p := range n.params[:root.params[first].from] {
		for _, t := range []*device.Tensor{p.Grad, p.LowPrecisionGrad, p.GradSum} {
			if t != nil {
				n.dev.Zero(t)
			}
		}
	}
	return true
}

// unitParams are the parameters of a unit: Network.params[from:to].
type unitParams struct{ from, to int }

// inputGradient is a BuiltLayer that can leave out the gradient with respect to its input.
type inputGradient interface {
	// setInputGradient says whether Backward computes it. Backward returns nil without it.
	setInputGradient(on bool)
}

// endBackward makes Backward end at the first unit whose gradients are needed.
func (s *sequential) endBackward() {
	set := func(on bool) {
		if u, ok := s.units[s.first].(inputGradient); ok && s.first > 0 {
			u.setInputGradient(on)
		}
	}
	set(true)
	s.first = s.ended
	if s.isFrozen {
		s.first = max(s.first, s.frozen)
	}
	s.first = min(s.first, len(s.units)-1)
	set(false)
}
