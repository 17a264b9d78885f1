package nn

import (
	"fmt"
	"math/bits"

	"trainer/nn/device"
)

// shards splits every batch into parts that are computed one after the other, by one process or by several, with the
// same bits (Options.Shards). Each shard has its own forward and backward pass, and is normalised by its own statistics.
// Three things of each shard are summed over the shards of a batch:
//
//	gradients             sum_k g_k dw_k          for each trained parameter
//	running statistics    sum_k s_k running_k     running_k is what shard k makes of the running statistics before the batch
//	statistics            sum_k stats_k           of the loss: see Stats
//
// With n_k examples in the shard, n in the batch and N in all batches of the step, s_k is n_k/n, and g_k is n_k/N if the
// loss is the mean over a batch, or 1 if it is the sum. So the gradient is that of the whole batch, except that layers
// that normalise over the batch, and losses with weights, see one shard at a time.
//
// Addition of floating-point numbers is not associative, so the order of the sums is fixed: neighbours are added in
// pairs, the results again, and so on; a last one without a neighbour goes up as it is. For five shards:
//
//	((0 + 1) + (2 + 3)) + 4
//
// A process that has 2^j shards beginning at a multiple of 2^j therefore computes one node of this tree, which Sums
// returns, and the tree over the processes is the upper part of the same tree. At any such number of processes the sums
// have the same bits.
//
// The sums take one buffer per level of the tree and not one per shard: after shard k the buffers hold one node for each
// bit of k+1 that is set, the largest first, as a binary counter does.
//
// In the last shard the sums of a layer's gradients are complete as soon as the backward pass has passed the layer: see
// OnBucket.
type shards struct {
	net     *Network
	local   int // shards of this process
	begun   int // of the current batch
	current int // the last one begun, from 0

	buckets []bucket
	ready   func(bucket int) // nil if nobody wants to know
	started int              // buckets of the current batch that are complete

	grads, state []*Param           // trained parameters; running statistics
	levels       [][]*device.Tensor // [level][term]: the gradients, the running statistics, the statistics
	before       []*device.Tensor   // the running statistics before the batch
	stats        *device.Tensor     // of the loss of the current shard

	scale    map[int]scales     // by length
	add      map[int]device.Map // by length: y = a + b
	weights  *device.Tensor     // float32 [2]: g_k, s_k
	next     [2]float32         // weights' next contents
	isSum    bool               // the loss is a sum
	separate bool               // Param.GradSum is not the lowest level, because a step has several batches
}

// The elements of shards.weights.
const (
	gradientWeight = iota
	stateWeight
)

// scales are the plans of y = weight*a for each element of shards.weights.
type scales [2]device.Map

// buildShards allocates the sums, once all layers are built.
func (n *Network) buildShards(b *Builder) (err error) {
	if n.opt.Shards == 0 || !n.opt.Training {
		return nil
	}
	s := &shards{
		net: n, local: n.opt.Shards, isSum: n.opt.Loss.Summed(), separate: n.opt.Accumulate,
		scale: map[int]scales{}, add: map[int]device.Map{},
	}
	for _, p := range b.params {
		if p.Grad != nil {
			s.grads = append(s.grads, p)
		}
	}
	for _, p := range b.state {
		if p.Frozen {
			continue
		}
		t, err := b.Tensor(device.Float32, p.Value.Shape()...)
		if err != nil {
			return err
		}
		s.state, s.before = append(s.state, p), append(s.before, t)
	}
	for _, t := range []struct {
		dst **device.Tensor
		n   int
	}{{&s.stats, device.StatsLen}, {&s.weights, 2}} {
		if *t.dst, err = b.Tensor(device.Float32, t.n); err != nil {
			return err
		}
	}
	if err := s.buildLevels(b); err != nil {
		return err
	}
	n.shards = s
	return s.buildGradients(b)
}

// buildLevels allocates the levels of the tree, and makes the plans for the lengths of its terms.
func (s *shards) buildLevels(b *Builder) error {
	s.levels = make([][]*device.Tensor, bits.Len(uint(s.local)))
	for i := range s.levels {
		for _, term := range s.terms() {
			t, err := b.Tensor(device.Float32, term.Shape()...)
			if err != nil {
				return err
			}
			s.levels[i] = append(s.levels[i], t)
			if err := s.plan(t.Len()); err != nil {
				return err
			}
		}
	}
	return nil
}

// buildGradients makes the lowest level the gradient that an update uses; if a step has several batches, a sum over these.
func (s *shards) buildGradients(b *Builder) (err error) {
	for i, p := range s.grads {
		p.GradSum = s.levels[0][i]
		if s.separate {
			if p.GradSum, err = b.Tensor(device.Float32, p.Grad.Shape()...); err != nil {
				return err
			}
		}
	}
	return nil
}

// terms returns what a shard contributes, in the order of a level.
func (s *shards) terms() (list []*device.Tensor) {
	for _, p := range s.grads {
		list = append(list, p.Grad)
	}
	for _, p := range s.state {
		list = append(list, p.Value)
	}
	return append(list, s.stats)
}

// plan makes the plans for terms of n elements.
func (s *shards) plan(n int) (err error) {
	if s.add[n] != nil {
		return nil
	}
	if s.add[n], err = s.net.dev.NewMap(device.MapSpec{
		Kind: device.MapAdd, Batch: 1, Rows: 1, C: n, B: device.AllAxes, Alpha: 1, Beta: 1,
	}); err != nil {
		return fmt.Errorf("adding up shards: %w", err)
	}
	var by scales
	for index := range by {
		if by[index], err = s.net.dev.NewMap(device.MapSpec{
			Kind: device.MapMul, Batch: 1, Rows: 1, C: n, B: device.NoAxes, BIndex: index, Alpha: 1,
		}); err != nil {
			return fmt.Errorf("weighting shards: %w", err)
		}
	}
	s.scale[n] = by
	return nil
}

// scaled queues dst = weight*src.
func (s *shards) scaled(dst, src *device.Tensor, weight int) {
	s.scale[src.Len()][weight].Run(dst, src, s.weights)
}

// BeginShard prepares the forward and backward pass of a batch's next shard in this process, with so many of the
// examples of the batch, and of all batches of the step.
func (n *Network) BeginShard(examples, batch, step int) error {
	s := n.shards
	s.current = s.begun % s.local
	s.begun = s.current + 1
	s.next = [2]float32{gradientWeight: 1, stateWeight: float32(float64(examples) / float64(batch))}
	if !s.isSum {
		s.next[gradientWeight] = float32(float64(examples) / float64(step))
	}
	if err := n.dev.Upload(s.weights, device.Bytes(s.next[:])); err != nil {
		return fmt.Errorf("weight of a shard: %w", err)
	}
	n.dev.Zero(s.stats)
	for i, p := range s.state {
		if s.current == 0 {
			n.dev.Copy(s.before[i], p.Value)
		} else {
			n.dev.Copy(p.Value, s.before[i])
		}
	}
	return nil
}

// EndShard queues the sums that follow a shard's backward pass.
func (n *Network) EndShard() {
	s := n.shards
	if s.early() {
		for s.started < len(s.buckets) {
			s.endBucket(n)
		}
		s.started = 0
		return
	}
	for term := range s.levels[0] {
		s.sum(term)
	}
}

// sum queues the sum of a term over the shards so far: the new leaf, and the nodes that it completes.
func (s *shards) sum(term int) {
	level := bits.OnesCount(uint(s.current)) // that many nodes wait for a neighbour
	leaf := s.levels[level][term]
	switch grads := len(s.grads); {
	case term < grads:
		s.scaled(leaf, s.grads[term].Grad, gradientWeight)
	case term < grads+len(s.state):
		s.scaled(leaf, s.state[term-grads].Value, stateWeight)
	default:
		s.net.dev.Copy(leaf, s.stats)
	}
	for k := s.current; k&1 == 1; k >>= 1 {
		level--
		s.merge(level, term)
	}
	if s.current < s.local-1 {
		return
	}
	for ; level > 0; level-- { // nodes without a neighbour of their size
		s.merge(level-1, term)
	}
}

// merge queues the sum of a term's node at a level and the one above it.
func (s *shards) merge(level, term int) {
	left, right := s.levels[level][term], s.levels[level+1][term]
	s.add[left.Len()].Run(left, left, right)
}

// ShardSums returns the sums over this process's shards of a batch, which EndBatch uses: several processes replace them by
// the sums over all processes in between.
func (n *Network) ShardSums() []*device.Tensor { return n.shards.levels[0] }

// EndBatch queues what follows the sums over all shards of a batch: they become the running statistics, and are added to
// Stats and, if a step has several batches, to the gradients of the step.
func (n *Network) EndBatch() {
	s := n.shards
	sums := s.levels[0]
	if s.separate {
		for i, p := range s.grads {
			s.add[p.GradSum.Len()].Run(p.GradSum, p.GradSum, sums[i])
		}
	}
	for i, p := range s.state {
		from := sums[len(s.grads)+i]
		if p.Thaws && n.Frozen() { // rounding the sum would change it
			from = s.before[i]
		}
		n.dev.Copy(p.Value, from)
	}
	s.add[device.StatsLen].Run(n.stats, n.stats, sums[len(sums)-1])
}
