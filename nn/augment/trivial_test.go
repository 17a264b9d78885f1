package augment

import (
	"testing"

	"trainer/nn/device"
)

// All fourteen changes occur about equally often: no change, five with affine, and one with each other operation.
func TestTrivialAugment(t *testing.T) {
	const n = 14000
	spec := device.TransformSpec{N: n, H: 32, W: 32, C: 3}
	d := List{{Transform: TrivialAugment{}}}.NewDrawer(&spec, 2)
	table, ids := make([]float32, n*spec.Columns()), make([]int32, n)
	for i := range ids {
		ids[i] = int32(i)
	}
	d.Draw(table, ids, 0)
	counts, nothing := make([]int, len(spec.Ops)), 0
	for i := range n {
		on := 0
		for k := range spec.Ops {
			if table[i*spec.Columns()+spec.Column(k)] != 0 {
				counts[k]++
				on++
			}
		}
		if on > 1 {
			t.Fatalf("image %d: %d changes", i, on)
		}
		if on == 0 {
			nothing++
		}
	}
	for k, count := range append(counts, nothing) {
		wanted := 1000
		if k == 0 {
			wanted = 5000
		}
		if count < wanted-150 || count > wanted+150 {
			t.Errorf("change %d came %d times, want about %d", k, count, wanted)
		}
	}
}
