package optim

import (
	"fmt"
	"reflect"
	"strings"
)

// Rule is an update rule with its settings, such as Adam{Beta1: 0.8}. It is a value; zero settings stand for
// defaults. Learning rate and weight decay are not among them: every rule has these two, and a group may have its own.
//
// A Go program can bring a rule of its own: these two methods are all it takes.
type Rule interface {
	// Kind returns the rule's name in recipes.
	Kind() string
	// Build adds the rule's device work for u's parameters to u. An error says why the rule can't be used with them.
	Build(u *Update) error
}

// Configurable is a rule, usually a pointer to one, that declares its settings. Settings of rules that don't are left as
// they are.
type Configurable interface {
	Settings(*Settings)
}

// decouples is a rule whose weight decay is always decoupled; see Config.Decoupled.
type decouples interface{ decoupled() }

// RuleKind is a rule that recipes can name.
type RuleKind struct {
	Name, Doc string
	New       func() Rule // returns a pointer to a rule without settings
}

// RuleKinds returns the built-in rules.
func RuleKinds() []RuleKind {
	return []RuleKind{
		{"sgd", "stochastic gradient descent, with momentum", func() Rule { return new(SGD) }},
		{"adam", "Adam (Kingma and Ba 2015)", func() Rule { return new(Adam) }},
		{"adamw", "Adam with decoupled weight decay (Loshchilov and Hutter 2019)", func() Rule { return new(AdamW) }},
		{"rmsprop", "RMSProp (Hinton 2012)", func() Rule { return new(RMSProp) }},
		{"adagrad", "AdaGrad (Duchi, Hazan and Singer 2011)", func() Rule { return new(AdaGrad) }},
		{"lion", "Lion: steps by the sign of the momentum (Chen et al. 2023)", func() Rule { return new(Lion) }},
		{"muon", "Muon: steps by an orthogonal matrix, for filters (Jordan 2024)", func() Rule { return new(Muon) }},
	}
}

// Algorithms returns the names of the built-in rules.
func Algorithms() []string {
	var names []string
	for _, k := range RuleKinds() {
		names = append(names, k.Name)
	}
	return names
}

// ruleOfKind returns a pointer to a rule without settings.
func ruleOfKind(name string) (Rule, error) {
	for _, k := range RuleKinds() {
		if k.Name == name {
			return k.New(), nil
		}
	}
	return nil, fmt.Errorf("unknown algorithm %q (valid: %s)", name, strings.Join(Algorithms(), ", "))
}

// AlwaysDecoupled reports whether the rule's weight decay is decoupled, however Config.Decoupled is set.
func AlwaysDecoupled(r Rule) bool {
	_, always := r.(decouples)
	return always
}

// Complete returns the rule as a value with defaults in place of zeros, or an error that says which setting is out of
// bounds.
func Complete(r Rule) (Rule, error) {
	pointer := pointerTo(r)
	if c, ok := pointer.(Configurable); ok {
		var s Settings
		c.Settings(&s)
		if err := s.complete(); err != nil {
			return nil, fmt.Errorf("%s: %w", r.Kind(), err)
		}
	}
	r = valueOf(pointer)
	if c, ok := r.(checker); ok {
		if err := c.check(); err != nil {
			return nil, fmt.Errorf("%s: %w", r.Kind(), err)
		}
	}
	return r, nil
}

// pointerTo returns a pointer to a copy of the rule, which may itself be a value or a pointer.
func pointerTo(r Rule) any {
	v := reflect.Indirect(reflect.ValueOf(r))
	p := reflect.New(v.Type())
	p.Elem().Set(v)
	return p.Interface()
}

// valueOf returns the rule that p points to, or p where only the pointer is a rule.
func valueOf(p any) Rule {
	if r, ok := reflect.ValueOf(p).Elem().Interface().(Rule); ok {
		return r
	}
	return p.(Rule)
}
