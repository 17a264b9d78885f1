package optim

import "trainer/nn/setting"

// Clip limits the gradients before the update. With MaxNorm > 0 all gradients are scaled by
// min(1, MaxNorm/norm), where norm is the Euclidean norm of all gradients together (Pascanu,
// Mikolov and Bengio, "On the difficulty of training recurrent neural networks", ICML 2013);
// with MaxValue > 0 each element is then limited to [-MaxValue, MaxValue]. The gradients of
// parameters past their UntilEpoch count too. The zero value limits nothing.
//
// Code: nn/device/reference/clip.go (the formula in loops), cpu/clip.go, kernels/clip.cu. Test:
// nn/device/devicetest/clip.go.
type Clip struct {
	MaxNorm, MaxValue float64
}

// Settings declares the keys of recipes.
func (c *Clip) Settings(s *setting.List) {
	s.Float64(&c.MaxNorm, "max-norm", 0, setting.NotNegative, "largest norm of all gradients together; 0 is no limit")
	s.Float64(&c.MaxValue, "max-value", 0, setting.NotNegative, "largest element; 0 is no limit")
}

func (c Clip) enabled() bool { return c.MaxNorm > 0 || c.MaxValue > 0 }
