package main

import (
	"trainer/nn/optim"
	"trainer/nn/recipe"
)

// schedule answers with the factor of a recipe's schedule at every step.
func schedule(c *call) error {
	var a updateArgs
	if err := c.decode(&a); err != nil {
		return err
	}
	r, err := recipe.Parse("request", []byte(a.Recipe))
	if err != nil {
		return err
	}
	factors := make([]float64, a.Total)
	for step := range factors {
		factors[step] = r.Schedule.Factor(optim.Progress{Step: step, Total: a.Total, StepsPerEpoch: a.PerEpoch})
	}
	c.answer.Result = map[string]any{"factors": factors}
	return nil
}
