package optim

import (
	"fmt"
	"math"
)

// Clip limits the gradients before the update. With MaxNorm > 0 all of them are scaled by
// min(1, MaxNorm/norm), norm being the Euclidean norm of all gradients together (Pascanu,
// Mikolov and Bengio, "On the difficulty of training recurrent neural networks", ICML 2013);
// with MaxValue > 0 each element is then limited to [-MaxValue, MaxValue]. The gradients of
// parameters past their UntilEpoch count too. The zero value limits nothing.
//
// Code: nn/device/reference/clip.go (the formula in loops), cpu/clip.go, kernels/clip.cu. Test: nn/device/devicetest/clip.go.
type Clip struct {
	MaxNorm, MaxValue float64
}

func (c Clip) check() error {
	ok := func(x float64) bool { return x >= 0 && !math.IsInf(x, 0) }
	if !ok(c.MaxNorm) {
		return fmt.Errorf("the gradients' largest norm is %v, need 0 (no limit) or more", c.MaxNorm)
	}
	if !ok(c.MaxValue) {
		return fmt.Errorf("the gradients' largest value is %v, need 0 (no limit) or more", c.MaxValue)
	}
	return nil
}

func (c Clip) enabled() bool { return c.MaxNorm > 0 || c.MaxValue > 0 }
