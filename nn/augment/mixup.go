package augment

import (
	"trainer/nn/device"
	"trainer/nn/setting"
)

// Mixup replaces each image with a weighted mean of itself and the next image of the batch, and the label likewise
// (Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, equation 2):
//
//	y = k x + (1-k) z        target = k onehot(label of x) + (1-k) onehot(label of z)
//
// where, for each image, k is the larger of k' and 1-k', with k' drawn from Beta(Alpha, Alpha). Batches are in random
// order, so the next image is a random one, and it makes no difference which of the two is called x; but with k near 0
// an image would be missing from the epoch (Berthelot et al., "MixMatch", NeurIPS 2019, equation 9).
type Mixup struct{ Alpha float64 }

func mixupKind() Kind {
	return Kind{Name: "mixup", Doc: "mix with the next image of the batch, and the labels likewise", New: func() Transform { return Mixup{} }}
}

// Kind returns "mixup".
func (Mixup) Kind() string { return "mixup" }

// Settings declares alpha.
func (t *Mixup) Settings(s *setting.List) { alphaSetting(s, &t.Alpha, 0.2) }

// alphaSetting declares the parameter of the beta distribution.
func alphaSetting(s *setting.List, field *float64, fallback float64) {
	s.Float64(field, "alpha", fallback, setting.Range(0.01, 2), "parameter of the beta distribution: small for little mixing, 1 for any share alike")
}

// Ops returns mix.
func (Mixup) Ops() []*device.ImageOp { return []*device.ImageOp{mix} }

// Draw draws the share.
func (t Mixup) Draw(r *Random, p Params) {
	k := beta(r, t.Alpha)
	k = max(k, 1-k)
	p.Set(0, k, 0, 0, float64(r.H), float64(r.W), k)
}
