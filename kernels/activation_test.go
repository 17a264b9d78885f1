package kernels_test

import (
	"testing"

	"trainer/kernels"
	"trainer/nn"
)

// Every activation has kernels, and every kernel of the list in the sources is that of an activation.
func TestActivationKernelsHaveFunctions(t *testing.T) {
	known := map[kernels.Name]bool{}
	for _, f := range nn.Functions() {
		forward, backward, ok := kernels.Activation(f.Name)
		if !ok {
			t.Errorf("no kernels of the activation %s", f)
		}
		for _, s := range []kernels.Storage{kernels.Float32, kernels.Float16, kernels.BFloat16} {
			known[forward.In(s)], known[backward.In(s)] = true, true
		}
	}
	for _, m := range kernels.Modules() {
		for _, k := range m.Kernels {
			if m.Source == "activation.cu" && !known[k.Name] {
				t.Errorf("no activation has the kernel %s", k.Name)
			}
		}
	}
}
