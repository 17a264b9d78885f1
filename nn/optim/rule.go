package optim

import (
	"fmt"
	"slices"
	"strings"

	"trainer/nn/setting"
)

// Rule is an update rule with its settings, such as Adam{Beta1: 0.8}. It is a value whose zero settings stand for
// defaults. Learning rate and weight decay are not settings of the rule: every rule has both, and a group may have its
// own.
//
// A Go program can define its own rule: it needs only these two methods. If the rule has settings, its pointer must be
// a setting.Settable.
type Rule interface {
	// Kind returns the rule's name in recipes.
	Kind() string
	// Build adds the rule's device work for u's parameters to u. An error says why the rule can't be used with them.
	Build(u *Update) error
}

// decouples is implemented by rules whose weight decay is always decoupled; see Config.Decoupled.
type decouples interface{ decoupled() }

// AlwaysDecoupled reports whether the rule's weight decay is decoupled whatever Config.Decoupled says.
func AlwaysDecoupled(r Rule) bool {
	_, always := r.(decouples)
	return always
}

// RuleKind is a kind of rule that recipes can name. Its settings are those of the rule that New returns.
type RuleKind = setting.Kind[Rule]

// RuleKinds returns the kinds of rules of this package. Each is declared in its rule's file.
func RuleKinds() []RuleKind {
	return []RuleKind{
		sgdKind(),
		adamKind(),
		adamWKind(),
		rmsPropKind(),
		adaGradKind(),
		lionKind(),
		larsKind(),
		lambKind(),
		muonKind(),
	}
}

// Algorithms returns the names of the rules of this package.
func Algorithms() []string { return setting.KindNames(RuleKinds()) }

// ruleOfKind returns a rule of the kind with all settings zero.
func ruleOfKind(name string) (Rule, error) {
	kinds := RuleKinds()
	i := slices.IndexFunc(kinds, func(k RuleKind) bool { return k.Name == name })
	if i < 0 {
		return nil, fmt.Errorf("unknown algorithm %q (valid: %s)", name, strings.Join(Algorithms(), ", "))
	}
	return kinds[i].New(), nil
}

// completeRule returns the rule with defaults in place of zeros, or an error that says which setting is out of bounds.
func completeRule(r Rule) (Rule, error) {
	if err := setting.Check(r); err != nil {
		return nil, fmt.Errorf("%s: %w", r.Kind(), err)
	}
	return setting.Completed(r), nil
}
