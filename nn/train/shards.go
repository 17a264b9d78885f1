package train

import (
	"cmp"
	"fmt"

	"trainer/nn/data"
)

// Shards are parts of a batch that are trained on separately (Config.Shards). Shard k of a batch of n images has the
// images
//
//	k*n/shards <= i < (k+1)*n/shards
//
// in the order of the batch: equal parts of a full batch, and of an epoch's smaller last batch parts that differ by at
// most one image. A last batch that has too few images for all parts is dropped by default (LastBatch).
//
// A shard is to its images what a batch is without shards: images are mixed within it, and it has dropout masks of its
// own. What the shards give is summed by nn.Network (nn/shards.go), which says in what order and with which weights, and
// then over the processes that share a training (ranks.go).

// shards returns the number of parts of a batch.
func (c *Config) shards() int {
	switch {
	case !c.SyncBatchNorm:
		return max(1, c.Shards)
	case c.hasRanks():
		return c.Ranks.Size()
	}
	return 1
}

// shardStart returns the index of the first image of shard k in a batch of n images.
func (c *Config) shardStart(k, n int) int { return k * n / c.shards() }

// divisible names the batches closest to Batch that the shards divide.
func (c *Config) divisible() string {
	n := c.shards()
	below := c.Batch / n * n
	if below == 0 {
		return fmt.Sprintf("use batch %d", n)
	}
	return fmt.Sprintf("use batch %d or %d", below, below+n)
}

// localShards returns the number of shards that this process computes, or 0 if batches are not split.
func (s *Stepper) localShards() int {
	switch {
	case s.cfg.shards() == 1:
		return 0
	case s.group != nil:
		return s.group.count
	}
	return s.cfg.shards()
}

// firstShard returns the number of the first shard that this process computes.
func (s *Stepper) firstShard() int {
	if s.group == nil {
		return 0
	}
	return s.group.first
}

// localPart returns the images of a batch of n that this process computes: from <= i < to.
func (s *Stepper) localPart(n int) (from, to int) {
	first := s.firstShard()
	return s.cfg.shardStart(first, n), s.cfg.shardStart(first+max(1, s.localShards()), n)
}

// trainShards trains on this process's shards of a batch, one after the other.
func (s *Stepper) trainShards(b *data.Batch) error {
	s.now = s.sizeIn(s.step / s.perEpoch)
	s.changeWork()
	if err := s.beginSums(); err != nil {
		return err
	}
	last := s.localShards() - 1
	for k := range last {
		full, err := s.beginShard(b, k)
		if err != nil {
			return err
		}
		if err := s.now.partial.run(s.work, full); err != nil {
			return err
		}
		s.net.EndShard()
	}
	full, err := s.beginShard(b, last)
	if err != nil {
		return err
	}
	if err := s.endShards(full); err != nil {
		return err
	}
	return s.takeVote()
}

// beginShard uploads what this process's shard k needs, and reports whether it is a full one.
func (s *Stepper) beginShard(b *data.Batch, k int) (full bool, err error) {
	k += s.firstShard()
	if s.cfg.SyncBatchNorm {
		if err := s.now.net.SetParts(s.partSizes(b.Whole())); err != nil {
			return false, err
		}
	}
	shard := s.cutShard(b, k)
	batch := s.step*s.cfg.batchesPerStep() + s.part
	if err := s.prepare(shard, batch*s.cfg.shards()+k); err != nil {
		return false, err
	}
	return shard.N == s.net.Batch(), s.net.BeginShard(shard.N, b.Whole(), s.examples())
}

// endShards queues the last shard of a batch and what follows: the sums over all shards, and the update after the last batch
// of a step.
func (s *Stepper) endShards(full bool) error {
	last := &s.now.endBatch
	if s.lastOfStep() {
		if err := s.opt.Prepare(s.step); err != nil {
			return err
		}
		last = &s.now.endStep
	}
	if err := last.run(s.work, full); err != nil {
		return err
	}
	return cmp.Or(s.now.net.SyncFault(), s.group.fault())
}

// partSizes returns the number of images of each part of a batch of n. The result is valid until the next call.
func (s *Stepper) partSizes(n int) []int {
	s.parts = s.parts[:0]
	for k := range s.cfg.shards() {
		s.parts = append(s.parts, s.cfg.shardStart(k+1, n)-s.cfg.shardStart(k, n))
	}
	return s.parts
}

// queueEndBatch queues the device work of the last shard of a batch. The sums over the ranks begin within its backward pass.
func (s *Stepper) queueEndBatch() {
	s.queueBatch()
	s.net.EndShard()
	if s.group.awaitSums() {
		s.net.EndBatch()
	}
}

// queueEndStep queues the device work of the last shard of a step, and of the update.
func (s *Stepper) queueEndStep() {
	s.queueEndBatch()
	if s.group.fault() == nil {
		s.queueUpdate()
	}
}

// cutShard returns shard k of a batch, of which b has this process's part.
func (s *Stepper) cutShard(b *data.Batch, k int) *data.Batch {
	first, _ := s.localPart(b.Whole())
	from, to := s.cfg.shardStart(k, b.Whole())-first, s.cfg.shardStart(k+1, b.Whole())-first
	part := &s.shard
	*part = data.Batch{N: to - from, IDs: b.IDs[from:to]}
	if len(b.Images) > 0 {
		size := len(b.Images) / b.N
		part.Images, part.Labels = b.Images[from*size:to*size], b.Labels[from:to]
	}
	return part
}
