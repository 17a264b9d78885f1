package optim

import (
	"fmt"
	"math"
	"strings"

	"trainer/nn"
	"trainer/nn/setting"
)

// Config says how weights are updated. It is data, as a recipe has it.
type Config struct {
	Algorithm string  // see Algorithms
	LR        float64 // learning rate before the schedule's factor and the group's scale

	Momentum float64 // of sgd and rmsprop, 0 <= Momentum < 1
	Nesterov bool    // of sgd

	Beta1   float64 // of adam and adamw; 0 means 0.9
	Beta2   float64 // of adam and adamw, 0 means 0.999; decay of rmsprop's squares, 0 means 0.99
	Epsilon float64 // of adam, adamw and rmsprop; 0 means 1e-8

	// WeightDecay pulls weights to zero. Coupled, it is an L2 penalty that is added to the
	// gradient, g + WeightDecay*w, and goes through momentum and normalisation with it.
	// Decoupled (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019),
	// it acts on the weight alone: w -= LR*WeightDecay*w.
	WeightDecay float64
	Decoupled   bool // adamw implies it

	Groups    []Group
	Clip      Clip
	Lookahead *Lookahead // nil: none
	EMA       *EMA       // nil: none
}

// Group is parameters that are updated in another way. The first group that matches a
// parameter is the one that counts; parameters that none matches have the scales 1.
type Group struct {
	Match      string   // pattern on the parameter's name (see path.Match), such as "norm*.bias"; "" is any
	Role       nn.Role  // "" is any
	LRScale    *float64 // multiplies LR; nil means 1
	DecayScale *float64 // multiplies WeightDecay; nil means 1
	UntilEpoch float64  // the parameters change before that epoch only, counted from 0; 0: always
}

// Algorithms returns the names that Config.Algorithm may have.
func Algorithms() []string { return []string{"sgd", "adam", "adamw", "rmsprop"} }

// withDefaults fills in what zero stands for.
func (c Config) withDefaults() Config {
	if c.Beta1 == 0 {
		c.Beta1 = 0.9
	}
	if c.Beta2 == 0 {
		c.Beta2 = 0.999
		if c.Algorithm == "rmsprop" {
			c.Beta2 = 0.99
		}
	}
	if c.Epsilon == 0 {
		c.Epsilon = 1e-8
	}
	if c.Algorithm == "adamw" {
		c.Decoupled = true
	}
	return c
}

// check returns what is wrong with the numbers.
func (c Config) check() error {
	fraction := func(x float64) bool { return x >= 0 && x < 1 }
	positive := func(x float64) bool { return x > 0 && !math.IsInf(x, 0) }
	switch {
	case !positive(c.LR):
		return fmt.Errorf("learning rate is %v, need a positive number", c.LR)
	case !fraction(c.Momentum):
		return fmt.Errorf("momentum is %v, need 0 or more, and less than 1", c.Momentum)
	case c.Nesterov && c.Algorithm != "sgd":
		return fmt.Errorf("nesterov is for sgd, the algorithm is %s", c.Algorithm)
	case c.Nesterov && c.Momentum == 0:
		return fmt.Errorf("nesterov needs a momentum")
	case c.Momentum != 0 && (c.Algorithm == "adam" || c.Algorithm == "adamw"):
		return fmt.Errorf("momentum is for sgd and rmsprop; %s has beta1", c.Algorithm)
	case !fraction(c.Beta1):
		return fmt.Errorf("beta1 is %v, need 0 or more, and less than 1", c.Beta1)
	case !fraction(c.Beta2):
		return fmt.Errorf("beta2 is %v, need 0 or more, and less than 1", c.Beta2)
	case !positive(c.Epsilon):
		return fmt.Errorf("epsilon is %v, need a positive number", c.Epsilon)
	case !(c.WeightDecay >= 0) || math.IsInf(c.WeightDecay, 0):
		return fmt.Errorf("weight decay is %v, need 0 or more", c.WeightDecay)
	}
	if err := setting.Check(c.Clip); err != nil {
		return fmt.Errorf("clip: %w", err)
	}
	if c.Lookahead != nil {
		if err := setting.Check(c.Lookahead); err != nil {
			return fmt.Errorf("lookahead: %w", err)
		}
	}
	if c.EMA != nil {
		if err := setting.Check(c.EMA); err != nil {
			return fmt.Errorf("ema: %w", err)
		}
	}
	return nil
}

// ConfigError is a setting that can't be, such as an unknown algorithm or a group without
// parameters.
type ConfigError struct{ Err error }

func (e *ConfigError) Error() string { return e.Err.Error() }

// Unwrap returns what is wrong.
func (e *ConfigError) Unwrap() error { return e.Err }

func unknownAlgorithm(name string) error {
	return fmt.Errorf("unknown algorithm %q (valid: %s)", name, strings.Join(Algorithms(), ", "))
}
