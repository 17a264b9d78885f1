package ranks

import (
	"fmt"

	"trainer/nn/device"
)

// allGather is the plan of a device.AllGatherSpec: every rank sends its tensors to each other rank, packed, in rounds (rounds.go).
type allGather struct {
	c      *collective
	rounds []gatherRound
}

// gatherRound copies some of the tensors of each rank.
type gatherRound struct {
	tensors   [][]*device.Tensor // by rank
	send, get [][]byte           // by rank: what this rank sends, the same to all, and what it receives
}

func (c *collective) NewAllGather(s device.AllGatherSpec) (device.AllGather, error) {
	if len(s.Tensors) != c.Size() {
		panic(fmt.Sprintf("all-gather: tensors of %d ranks, want %d", len(s.Tensors), c.Size()))
	}
	p := &allGather{c: c}
	if c.Size() == 1 {
		return p, nil
	}
	for rank, list := range s.Tensors {
		for k, tensors := range c.cutFloats(list) {
			if k == len(p.rounds) {
				p.rounds = append(p.rounds, gatherRound{tensors: make([][]*device.Tensor, c.Size())})
			}
			p.rounds[k].tensors[rank] = tensors
		}
	}
	most := make([]int, c.Size()) // bytes of a rank in a round
	for _, r := range p.rounds {
		for rank, list := range r.tensors {
			most[rank] = max(most[rank], sizeOf(list))
		}
	}
	buffers := make([][]byte, c.Size())
	for rank, n := range most {
		buffers[rank] = make([]byte, n)
	}
	for k := range p.rounds {
		r := &p.rounds[k]
		for rank, list := range r.tensors {
			r.get = append(r.get, buffers[rank][:sizeOf(list)])
		}
		for range r.get {
			r.send = append(r.send, r.get[c.Rank()])
		}
	}
	return p, nil
}

// cutFloats cuts tensors for rounds. Only float32 can be cut.
func (c *collective) cutFloats(list []*device.Tensor) [][]*device.Tensor {
	for _, t := range list {
		if t.DType() != device.Float32 {
			return [][]*device.Tensor{list}
		}
	}
	return cut(c.memory, list, c.perRound)
}

// sizeOf returns the bytes of all tensors.
func sizeOf(list []*device.Tensor) (n int) {
	for _, t := range list {
		n += t.Len() * t.DType().Size()
	}
	return n
}

// Run copies the tensors of every rank to all.
func (p *allGather) Run() error {
	for i := range p.rounds {
		if err := p.run(&p.rounds[i]); err != nil {
			return fmt.Errorf("all-gather: %w", err)
		}
	}
	return nil
}

func (p *allGather) run(r *gatherRound) error {
	me := p.c.Rank()
	download := func(t *device.Tensor, x []byte) error { return p.c.memory.Download(x, t) }
	if err := packed(r.tensors[me], r.get[me], download); err != nil {
		return err
	}
	if err := p.c.Exchange(r.send, r.get); err != nil {
		return err
	}
	upload := func(t *device.Tensor, x []byte) error { return p.c.memory.Upload(t, x) }
	for rank, list := range r.tensors {
		if rank == me {
			continue
		}
		if err := packed(list, r.get[rank], upload); err != nil {
			return err
		}
	}
	return nil
}
