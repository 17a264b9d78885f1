package nn

import (
	"fmt"

	"trainer/nn/device"
)

// Gradients are complete long before the backward pass is: that of the last layer first. Processes that share a batch
// therefore add up the gradients of later layers while earlier ones are still being computed (Li et al., "PyTorch
// Distributed: Experiences on Accelerating Data Parallel Training", VLDB 2020, section 3.2.3). Small gradients are sent
// together, in buckets, because each message costs time, however short it is. Only the last shard of a process has
// complete sums; what comes before it computes as it would alone. Every tensor is summed as without buckets, so that the
// bits don't depend on them.

// bucket is a part of the shards' sums.
type bucket struct {
	from  int             // index of the first of its parameters in Network.params; all before it come later
	terms []int           // indices of its sums in a level
	cast  device.CastList // converts its gradients from 16 bits; nil if they need no conversion
}

// OnBucket divides ShardSums into buckets of gradients that have at least so many bytes, in the order in which the backward
// pass completes them; the last one has the rest, and the sums that are no gradients. In the last shard of every batch, ready
// is called with the number of a bucket, from 0, as soon as the work that completes its sums is queued, in order: in the
// backward pass for all but the last, which EndShard completes. OnBucket returns the sums of each bucket. It
// must be called before the first batch and before ForInput.
func (n *Network) OnBucket(bytes int, ready func(bucket int)) ([][]*device.Tensor, error) {
	s := n.shards
	s.buckets, s.ready = nil, ready
	termOf := map[*Param]int{}
	for i, p := range s.grads {
		termOf[p] = i
	}
	var b bucket
	size := 0
	units := n.root.(*sequential).params
	for i := len(units) - 1; i >= 0; i-- {
		for k := units[i].to - 1; k >= units[i].from; k-- {
			p := n.params[k]
			if term, ok := termOf[p]; ok {
				b.terms = append(b.terms, term)
				size += p.Grad.Len() * device.Float32.Size()
			}
		}
		if b.from = units[i].from; size >= bytes {
			s.buckets = append(s.buckets, b)
			b, size = bucket{}, 0
		}
	}
	for term := len(s.grads); term < len(s.levels[0]); term++ {
		b.terms = append(b.terms, term)
	}
	b.from = 0
	s.buckets = append(s.buckets, b)
	n.reportBackward()
	return s.bucketSums(), s.buildCasts()
}

// bucketSums returns the sums of each bucket.
func (s *shards) bucketSums() (all [][]*device.Tensor) {
	for _, b := range s.buckets {
		var list []*device.Tensor
		for _, term := range b.terms {
			list = append(list, s.levels[0][term])
		}
		all = append(all, list)
	}
	return all
}

// buildCasts makes the conversion of each bucket's gradients from 16 bits.
func (s *shards) buildCasts() (err error) {
	if s.net.mixed == nil || s.net.mixed.gradients == nil {
		return nil
	}
	for i := range s.buckets {
		b := &s.buckets[i]
		var spec device.CastListSpec
		for _, term := range b.terms {
			if term >= len(s.grads) {
				break
			}
			if p := s.grads[term]; p.LowPrecisionGrad != p.Grad {
				spec.Dst, spec.Src = append(spec.Dst, p.Grad), append(spec.Src, p.LowPrecisionGrad)
			}
		}
		if len(spec.Dst) == 0 {
			continue
		}
		if b.cast, err = s.net.dev.(device.MixedPrecision).NewCastList(spec); err != nil {
			return fmt.Errorf("gradients of a bucket: %w", err)
		}
	}
	return nil
}

// reportBackward makes the network's backward pass report the layers that it has passed, if there are buckets.
func (n *Network) reportBackward() {
	if root, ok := n.root.(*sequential); ok && n.shards != nil && n.shards.ready != nil {
		root.passed = n.passed
	}
}

// passed is told that the gradients of all parameters from an index on have been computed.
func (n *Network) passed(from int) {
	s := n.shards
	for s.early() && s.started < len(s.buckets)-1 && from <= s.buckets[s.started].from {
		s.endBucket(n)
	}
}

// early reports whether the sums of the current shard are completed bucket by bucket.
func (s *shards) early() bool { return s != nil && s.ready != nil && s.current == s.local-1 }

// endBucket queues the sums of the next bucket.
func (s *shards) endBucket(n *Network) {
	b := &s.buckets[s.started]
	if b.cast != nil {
		b.cast.Run()
	}
	for _, term := range b.terms {
		if term < len(s.grads) && s.grads[term].Thaws && n.Frozen() {
			n.dev.Zero(s.grads[term].Grad)
		}
		s.sum(term)
	}
	s.ready(s.started)
	s.started++
}
