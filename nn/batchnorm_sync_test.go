package nn_test

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"

	"trainer/cpu"
	"trainer/nn"
	"trainer/nn/device"
	"trainer/nn/ranks"
)

// syncRig is a network with batch normalisation, and a batch of images far from 0.
type syncRig struct {
	x      []float32
	labels []int32
	loss   nn.Loss
}

func newSyncRig(n int, loss nn.Loss) *syncRig {
	r := &syncRig{loss: loss}
	for i := range n * 16 {
		r.x = append(r.x, 3+float32(math.Sin(float64(i*i)))*float32(1+i%5))
	}
	for i := range n {
		r.labels = append(r.labels, int32(i*i%3))
	}
	return r
}

// part is a process's network after one batch, with its part of the batch.
type part struct {
	net      *nn.Network
	examples int
	grads    [][]float64 // of each parameter
	state    [][]float64
	loss     float64 // sum over its examples
}

// run computes the forward and backward pass of images from <= i < to in a process, after which change has changed the network.
func (r *syncRig) run(t *testing.T, c device.Collective, dev device.Device, sizes []int, from, to int, change func(*nn.Network)) *part {
	model := nn.NewSequential(nn.Conv2D{OutC: 3, Kernel: nn.Square(3)}, nn.BatchNorm{}, nn.ReLU{}, nn.Flatten{}, nn.Dense{Out: 4}, nn.BatchNorm{Momentum: 0.3}, nn.GELU{}, nn.Dense{Out: 3})
	n, err := nn.Compile(dev, model, nn.Options{
		Input: nn.Shape{4, 4, 1}, Batch: slices.Max(append(sizes, to-from)), Training: true, Loss: r.loss, Seed: 3, Sync: c,
	})
	if err != nil {
		t.Error(err)
		return nil
	}
	if change != nil {
		change(n)
	}
	x, errX := dev.NewTensor(device.Float32, to-from, 4, 4, 1)
	labels, errL := dev.NewTensor(device.Int32, to-from)
	for _, err := range []error{
		errX, errL, dev.Upload(x, device.Bytes(r.x[from*16:to*16])), dev.Upload(labels, device.Bytes(r.labels[from:to])), n.SetParts(sizes),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	n.Forward(x, nn.Training)
	n.Loss(labels)
	n.Backward(labels)
	if err := n.SyncFault(); err != nil {
		t.Error(err)
	}
	p := &part{net: n, examples: to - from}
	values := func(x *device.Tensor) (list []float64) {
		host := make([]float32, x.Len())
		if err := dev.Download(device.Bytes(host), x); err != nil {
			t.Error(err)
		}
		for _, v := range host {
			list = append(list, float64(v))
		}
		return list
	}
	for _, q := range n.Params() {
		p.grads = append(p.grads, values(q.Grad))
	}
	for _, q := range n.State() {
		p.state = append(p.state, values(q.Value))
	}
	p.loss = values(n.Stats())[device.StatLoss]
	return p
}

// runParts computes the parts of the batch in as many processes.
func (r *syncRig) runParts(t *testing.T, sizes []int, change func(*nn.Network)) []*part {
	t.Helper()
	parts := make([]*part, len(sizes))
	var running sync.WaitGroup
	from := 0
	for k, transport := range ranks.NewGoroutines(len(sizes)) {
		start, dev := from, newCPUDevice(t)
		from += sizes[k]
		running.Go(func() {
			parts[k] = r.run(t, ranks.New(transport, dev), dev, sizes, start, start+sizes[k], change)
		})
	}
	running.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return parts
}

func newCPUDevice(t *testing.T) device.Device {
	dev, err := cpu.New(cpu.WithThreads(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	return dev
}

// TestSyncBatchNorm: the gradients and the running statistics of several processes, with parts of equal and of unequal sizes, are
// those of one process with the whole batch, to rounding.
func TestSyncBatchNorm(t *testing.T) {
	for _, sizes := range [][]int{{4, 4}, {3, 2, 3}, {2, 5}} {
		for _, loss := range []nn.Loss{nn.CrossEntropy{}, nn.CrossEntropy{Sum: true}} {
			t.Run(fmt.Sprintf("%v, sum %v", sizes, loss.Summed()), func(t *testing.T) {
				total := 0
				for _, n := range sizes {
					total += n
				}
				r := newSyncRig(total, loss)
				whole := r.run(t, nil, newCPUDevice(t), []int{total}, 0, total, nil)
				parts := r.runParts(t, sizes, nil)
				for i := range whole.grads {
					sum := make([]float64, len(whole.grads[i]))
					largest := 0.0
					for _, p := range parts {
						weight := float64(p.examples) / float64(total)
						if loss.Summed() {
							weight = 1
						}
						for j, g := range p.grads[i] {
							sum[j] += weight * g
							largest = max(largest, math.Abs(weight*g))
						}
					}
					near(t, "gradient of "+whole.net.Params()[i].Name, sum, whole.grads[i], largest)
				}
				for i := range whole.state {
					for _, p := range parts {
						near(t, whole.net.State()[i].Name, p.state[i], whole.state[i], 0)
					}
				}
			})
		}
	}
}

// near compares values up to the rounding of the few hundred terms of which each is a sum, relative to the largest value.
func near(t *testing.T, name string, got, want []float64, size float64) {
	t.Helper()
	for _, w := range want {
		size = max(size, math.Abs(w))
	}
	for i := range want {
		if math.Abs(got[i]-want[i]) > 300*size/(1<<24) {
			t.Errorf("%s[%d] is %v, want %v", name, i, got[i], want[i])
		}
	}
}

// TestSyncBatchNormGradients compares the summed gradients with central differences of the summed losses.
func TestSyncBatchNormGradients(t *testing.T) {
	sizes := []int{3, 5}
	r := newSyncRig(8, nn.CrossEntropy{Sum: true})
	parts := r.runParts(t, sizes, nil)
	const h = 1.0 / 64
	for i, p := range parts[0].net.Params() {
		at := (i * 7) % p.Value.Len()
		losses := map[float32]float64{}
		for _, by := range []float32{-h, h} {
			for _, moved := range r.runParts(t, sizes, func(n *nn.Network) {
				value := n.Params()[i].Value
				host := make([]float32, value.Len())
				if err := n.Device().Download(device.Bytes(host), value); err != nil {
					t.Error(err)
				}
				host[at] += by
				if err := n.Device().Upload(value, device.Bytes(host)); err != nil {
					t.Error(err)
				}
			}) {
				losses[by] += moved.loss
			}
		}
		numeric, analytic := (losses[h]-losses[-h])/(2*h), 0.0
		for _, q := range parts {
			analytic += q.grads[i][at]
		}
		if math.Abs(numeric-analytic) > 2e-3*(1+math.Abs(analytic)) {
			t.Errorf("%s[%d]: the gradient is %v, by differences %v", p.Name, at, analytic, numeric)
		}
	}
}
