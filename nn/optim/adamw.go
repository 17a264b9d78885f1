package optim

import "trainer/nn/setting"

// AdamW is Adam with decoupled weight decay (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019,
// algorithm 2): the decay acts on the weight alone and is not divided by sqrt(v),
//
//	w = w - LR*decay*w - LR * (Adam's direction)
type AdamW Adam

func adamWKind() RuleKind {
	return RuleKind{Name: "adamw", Doc: "Adam with decoupled weight decay (Loshchilov and Hutter 2019)", New: func() Rule { return AdamW{} }}
}

// Kind returns "adamw".
func (AdamW) Kind() string { return "adamw" }

// Settings declares Adam's keys.
func (r *AdamW) Settings(s *setting.List) { (*Adam)(r).Settings(s) }

// Build adds Adam's update. It learns from AlwaysDecoupled that the decay is decoupled.
func (r AdamW) Build(u *Update) error { return Adam(r).Build(u) }

func (AdamW) decoupled() {}

// Elementwise marks a rule that treats every element by itself.
func (AdamW) Elementwise() {}
