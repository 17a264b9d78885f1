package nn

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"trainer/nn/device"
)

// shardRig is a network whose gradients depend on which images share a shard, and images for it.
type shardRig struct {
	dev    device.Device
	x      []float32
	labels []int32
	sizes  []int // images of each shard
	starts []int
}

func newShardRig(t *testing.T, sizes []int) *shardRig {
	r := &shardRig{dev: newHost(t), sizes: sizes}
	for _, n := range sizes {
		r.starts = append(r.starts, len(r.labels))
		for range n {
			for range 16 {
				i := len(r.x)
				r.x = append(r.x, float32(math.Sin(float64(i*i))))
			}
			r.labels = append(r.labels, int32(len(r.labels)%3))
		}
	}
	return r
}

func (r *shardRig) compile(t *testing.T, loss Loss, local int, accumulate bool) *Network {
	t.Helper()
	n, err := Compile(r.dev, NewSequential(Conv2D{OutC: 2, Kernel: Square(3)}, BatchNorm{}, GELU{}, Flatten{}, Dense{Out: 3}), Options{
		Input: Shape{4, 4, 1}, Batch: slices.Max(r.sizes), Training: true, Loss: loss, Seed: 3, Shards: local, Accumulate: accumulate,
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// pass computes the forward and backward pass of shard k.
func (r *shardRig) pass(t *testing.T, n *Network, k int) {
	t.Helper()
	from, size := r.starts[k], r.sizes[k]
	x, err := r.dev.NewTensor(device.Float32, size, 4, 4, 1)
	if err != nil {
		t.Fatal(err)
	}
	labels, err := r.dev.NewTensor(device.Int32, size)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.dev.Upload(x, device.Bytes(r.x[from*16:(from+size)*16])); err != nil {
		t.Fatal(err)
	}
	if err := r.dev.Upload(labels, device.Bytes(r.labels[from:from+size])); err != nil {
		t.Fatal(err)
	}
	n.Forward(x, Training)
	n.Loss(labels)
	n.Backward(labels)
}

// shard is pass between BeginShard and EndShard.
func (r *shardRig) shard(t *testing.T, n *Network, k int) {
	t.Helper()
	if err := n.BeginShard(r.sizes[k], len(r.labels), len(r.labels)); err != nil {
		t.Fatal(err)
	}
	r.pass(t, n, k)
	n.EndShard()
}

func (r *shardRig) download(t *testing.T, x *device.Tensor) []float32 {
	t.Helper()
	values := make([]float32, x.Len())
	if err := r.dev.Download(device.Bytes(values), x); err != nil {
		t.Fatal(err)
	}
	return values
}

// leaves returns what each shard contributes, unweighted, from a network that is not split: its gradients, running
// statistics and statistics.
func (r *shardRig) leaves(t *testing.T, loss Loss) (leaves [][][]float32, grads int) {
	t.Helper()
	for k := range r.sizes {
		n := r.compile(t, loss, 0, false)
		r.pass(t, n, k)
		var leaf [][]float32
		for _, p := range n.Params() {
			leaf = append(leaf, r.download(t, p.Grad))
		}
		grads = len(leaf)
		for _, p := range n.State() {
			leaf = append(leaf, r.download(t, p.Value))
		}
		leaves = append(leaves, append(leaf, r.download(t, n.Stats())))
	}
	return leaves, grads
}

// treeSum adds neighbours in pairs, level by level. The sum of shards' float32 numbers must equal it to the bit.
func treeSum(x []float32) float32 {
	for len(x) > 1 {
		var up []float32
		for i := 0; i+1 < len(x); i += 2 {
			up = append(up, x[i]+x[i+1])
		}
		if len(x)%2 == 1 {
			up = append(up, x[len(x)-1])
		}
		x = up
	}
	return x[0]
}

// TestShards compares the sums with those of networks that compute one shard each: to the bit with a tree in float32, and
// up to the rounding of a product and of at most 3 sums with float64.
func TestShards(t *testing.T) {
	for _, sizes := range [][]int{{4}, {3, 3}, {2, 3, 2}, {4, 4, 4, 4}, {2, 2, 2, 2, 2}, {1, 2, 1, 2, 2, 1, 2}, {2, 2, 2, 2, 2, 2, 2, 2}} {
		for _, loss := range []Loss{CrossEntropy{}, CrossEntropy{Sum: true}} {
			r := newShardRig(t, sizes)
			leaves, grads := r.leaves(t, loss)
			n := r.compile(t, loss, len(sizes), false)
			for batch := range 2 {
				if batch == 1 { // begins where the first began, except for the running statistics, which are reset here
					for _, p := range n.State() {
						fill := float32(0)
						if p.Name == "norm1.running_var" {
							fill = 1
						}
						if err := r.dev.Upload(p.Value, device.Bytes(slices.Repeat([]float32{fill}, p.Value.Len()))); err != nil {
							t.Fatal(err)
						}
					}
					r.dev.Zero(n.Stats())
				}
				for k := range sizes {
					r.shard(t, n, k)
				}
				n.EndBatch()
				var got [][]float32
				for _, p := range n.Params() {
					got = append(got, r.download(t, p.StepGrad()))
				}
				for _, p := range n.State() {
					got = append(got, r.download(t, p.Value))
				}
				got = append(got, r.download(t, n.Stats()))
				for term := range got {
					for i, g := range got[term] {
						parts, sum, size := make([]float32, len(sizes)), 0.0, 0.0
						for k, leaf := range leaves {
							weight := float32(float64(sizes[k]) / float64(len(r.labels)))
							if term == len(got)-1 || term < grads && loss.Summed() {
								weight = 1
							}
							parts[k] = weight * leaf[term][i]
							exact := float64(sizes[k]) / float64(len(r.labels)) * float64(leaf[term][i])
							if weight == 1 {
								exact = float64(leaf[term][i])
							}
							sum, size = sum+exact, size+math.Abs(exact)
						}
						if want := treeSum(parts); math.Float32bits(g) != math.Float32bits(want) {
							t.Fatalf("%v, batch %d: term %d[%d] is %v, the tree %v", sizes, batch, term, i, g, want)
						}
						if bound := 5 * size / (1 << 24); math.Abs(float64(g)-sum) > bound {
							t.Fatalf("%v, batch %d: term %d[%d] is %v, in float64 %v (bound %v)", sizes, batch, term, i, g, sum, bound)
						}
					}
				}
			}
		}
	}
}

// TestShardsOfProcesses: the tree over several processes' sums is the tree over all shards, with any number of processes
// whose shards are a node of it.
func TestShardsOfProcesses(t *testing.T) {
	r := newShardRig(t, []int{2, 3, 2, 3, 2, 3, 2, 3})
	sums := func(n *Network) (all [][]float32) {
		for _, x := range n.ShardSums() {
			all = append(all, r.download(t, x))
		}
		return all
	}
	whole := r.compile(t, CrossEntropy{}, 8, false)
	for k := range 8 {
		r.shard(t, whole, k)
	}
	want := sums(whole)
	for _, processes := range []int{2, 4, 8} {
		local := 8 / processes
		var parts [][][]float32
		for p := range processes {
			n := r.compile(t, CrossEntropy{}, local, false)
			for k := p * local; k < (p+1)*local; k++ {
				r.shard(t, n, k)
			}
			parts = append(parts, sums(n))
		}
		for term := range want {
			for i := range want[term] {
				x := make([]float32, processes)
				for p := range x {
					x[p] = parts[p][term][i]
				}
				if got := treeSum(x); math.Float32bits(got) != math.Float32bits(want[term][i]) {
					t.Fatalf("%d processes: term %d[%d] is %v, in one process %v", processes, term, i, got, want[term][i])
				}
			}
		}
	}
}

// TestShardsAccumulate: the sums of a step's batches are added, and begin at zero again after an update.
func TestShardsAccumulate(t *testing.T) {
	r := newShardRig(t, []int{3, 3, 2, 2})
	n := r.compile(t, CrossEntropy{Sum: true}, 2, true)
	for round := range 2 {
		want := make([][]float32, len(n.Params()))
		for batch := range 2 {
			r.shard(t, n, 2*batch)
			r.shard(t, n, 2*batch+1)
			for i, x := range n.ShardSums()[:len(want)] {
				if want[i] == nil {
					want[i] = make([]float32, x.Len())
				}
				for j, v := range r.download(t, x) {
					want[i][j] += v
				}
			}
			n.EndBatch()
		}
		n.BeginUpdate()
		for i, p := range n.Params() {
			if got := r.download(t, p.StepGrad()); !slices.Equal(got, want[i]) {
				t.Errorf("round %d: the gradient of %s is %v, want %v", round, p.Name, got, want[i])
			}
		}
		n.EndUpdate()
	}
	if got := r.download(t, n.Stats())[device.StatCount]; got != 20 {
		t.Errorf("%v examples counted, want 20", got)
	}
}

// TestShardsFrozen: while layers are frozen, their running statistics keep their bits, also with weights that are not
// exact in float32.
func TestShardsFrozen(t *testing.T) {
	r := newShardRig(t, []int{2, 3, 2})
	for _, thaws := range []bool{false, true} {
		t.Run(fmt.Sprint(thaws), func(t *testing.T) {
			n, err := Compile(r.dev, NewSequential(Conv2D{OutC: 2, Kernel: Square(3)}, BatchNorm{}, GELU{}, Flatten{}, Dense{Out: 3}), Options{
				Input: Shape{4, 4, 1}, Batch: 3, Training: true, Loss: CrossEntropy{}, Shards: 3, Freeze: []string{"conv1", "norm1"}, Thaws: thaws,
			})
			if err != nil {
				t.Fatal(err)
			}
			mean := n.State()[0]
			if err := r.dev.Upload(mean.Value, device.Bytes([]float32{0.1, 0.7})); err != nil {
				t.Fatal(err)
			}
			batch := func() []float32 {
				for k := range 3 {
					r.shard(t, n, k)
				}
				n.EndBatch()
				return r.download(t, mean.Value)
			}
			for range 20 {
				if got := batch(); !slices.Equal(got, []float32{0.1, 0.7}) {
					t.Fatalf("the running mean is %v", got)
				}
			}
			if !thaws {
				return
			}
			n.SetFrozen(false)
			if got := batch(); slices.Equal(got, []float32{0.1, 0.7}) {
				t.Error("the running mean stays, although the layer is not frozen")
			}
		})
	}
}
