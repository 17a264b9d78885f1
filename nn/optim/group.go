package optim

import (
	"errors"
	"fmt"
	"path"
	"reflect"
	"slices"
	"strings"

	"trainer/nn"
	"trainer/nn/setting"
)

// row is a Group with its defaults, from which one row of the hyperparameters is computed.
type row struct {
	lr, lrScale float64 // the learning rate before the schedule's factor, and the factor applied after it
	schedule    Schedule
	decay       float64 // the weight decay, scaled
	untilEpoch  float64
	fromEpoch   float64 // parameters that thaw then
	rule        int     // index of the rule
}

// ruleOf is a rule together with the form of its weight decay: parameters that share both are updated together.
type ruleOf struct {
	Rule
	decoupled bool
}

// String names the group in errors.
func (g Group) String() string {
	switch {
	case g.Role == "":
		return fmt.Sprintf("%q", g.Match)
	case g.Match == "":
		return fmt.Sprintf("role %q", g.Role)
	}
	return fmt.Sprintf("%q with role %q", g.Match, g.Role)
}

func (g Group) matches(p *nn.Param) (bool, error) {
	if g.Role != "" && g.Role != p.Role {
		return false, nil
	}
	if g.Match == "" {
		return true, nil
	}
	return path.Match(g.Match, p.Name)
}

// rowsOf returns one row per group, then a last row for the parameters that match no group, and the rules of the rows.
// The first rule is the configuration's. The schedule is that of groups without their own.
func rowsOf(c Config, schedule Schedule) (rows []row, rules []ruleOf, err error) {
	own, err := c.rule()
	if err != nil {
		return nil, nil, err
	}
	rules = []ruleOf{newRuleOf(own, c.Decoupled)}
	for _, g := range c.Groups {
		r := row{lr: c.LR, lrScale: 1, schedule: schedule, decay: c.WeightDecay, untilEpoch: g.UntilEpoch}
		if g.Schedule != nil {
			if err := setting.Check(g.Schedule); err != nil {
				return nil, nil, fmt.Errorf("group %v: schedule: %w", g, err)
			}
			r.schedule = complete(g.Schedule)
		}
		if err := g.ownRule(&r, &rules); err != nil {
			return nil, nil, fmt.Errorf("group %v: %w", g, err)
		}
		decayScale := 1.0
		if g.LRScale != nil {
			r.lrScale = *g.LRScale
		}
		if g.DecayScale != nil {
			decayScale = *g.DecayScale
		}
		if !(r.lrScale >= 0) || !(decayScale >= 0) || !(r.untilEpoch >= 0) {
			return nil, nil, fmt.Errorf("group %v: scales and the last epoch must be 0 or more", g)
		}
		r.decay *= decayScale
		rows = append(rows, r)
	}
	return append(rows, row{lr: c.LR, lrScale: 1, schedule: schedule, decay: c.WeightDecay}), rules, nil
}

func newRuleOf(r Rule, decoupled bool) ruleOf {
	return ruleOf{r, decoupled || AlwaysDecoupled(r)}
}

// ownRule sets the fields of r that a group with its own rule defines, and adds the rule to the list unless the list
// has it.
func (g Group) ownRule(r *row, rules *[]ruleOf) error {
	if g.Rule == nil {
		if g.LR != 0 || g.WeightDecay != 0 || g.Decoupled {
			return errors.New("it has a learning rate or a weight decay, but no rule of its own: use LRScale and DecayScale")
		}
		return nil
	}
	own, err := completeRule(g.Rule)
	if err != nil {
		return err
	}
	if err := checkRates(g.LR, g.WeightDecay); err != nil {
		return err
	}
	r.lr, r.decay = g.LR, g.WeightDecay
	rule := newRuleOf(own, g.Decoupled)
	for i, other := range *rules {
		if reflect.DeepEqual(other, rule) {
			r.rule = i
			return nil
		}
	}
	r.rule = len(*rules)
	*rules = append(*rules, rule)
	return nil
}

// thawing returns the rows, and after them the same rows for parameters that thaw at an epoch, if there are any.
func thawing(rows []row, epoch float64, params []*nn.Param) []row {
	if !slices.ContainsFunc(params, func(p *nn.Param) bool { return p.Thaws }) {
		return rows
	}
	all := slices.Clone(rows)
	for _, r := range rows {
		r.fromEpoch = epoch
		all = append(all, r)
	}
	return all
}

// isFrozen reports whether the row's parameters don't change at this point of training.
func (r row) isFrozen(p Progress) bool {
	return r.hasEnded(p) || r.fromEpoch > 0 && !p.Reached(r.fromEpoch)
}

// hasEnded reports whether the row's parameters don't change from this point of training on.
func (r row) hasEnded(p Progress) bool { return r.untilEpoch > 0 && p.Reached(r.untilEpoch) }

// Ended returns the number of groups whose parameters don't change from a step on, counted from 0, and whose gradients
// nothing reads.
func (o *Optimizer) Ended(step int) (count int) {
	if o.clip != nil { // the norm is that of all gradients
		return 0
	}
	p := o.progress(step)
	for _, r := range o.rows {
		if r.hasEnded(p) {
			count++
		}
	}
	return count
}

// HasEnded reports whether a parameter is in one of the groups that Ended counts.
func (o *Optimizer) HasEnded(param *nn.Param, step int) bool {
	if o.clip != nil {
		return false
	}
	p := o.progress(step)
	for _, u := range o.updates {
		for _, known := range u.params {
			if known.Param == param {
				return o.rows[known.index].hasEnded(p)
			}
		}
	}
	return false
}

// ruleStep returns the number of the step for the row's rule, which begins when the parameters thaw.
func (r row) ruleStep(p Progress) int {
	if r.fromEpoch == 0 {
		return p.Step
	}
	return max(0, p.Step-p.firstStep(r.fromEpoch))
}

// assign returns the row of each parameter: the row of the first group that matches the parameter, or the last row. A group
// may have frozen parameters only.
func assign(groups []Group, params, frozen []*nn.Param) (rowOf []int, err error) {
	taken := make([]bool, len(groups))
	rowOf = make([]int, len(params))
	for i, p := range params {
		rowOf[i] = len(groups)
		for k, g := range groups {
			ok, err := g.matches(p)
			if err != nil {
				return nil, fmt.Errorf("group %v: %w", g, err)
			}
			if ok {
				rowOf[i], taken[k] = k, true
				break
			}
		}
	}
	for k, g := range groups {
		for _, p := range frozen {
			ok, err := g.matches(p)
			taken[k] = taken[k] || ok && err == nil
		}
		if !taken[k] {
			return nil, fmt.Errorf("group %v has no parameters, or those before it have them all (trained parameters: %s)", g, names(params))
		}
	}
	return rowOf, nil
}

func names(params []*nn.Param) string {
	list := make([]string, len(params))
	for i, p := range params {
		list[i] = p.Name
	}
	return strings.Join(list, ", ")
}
