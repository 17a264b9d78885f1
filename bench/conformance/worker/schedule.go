package main

import (
	"trainer/nn/optim"
	"trainer/nn/recipe"
)

// schedule answers with the factor of a recipe's schedule at every step. The result of the evaluation after each epoch is
// a loss of the request, if it has any.
func schedule(c *call) error {
	var a struct {
		updateArgs
		Losses []float64 `json:"losses"`
	}
	if err := c.decode(&a); err != nil {
		return err
	}
	r, err := recipe.Parse("request", []byte(a.Recipe))
	if err != nil {
		return err
	}
	p := optim.Progress{Total: a.Total, StepsPerEpoch: a.PerEpoch}
	factors := make([]float64, a.Total)
	for step := range factors {
		p.Step = step
		if done := step / a.PerEpoch; step%a.PerEpoch == 0 && done > 0 && done <= len(a.Losses) {
			p.Evaluations = append(p.Evaluations, optim.Evaluation{Step: step, Loss: a.Losses[done-1]})
		}
		factors[step] = r.Schedule.Factor(p)
	}
	c.answer.Result = map[string]any{"factors": factors}
	return nil
}
