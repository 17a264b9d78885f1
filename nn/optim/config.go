package optim

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"

	"trainer/nn"
	"trainer/nn/setting"
)

// Config says how weights are updated. It is plain data, as in a recipe.
type Config struct {
	// Rule updates the parameters that are in no group, or in a group without its own rule. The fields from Algorithm
	// to Epsilon, except LR, are another way to set it: Config{Algorithm: "adam", Beta1: 0.8} means Config{Rule:
	// Adam{Beta1: 0.8}}.
	Rule Rule `json:"-"`

	Algorithm string  // see Algorithms; "" if Rule is set
	LR        float64 // learning rate before the schedule's factor and the group's scale

	Momentum float64 // these fields set the rule's fields of the same names; 0 means the rule's default
	Nesterov bool
	Beta1    float64
	Beta2    float64
	Epsilon  float64

	// WeightDecay pulls weights to zero. Coupled, it is an L2 penalty that is added to the
	// gradient, g + WeightDecay*w, and passes through momentum and normalisation with the
	// gradient. Decoupled (Loshchilov and Hutter, "Decoupled Weight Decay Regularization",
	// ICLR 2019), it acts on the weight alone: w -= LR*WeightDecay*w. With AdamW it is
	// always decoupled.
	WeightDecay float64
	Decoupled   bool

	// ThawEpoch is the epoch, counted from 0, before which parameters that thaw (nn.Param.Thaws) don't change. Their rule
	// begins then as if training did.
	ThawEpoch float64 `json:",omitempty"`

	// Partition divides the work and the states over ranks; nil: this process does all. It doesn't change the results.
	Partition *Partition `json:"-"`

	Groups    []Group
	Clip      Clip
	Lookahead *Lookahead // nil means none
	EMA       *EMA       // nil means none
}

// Group is a set of parameters with settings of their own. A parameter belongs to the first
// group that matches it; parameters that match no group have the scales 1.
type Group struct {
	Match      string   // pattern on the parameter's name (see path.Match), such as "norm*.bias"; "" matches any
	Role       nn.Role  // "" matches any
	LRScale    *float64 // multiplies LR; nil means 1
	DecayScale *float64 // multiplies WeightDecay; nil means 1
	UntilEpoch float64  // the parameters change only before this epoch, counted from 0; 0 means always

	Schedule Schedule `json:",omitempty"` // of these parameters' learning rate; nil means New's

	// Rule updates these parameters; nil means Config's rule. A group with its own rule also has its own learning rate
	// and weight decay, in place of Config's; in a group without its own rule these fields must be zero.
	Rule        Rule    `json:"-"`
	LR          float64 `json:",omitempty"`
	WeightDecay float64 `json:",omitempty"`
	Decoupled   bool    `json:",omitempty"`
}

// Kind returns the name of the rule.
func (c Config) Kind() string {
	if c.Rule != nil {
		return c.Rule.Kind()
	}
	return c.Algorithm
}

// rule returns the rule that Rule or the fields from Algorithm on describe, with defaults filled in.
func (c Config) rule() (Rule, error) {
	given := c.given()
	if c.Rule != nil {
		if c.Algorithm != "" || len(given) > 0 {
			return nil, fmt.Errorf("the rule is %s, and there are settings beside it (algorithm %q, momentum, ...): put them into the rule", c.Rule.Kind(), c.Algorithm)
		}
		return completeRule(c.Rule)
	}
	r, err := ruleOfKind(c.Algorithm)
	if err != nil {
		return nil, err
	}
	r = setting.Edit(r, nil, func(l *setting.List) {
		for _, x := range l.All() {
			if v, ok := given[x.Key]; ok && err == nil {
				err = keyError(x.Key, x.Set(v))
				delete(given, x.Key)
			}
		}
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Algorithm, err)
	}
	if other := slices.Sorted(maps.Keys(given)); len(other) > 0 {
		return nil, fmt.Errorf("%s has no setting %s", c.Algorithm, strings.Join(other, ", "))
	}
	return completeRule(r)
}

func keyError(key string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", key, err)
}

// given returns the rule's settings that the fields from Momentum on set, by key.
func (c Config) given() map[string]any {
	given := map[string]any{}
	for key, v := range map[string]float64{"momentum": c.Momentum, "beta1": c.Beta1, "beta2": c.Beta2, "epsilon": c.Epsilon} {
		if v != 0 {
			given[key] = v
		}
	}
	if c.Nesterov {
		given["nesterov"] = true
	}
	return given
}

// check returns an error if a number is invalid, except the rule's own.
func (c Config) check() error {
	if err := checkRates(c.LR, c.WeightDecay); err != nil {
		return err
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

// checkRates returns an error if a learning rate or a weight decay is invalid.
func checkRates(lr, decay float64) error {
	if !(lr > 0) || math.IsInf(lr, 0) {
		return fmt.Errorf("learning rate is %v, need a positive number", lr)
	}
	if !(decay >= 0) || math.IsInf(decay, 0) {
		return fmt.Errorf("weight decay is %v, need 0 or more", decay)
	}
	return nil
}

// MarshalJSON describes the configuration: checkpoints compare its text. The rules that Config could name before the
// field Rule existed have the same text in both forms, so that older checkpoints can be resumed.
func (c Config) MarshalJSON() ([]byte, error) {
	type plain Config
	text := struct {
		plain
		ruleText
	}{plain(c.inFields()), ruleText{}}
	if text.Algorithm == "" {
		text.ruleText = describeRule(c.Rule)
	}
	return json.Marshal(text)
}

// inFields returns the configuration with the fields from Algorithm on in place of Rule, if these fields can express
// the rule.
func (c Config) inFields() Config {
	if c.Rule == nil {
		return c
	}
	f := c
	f.Algorithm, f.Rule = c.Rule.Kind(), nil
	rule := reflect.Indirect(reflect.ValueOf(c.Rule)).Interface()
	switch r := rule.(type) {
	case SGD:
		f.Momentum, f.Nesterov = r.Momentum, r.Nesterov
	case Adam:
		f.Beta1, f.Beta2, f.Epsilon = r.Beta1, r.Beta2, r.Epsilon
	case AdamW:
		f.Beta1, f.Beta2, f.Epsilon = r.Beta1, r.Beta2, r.Epsilon
	case RMSProp:
		f.Momentum, f.Beta2, f.Epsilon = r.Momentum, r.Beta2, r.Epsilon
	default:
		return c
	}
	if own, err := f.rule(); err != nil || !reflect.DeepEqual(own, setting.Completed(rule.(Rule))) {
		return c // a setting that the fields don't have
	}
	return f
}

// MarshalJSON describes the group with its rule's name.
func (g Group) MarshalJSON() ([]byte, error) {
	type plain Group
	return json.Marshal(struct {
		plain
		ruleText
	}{plain(g), describeRule(g.Rule)})
}

// ruleText is a rule's name and settings.
type ruleText struct {
	Kind     string `json:",omitempty"`
	Settings Rule   `json:",omitempty"`
}

func describeRule(r Rule) ruleText {
	if r == nil {
		return ruleText{}
	}
	return ruleText{r.Kind(), r}
}

// ConfigError reports an invalid setting, such as an unknown algorithm or a group without
// parameters.
type ConfigError struct{ Err error }

func (e *ConfigError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *ConfigError) Unwrap() error { return e.Err }
