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
	s.readRule(&c)
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

// readTable reads a table that is the settings of v and nothing else.
func readTable[T any](s *section, v T) T {
	defer s.finish()
	return setting.Edit(v, s.constants, s.read)
}

// readRule reads the update rule, its learning rate and its weight decay.
func (s *section) readRule(c *optim.Config) {
	var l setting.List
	l.Float64(&c.LR, "lr", 0, setting.Positive, "learning rate before the schedule").Require()
	l.Float64(&c.WeightDecay, "weight-decay", 0, setting.NotNegative, "decay of the weights")
	algorithms := optim.Algorithms()
	var kinds []setting.Kind[*optim.Config]
	for _, name := range algorithms {
		kinds = append(kinds, setting.Kind[*optim.Config]{Name: name})
	}
	if !s.require("kind") {
		s.read(&l)
		s.acceptAll()
		return
	}
	v, _ := s.lookup("kind")
	kind, ok := kindOf(s, "kind", v, kinds)
	if !ok {
		s.read(&l)
		s.acceptAll()
		return
	}
	c.Algorithm = kind.Name
	ruleSettings(c, &l)
	s.read(&l)
	if c.Nesterov && c.Momentum == 0 {
		s.fail("nesterov", "needs a momentum above 0")
	}
}

// ruleSettings declares the settings of the rule that is named.
func ruleSettings(c *optim.Config, l *setting.List) {
	momentum := func() { l.Float64(&c.Momentum, "momentum", 0, setting.ZeroToBelowOne, "weight of the old velocity") }
	beta2 := 0.999
	switch c.Algorithm {
	case "sgd":
		momentum()
		l.Bool(&c.Nesterov, "nesterov", "Nesterov's momentum")
	case "rmsprop":
		momentum()
		beta2 = 0.99
	default:
		l.Float64(&c.Beta1, "beta1", 0.9, setting.BetweenZeroAndOne, "decay of the mean of the gradients")
	}
	if c.Algorithm != "sgd" {
		l.Float64(&c.Beta2, "beta2", beta2, setting.BetweenZeroAndOne, "decay of the mean of their squares")
		l.Float64(&c.Epsilon, "epsilon", 1e-8, setting.Positive, "added to the root of the squares")
	}
	if c.Algorithm != "adamw" {
		l.Bool(&c.Decoupled, "decoupled", "weight decay acts on the weight alone")
	}
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
	return g
}

// roles returns the values of role. The scale of a normalisation has two names: gain is the older one.
func roles() []setting.Option[nn.Role] {
	names := setting.Names("", nn.Weight, nn.Bias, nn.Gain)
	return append(names, setting.Option[nn.Role]{Name: "scale", Value: nn.Gain})
}
