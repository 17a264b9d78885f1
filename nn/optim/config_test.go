package optim

import (
	"encoding/json"
	"testing"

	"trainer/nn"
)

// TestJSON checks the text that checkpoints compare: for the rules that existed before Config.Rule, both forms of the
// configuration give the same text as in older checkpoints.
func TestJSON(t *testing.T) {
	const clip = `"Clip":{"MaxNorm":0,"MaxValue":0},"Lookahead":null,"EMA":null`
	sgd := `{"Algorithm":"sgd","LR":0.1,"Momentum":0.9,"Nesterov":true,"Beta1":0,"Beta2":0,"Epsilon":0,"WeightDecay":0.2,"Decoupled":false,` +
		`"Groups":[{"Match":"norm*","Role":"bias","LRScale":64,"DecayScale":null,"UntilEpoch":3}],` + clip + `}`
	adam := `{"Algorithm":"adam","LR":0.1,"Momentum":0,"Nesterov":false,"Beta1":0.9,"Beta2":0.999,"Epsilon":1e-8,"WeightDecay":0,"Decoupled":true,"Groups":null,` + clip + `}`
	groups := []Group{{Match: "norm*", Role: nn.Bias, LRScale: scale(64), UntilEpoch: 3}}
	for _, c := range []struct {
		cfg  Config
		want string
	}{
		{Config{Algorithm: "sgd", LR: 0.1, Momentum: 0.9, Nesterov: true, WeightDecay: 0.2, Groups: groups}, sgd},
		{Config{Rule: SGD{Momentum: 0.9, Nesterov: true}, LR: 0.1, WeightDecay: 0.2, Groups: groups}, sgd},
		{Config{Algorithm: "adam", Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, LR: 0.1, Decoupled: true}, adam},
		{Config{Rule: &Adam{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8}, LR: 0.1, Decoupled: true}, adam},
		{Config{Rule: SGD{Momentum: 0.9, Dampening: 0.5}, LR: 0.1},
			`{"Algorithm":"","LR":0.1,"Momentum":0,"Nesterov":false,"Beta1":0,"Beta2":0,"Epsilon":0,"WeightDecay":0,"Decoupled":false,` +
				`"Groups":null,` + clip + `,"Kind":"sgd","Settings":{"Momentum":0.9,"Nesterov":false,"Dampening":0.5}}`},
		{Config{Rule: ownRule{Power: 2}, Groups: []Group{{Match: "x", Rule: SGD{}, LR: 1}}},
			`{"Algorithm":"","LR":0,"Momentum":0,"Nesterov":false,"Beta1":0,"Beta2":0,"Epsilon":0,"WeightDecay":0,"Decoupled":false,` +
				`"Groups":[{"Match":"x","Role":"","LRScale":null,"DecayScale":null,"UntilEpoch":0,"LR":1,"Kind":"sgd","Settings":{"Momentum":0,"Nesterov":false}}],` +
				clip + `,"Kind":"own","Settings":{"Power":2}}`},
	} {
		got, err := json.Marshal(c.cfg)
		if err != nil || string(got) != c.want {
			t.Errorf("%+v: %v\ngot  %s\nwant %s", c.cfg, err, got, c.want)
		}
	}
}

// ownRule is a rule defined by a Go program.
type ownRule struct{ Power float64 }

func (ownRule) Kind() string        { return "own" }
func (ownRule) Build(*Update) error { return nil }
