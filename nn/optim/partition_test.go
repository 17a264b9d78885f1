package optim

import (
	"fmt"
	"sync"
	"testing"

	"trainer/cpu"
	"trainer/nn"
	"trainer/nn/device"
	"trainer/nn/ranks"
)

// TestPartitionMemory: each rank has its share of the states of rules that treat every element by itself, to a slice's alignment, and
// all ranks together have all states.
func TestPartitionMemory(t *testing.T) {
	shapes := [][]int{{7}, {1000, 33}, {33}, {10, 10}}
	total := 0
	for _, shape := range shapes {
		n := 1
		for _, s := range shape {
			n *= s
		}
		total += n
	}
	for name, c := range map[string]struct {
		rule     Rule
		states   int
		composed bool // it has scratch memory
	}{"adam": {Adam{}, 2, false}, "sgd": {SGD{Momentum: 0.9}, 1, false}, "adagrad": {AdaGrad{}, 1, true}} {
		for _, size := range []int{1, 2, 3, 4, 8} {
			t.Run(fmt.Sprintf("%s, %d ranks", name, size), func(t *testing.T) {
				most := c.states * 4 * ((total+size-1)/size + device.SliceAlignment)
				sum := make([]int, size)
				var running sync.WaitGroup
				for rank, transport := range ranks.NewGoroutines(size) {
					running.Go(func() {
						o, err := partitioned(t, transport, shapes, Config{Rule: c.rule, LR: 0.1})
						if err != nil {
							t.Errorf("rank %d: %v", rank, err)
							return
						}
						for _, x := range o.Tensors() {
							sum[rank] += 4 * x.Tensor.Len()
						}
						if sum[rank] > most {
							t.Errorf("rank %d has %d bytes of states, want at most %d", rank, sum[rank], most)
						}
						if rest := int(o.Memory()) - sum[rank]; rest > 1000 && !c.composed {
							t.Errorf("rank %d has %d bytes besides its states", rank, rest)
						}
					})
				}
				running.Wait()
				all := 0
				for _, n := range sum {
					all += n
				}
				if all != c.states*4*total {
					t.Errorf("all ranks have %d bytes of states, want %d", all, c.states*4*total)
				}
			})
		}
	}
}

// partitioned makes a rank's optimiser of parameters.
func partitioned(t *testing.T, transport ranks.Transport, shapes [][]int, cfg Config) (*Optimizer, error) {
	dev, err := cpu.New(cpu.WithThreads(1))
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { dev.Close() })
	var params []*nn.Param
	for i, shape := range shapes {
		p := &nn.Param{Name: fmt.Sprint("p", i), Role: nn.Weight}
		if p.Value, err = dev.NewTensor(device.Float32, shape...); err != nil {
			return nil, err
		}
		if p.Grad, err = dev.NewTensor(device.Float32, shape...); err != nil {
			return nil, err
		}
		params = append(params, p)
	}
	cfg.Partition = &Partition{Ranks: ranks.New(transport, dev)}
	return New(dev, params, nil, cfg, nil, 1, 1)
}
