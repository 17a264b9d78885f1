package recipe

import (
	"trainer/nn"
	"trainer/nn/optim"
	"trainer/nn/setting"
)

func (s *section) readOptimizer() optim.Config {
	var c optim.Config
	if s == nil {
		return c
	}
	defer s.finish()
	c.Rule, c.LR, c.WeightDecay, c.Decoupled = s.readRule()
	groups, _ := s.subs("group")
	for _, g := range groups {
		c.Groups = append(c.Groups, g.readGroup())
	}
	if sub := s.sub("clip"); sub != nil {
		c.Clip = readTable(sub, c.Clip)
	}
	if sub := s.sub("lookahead"); sub != nil {
		l := readTable(sub, optim.Lookahead{})
		if sub.has("decay") == sub.has("base") {
			sub.failHere("want one of decay (constant) and base (growing over training)")
		}
		c.Lookahead = &l
	}
	if sub := s.sub("ema"); sub != nil {
		e := readTable(sub, optim.EMA{})
		c.EMA = &e
	}
	return c
}

// readTable reads a table that holds the settings of v and nothing else.
func readTable[T any](s *section, v T) T {
	defer s.finish()
	return setting.Edit(v, s.constants, s.read)
}

// readRule reads the update rule that kind names, with its learning rate and weight decay. The rule is nil if no rule
// has that name.
func (s *section) readRule() (rule optim.Rule, lr, decay float64, decoupled bool) {
	s.has("kind") // so that messages list it first
	var rates, coupling setting.List
	rates.Float64(&lr, "lr", 0, setting.Positive, "learning rate before the schedule").Require()
	rates.Float64(&decay, "weight-decay", 0, setting.NotNegative, "decay of the weights")
	s.read(&rates)
	rule, ok := readKind(s, "kind", s.kinds.Rules)
	if ok && !optim.AlwaysDecoupled(rule) {
		coupling.Bool(&decoupled, "decoupled", "weight decay acts on the weight alone")
		s.read(&coupling)
	}
	return rule, lr, decay, decoupled
}

func (s *section) readGroup() optim.Group {
	defer s.finish()
	var g optim.Group
	var l setting.List
	l.Text(&g.Match, "match", "pattern of the parameters' names")
	setting.Choice(&l, &g.Role, "role", roles(), "role of the parameters")
	l.OptionalFloat64(&g.LRScale, "lr-scale", "1", setting.NotNegative, "factor of the learning rate")
	l.OptionalFloat64(&g.DecayScale, "decay-scale", "1", setting.NotNegative, "factor of the weight decay")
	l.Float64(&g.UntilEpoch, "until-epoch", 0, setting.NotNegative, "the parameters change before that epoch only; 0: always")
	s.read(&l)
	if !s.has("match") && !s.has("role") {
		s.failHere("match (a pattern of names, such as \"norm*\") or role is missing")
	}
	if sub := s.sub("schedule"); sub != nil {
		g.Schedule = sub.readSchedule()
	}
	if s.has("kind") { // the group has its own rule
		g.Rule, g.LR, g.WeightDecay, g.Decoupled = s.readRule()
	}
	return g
}

// roles returns the valid values of the key role. The scale of a normalisation has two names, of which gain is the
// older.
func roles() []setting.Option[nn.Role] {
	names := setting.Names("", nn.Weight, nn.Bias, nn.Gain)
	return append(names, setting.Option[nn.Role]{Name: "scale", Value: nn.Gain})
}
