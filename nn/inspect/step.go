package inspect

import "trainer/nn/optim"

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
}

// Step updates the weights by the rule, with the gradients of the last Backward, and computes both passes again. Running
// statistics don't change. As long as the settings stay the same, the rule's own state (momentum, moments) goes on from step
// to step, at a constant learning rate; other settings begin with a new state. The error for invalid settings is an
// *optim.ConfigError.
func (s *Session) Step(rule optim.Config) (*Step, error) { return nil, errUnfinished }

// Undo takes the last step back: weights and the rule's state have the bits from before it. It computes the passes again.
// A session remembers its last 16 steps, or fewer for large networks: as many as fit 256 MiB, and at least one.
func (s *Session) Undo() (*Pass, *Gradients, error) { return nil, nil, errUnfinished }

// Reset undoes all steps: the weights are those that the session was opened with, or the last CopyWeights gave it.
func (s *Session) Reset() error { return errUnfinished }

// Check is the comparison of a gradient with a finite difference.
type Check struct {
	Tensor string  `json:"tensor"`
	Index  int     `json:"index"`
	Weight float64 `json:"weight"` // w
	Step   float64 `json:"step"`   // h: the losses are those of the weights that float32 has nearest to w-h and w+h
	Low    float64 `json:"low"`    // the loss L(w-h)
	High   float64 `json:"high"`   // the loss L(w+h)
	// Difference is (L(w+h) - L(w-h)) / 2h, and Gradient the engine's gradient.
	Difference float64 `json:"difference"`
	Gradient   float64 `json:"gradient"`
	// Tolerance bounds the difference between the two from rounding alone. The loss's curvature and corners of ReLU or
	// pooling add to it.
	Tolerance float64 `json:"tolerance"`
}

// CheckGradient compares the gradient of one weight with the finite difference of the loss for the steps -h and +h of that
// weight; h = 0 chooses one. The weight and everything computed before stay as they are.
func (s *Session) CheckGradient(tensor string, index int, h float64) (*Check, error) {
	return nil, errUnfinished
}
