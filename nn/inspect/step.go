package inspect

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"

	"trainer/nn"
	"trainer/nn/device"
	"trainer/nn/device/reference"
	"trainer/nn/optim"
)

// Step is one step of an optimiser with the picture and label of the last Backward.
type Step struct {
	Number     int     `json:"number"` // of steps that are not undone, this one included
	LossBefore float64 `json:"loss_before"`
	LossAfter  float64 `json:"loss_after"` // of the same picture, with the new weights
	// Changes holds what the step added to each trained parameter, by its name.
	Changes map[string][]float32 `json:"-"`
	// Tensors says how much each trained parameter changed, in the network's order.
	Tensors []Change `json:"tensors"`
	// Pass and Gradients are the passes with the new weights.
	Pass      *Pass      `json:"pass"`
	Gradients *Gradients `json:"gradients"`
}

// Change says how much a parameter changed.
type Change struct {
	Tensor   string  `json:"tensor"`
	Norm     float64 `json:"norm"`     // of the values before the step: the root of the sum of squares
	Gradient float64 `json:"gradient"` // norm of the gradient
	Changed  float64 `json:"changed"`  // norm of the change
	Largest  float64 `json:"largest"`  // largest absolute change of an element
	Index    int     `json:"index"`    // of that element
	Before   float64 `json:"before"`   // that element before the step
	After    float64 `json:"after"`
	Slope    float64 `json:"slope"` // its gradient
}

// rule is an optimiser that has been built.
type rule struct {
	cfg  optim.Config
	opt  *optim.Optimizer
	step int // the next one, from 0
}

// snapshot is what a step changes.
type snapshot struct {
	rule   *rule // nil if the step was the first
	step   int   // of the rule
	params [][]float32
	state  [][]float32 // of the rule
}

// manySteps is the number of steps of the training that the optimiser believes to be in: its schedule is constant.
const manySteps = 1 << 30

// Step updates the weights by the rule, with the gradients of the last Backward, and computes both passes again. Running
// statistics don't change. As long as the settings stay the same, the rule's own state (momentum, moments) goes on from step
// to step, at a constant learning rate; other settings begin with a new state. The error for invalid settings is an
// *optim.ConfigError.
func (s *Session) Step(settings optim.Config) (*Step, error) {
	defer s.lock()()
	switch {
	case s.closed:
		return nil, ErrClosed
	case s.gradients == nil:
		return nil, ErrNoBackward
	}
	before := s.gradients
	next := s.rule
	if next == nil || !reflect.DeepEqual(next.cfg, settings) {
		opt, err := optim.New(s.dev, s.net.Params(), s.net.State(), settings, nil, manySteps, manySteps)
		if err != nil {
			return nil, err
		}
		next = &rule{cfg: settings, opt: opt}
	}
	if err := s.remember(); err != nil {
		return nil, err
	}
	if err := s.update(next, before.Label); err != nil {
		s.history = s.history[:len(s.history)-1]
		return nil, err
	}
	step := &Step{Number: s.steps, LossBefore: before.Loss, Changes: map[string][]float32{}}
	var err error
	if step.Pass, step.Gradients, err = s.again(before.Label); err != nil {
		return nil, err
	}
	step.LossAfter = step.Gradients.Loss
	return step, s.changes(step, before)
}

// update runs a step of the rule. The passes before it make sure that the gradients on the device are those of the picture:
// explanations use the device, too.
func (s *Session) update(next *rule, label int) error {
	if err := s.restore(); err != nil {
		return err
	}
	if _, err := s.lossOf(label); err != nil {
		return err
	}
	s.net.Backward(s.label)
	if err := next.opt.Step(next.step); err != nil {
		return fmt.Errorf("inspect: %w", err)
	}
	next.step++
	s.rule = next
	s.steps++
	for _, t := range s.tensors {
		if t.Grad != nil {
			t.values = nil
		}
	}
	return s.dev.Sync()
}

// again computes both passes of the last picture with the present weights.
func (s *Session) again(label int) (*Pass, *Gradients, error) {
	pixels, x := s.pass.Pixels, s.pass.Values[0]
	if err := s.dev.Upload(s.x, device.Bytes(x)); err != nil {
		return nil, nil, fmt.Errorf("inspect: %w", err)
	}
	pass, err := s.forward(pixels)
	if err != nil {
		return nil, nil, err
	}
	g, err := s.backward(label)
	return pass, g, err
}

// changes says what a step did to each parameter.
func (s *Session) changes(step *Step, before *Gradients) error {
	last := s.history[len(s.history)-1]
	k := 0
	for _, name := range s.names {
		if s.tensors[name].Grad == nil {
			continue
		}
		now, err := s.weights(name)
		if err != nil {
			return err
		}
		old := last.params[k]
		k++
		c := Change{Tensor: name, Norm: norm(old), Gradient: norm(before.Weights[name])}
		change := make([]float32, len(now))
		for i := range now {
			change[i] = now[i] - old[i]
			if d := math.Abs(float64(change[i])); d > c.Largest {
				c.Largest, c.Index = d, i
			}
		}
		c.Changed = norm(change)
		c.Before, c.After, c.Slope = float64(old[c.Index]), float64(now[c.Index]), float64(before.Weights[name][c.Index])
		step.Changes[name] = change
		step.Tensors = append(step.Tensors, c)
	}
	return nil
}

// norm returns the root of the sum of squares.
func norm(x []float32) float64 {
	sum := 0.0
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	return math.Sqrt(sum)
}

// The limits of what Undo remembers.
const (
	manyUndos     = 16
	bytesForUndos = 256 << 20
)

// remember keeps what the next step changes.
func (s *Session) remember() error {
	n := snapshot{rule: s.rule}
	for _, name := range s.names {
		if s.tensors[name].Grad == nil {
			continue
		}
		values, err := s.weights(name)
		if err != nil {
			return err
		}
		n.params = append(n.params, values) // which nothing changes: an update makes new copies
	}
	if s.rule != nil {
		n.step = s.rule.step
		for _, t := range s.rule.opt.Tensors() {
			values, err := download(s.dev, t.Tensor)
			if err != nil {
				return err
			}
			n.state = append(n.state, values)
		}
	}
	if s.initial == nil {
		s.initial = n.params
	}
	s.history = append(s.history, n)
	for len(s.history) > 1 && (len(s.history) > manyUndos || s.historyBytes() > bytesForUndos) {
		s.history = slices.Delete(s.history, 0, 1)
	}
	return nil
}

// historyBytes returns the size of what Undo remembers.
func (s *Session) historyBytes() (bytes int64) {
	for _, n := range s.history {
		for _, v := range slices.Concat(n.params, n.state) {
			bytes += 4 * int64(len(v))
		}
	}
	return bytes
}

// forgetSteps begins a new row of steps.
func (s *Session) forgetSteps() { s.rule, s.history, s.initial, s.steps = nil, nil, nil, 0 }

// Undo takes the last step back: weights and the rule's state have the bits from before it. It computes the passes of the
// last picture again, with the label of the last Backward. A session remembers its last 16 steps, or fewer for large
// networks: as many as fit 256 MiB, and at least one.
func (s *Session) Undo() (*Pass, *Gradients, error) {
	defer s.lock()()
	switch {
	case s.closed:
		return nil, nil, ErrClosed
	case len(s.history) == 0:
		return nil, nil, ErrNoStep
	}
	n := s.history[len(s.history)-1]
	if err := s.setParams(n.params); err != nil {
		return nil, nil, err
	}
	if n.rule != nil {
		for k, t := range n.rule.opt.Tensors() {
			if err := s.dev.Upload(t.Tensor, device.Bytes(n.state[k])); err != nil {
				return nil, nil, fmt.Errorf("inspect: %w", err)
			}
		}
		n.rule.step = n.step
	}
	s.rule = n.rule
	s.history = s.history[:len(s.history)-1]
	s.steps--
	return s.recompute()
}

// setParams sets the trained parameters.
func (s *Session) setParams(values [][]float32) error {
	k := 0
	for _, name := range s.names {
		if s.tensors[name].Grad == nil {
			continue
		}
		if err := s.upload(name, values[k]); err != nil {
			return err
		}
		k++
	}
	return nil
}

// recompute computes the passes of the last picture, if there is one, with the label of the last Backward.
func (s *Session) recompute() (*Pass, *Gradients, error) {
	if s.pass == nil {
		return nil, nil, nil
	}
	return s.again(s.last)
}

// Reset undoes all steps: the weights are those that the session was opened with, or the last CopyWeights gave it. Like Undo
// it computes the passes again; without steps they may be nil.
func (s *Session) Reset() (*Pass, *Gradients, error) {
	defer s.lock()()
	if s.closed {
		return nil, nil, ErrClosed
	}
	if s.initial == nil {
		return s.pass, s.gradients, nil
	}
	if err := s.setParams(s.initial); err != nil {
		return nil, nil, err
	}
	s.forgetSteps()
	return s.recompute()
}

// Check is the comparison of a gradient with a finite difference.
type Check struct {
	Tensor string  `json:"tensor"`
	Index  int     `json:"index"`
	At     []int   `json:"at"`
	Weight float64 `json:"weight"` // w
	Step   float64 `json:"step"`   // h: half the distance of the float32 numbers nearest to w-h and w+h
	Low    float64 `json:"low"`    // the loss L(w-h)
	High   float64 `json:"high"`   // the loss L(w+h)
	// Difference is (L(w+h) - L(w-h)) / 2h, and Gradient the engine's gradient.
	Difference float64 `json:"difference"`
	Gradient   float64 `json:"gradient"`
	// Tolerance bounds what rounding alone changes in the difference. The loss's curvature and corners of ReLU or pooling
	// add to it.
	Tolerance float64 `json:"tolerance"`
}

// differenceStep is h unless another one is given: a compromise between the curvature of the loss, whose error grows with
// h^2, and the rounding of the loss to float32, whose error grows with 1/h.
const differenceStep = 0x1p-7

// CheckGradient compares the gradient of one weight with the finite difference of the loss for the steps -h and +h of that
// weight; h = 0 chooses one. The weight and everything computed before stay as they are.
func (s *Session) CheckGradient(tensor string, index int, h float64) (*Check, error) {
	defer s.lock()()
	switch {
	case s.closed:
		return nil, ErrClosed
	case s.gradients == nil:
		return nil, ErrNoBackward
	case s.tensors[tensor] == nil:
		return nil, s.unknownTensor(tensor)
	case math.IsNaN(h) || math.IsInf(h, 0) || h < 0:
		return nil, argument("a step of %v, want a positive number", h)
	}
	gradient := s.gradients.Weights[tensor]
	if gradient == nil {
		return nil, argument("%s has no gradient: it is not trained", tensor)
	}
	if index < 0 || index >= len(gradient) {
		return nil, argument("element %d of %s, want 0 to %d", index, tensor, len(gradient)-1)
	}
	if h == 0 {
		h = differenceStep
	}
	values, err := s.weights(tensor)
	if err != nil {
		return nil, err
	}
	c, err := s.difference(tensor, slices.Clone(values), index, h)
	if back := s.putBack(tensor, values); back != nil {
		return nil, back
	}
	if err != nil {
		return nil, err
	}
	c.Gradient = float64(gradient[index])
	return c, nil
}

// difference computes the losses for a weight that is moved, and leaves it moved.
func (s *Session) difference(tensor string, values []float32, index int, h float64) (*Check, error) {
	w := values[index]
	low, high := float32(float64(w)-h), float32(float64(w)+h)
	if low == high {
		return nil, argument("a step of %v doesn't change a weight of %v", h, w)
	}
	c := &Check{
		Tensor: tensor, Index: index, At: coordinates(index, s.tensors[tensor].Value.Shape()),
		Weight: float64(w), Step: (float64(high) - float64(low)) / 2,
	}
	for _, side := range []struct {
		w    float32
		loss *float64
	}{{low, &c.Low}, {high, &c.High}} {
		values[index] = side.w
		if err := s.upload(tensor, values); err != nil {
			return nil, err
		}
		s.net.Forward(s.x, nn.Inference)
		var err error
		if *side.loss, err = s.lossOf(s.gradients.Label); err != nil {
			return nil, err
		}
	}
	c.Difference = (c.High - c.Low) / (2 * c.Step)
	// Each loss is rounded to float32, and so are the outputs that it comes from.
	size := max(math.Abs(c.Low), math.Abs(c.High))
	for _, z := range s.outputs(s.pass) {
		size = max(size, math.Abs(float64(z)))
	}
	c.Tolerance = 2 * (reference.FunctionUlps + reference.SumUlps(s.classes)) * reference.Ulp * size / (2 * c.Step)
	return c, nil
}

// putBack gives a tensor its values again and restores the pass.
func (s *Session) putBack(tensor string, values []float32) error {
	return errors.Join(s.upload(tensor, values), s.restore())
}

// Settings returns the settings of a rule at a learning rate, with every other setting at its default. Muon updates matrices
// and filters only: the network's biases and scales are then in a group with SGD.
func (s *Session) Settings(r optim.Rule, rate float64) optim.Config {
	cfg := optim.Config{Rule: r, LR: rate}
	if r.Kind() != (optim.Muon{}).Kind() {
		return cfg
	}
	var roles []nn.Role
	defer s.lock()()
	for _, name := range s.names {
		if t := s.tensors[name]; t.Grad != nil && t.Role != nn.Weight && !slices.Contains(roles, t.Role) {
			roles = append(roles, t.Role)
			cfg.Groups = append(cfg.Groups, optim.Group{Role: t.Role, Rule: optim.SGD{}, LR: rate})
		}
	}
	return cfg
}
