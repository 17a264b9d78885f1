package optim

import (
	"math"
	"testing"
)

// adagrad is the rule as documented for torch.optim.Adagrad.
func adagrad(lrDecay, initial float64) func([]int) naive {
	const epsilon = 1e-10
	return func([]int) naive {
		var sum, sumBound []float64
		return func(w, bound, g []float64, s naiveStep) {
			if sum == nil {
				sum, sumBound = make([]float64, len(w)), make([]float64, len(w))
				for i := range sum {
					sum[i] = initial
				}
			}
			s.lr /= 1 + lrDecay*float64(s.step)
			for i := range w {
				g, eg := s.gradient(w[i], bound[i], g[i])
				sum[i] += g * g
				sumBound[i] += 2*math.Abs(g)*eg + unit*(g*g+sum[i])
				root := math.Sqrt(sum[i])
				eroot := sumBound[i]/(2*root) + 2*unit*root
				d := g / (root + epsilon)
				w[i], bound[i] = s.descend(w[i], bound[i], d, eg/root+math.Abs(d)*eroot/root+unit*math.Abs(d))
			}
		}
	}
}

func TestAdaGrad(t *testing.T) {
	for name, cfg := range decays(Config{Rule: AdaGrad{}, LR: 0.05}) {
		t.Run(name, func(t *testing.T) { follow(t, newRig(t), cfg, adagrad(0, 0)) })
	}
	t.Run("decay of the rate", func(t *testing.T) {
		follow(t, newRig(t), Config{Rule: &AdaGrad{LRDecay: 0.3, InitialSum: 0.7}, LR: 0.05}, adagrad(0.3, 0.7))
	})
	t.Run("skipped steps", func(t *testing.T) { skips(t, AdaGrad{LRDecay: 0.1}) })
}
