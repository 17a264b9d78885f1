package ranks

import (
	"fmt"

	"trainer/nn/device"
)

// allGather is the plan of a device.AllGatherSpec: every rank sends its tensors to each other rank, packed.
type allGather struct {
	c         *collective
	tensors   [][]*device.Tensor // by rank
	send, get [][]byte           // by rank: what this rank sends, the same to all, and what it receives
}

func (c *collective) NewAllGather(s device.AllGatherSpec) (device.AllGather, error) {
	if len(s.Tensors) != c.Size() {
		panic(fmt.Sprintf("all-gather: tensors of %d ranks, want %d", len(s.Tensors), c.Size()))
	}
	p := &allGather{c: c, tensors: s.Tensors}
	for _, list := range s.Tensors {
		total := 0
		for _, t := range list {
			total += t.Len() * t.DType().Size()
		}
		p.get = append(p.get, make([]byte, total))
	}
	for range p.get {
		p.send = append(p.send, p.get[c.Rank()])
	}
	return p, nil
}

// Run copies the tensors of every rank to all.
func (p *allGather) Run() error {
	me := p.c.Rank()
	if p.c.Size() == 1 {
		return nil
	}
	if err := p.each(me, p.c.memory.Download); err != nil {
		return err
	}
	if err := p.c.Exchange(p.send, p.get); err != nil {
		return err
	}
	upload := func(x []byte, t *device.Tensor) error { return p.c.memory.Upload(t, x) }
	for r := range p.tensors {
		if r == me {
			continue
		}
		if err := p.each(r, upload); err != nil {
			return err
		}
	}
	return nil
}

// each calls f for every tensor of a rank with its place in what that rank sends.
func (p *allGather) each(rank int, f func(x []byte, t *device.Tensor) error) error {
	at := 0
	for _, t := range p.tensors[rank] {
		n := t.Len() * t.DType().Size()
		if err := f(p.get[rank][at:at+n], t); err != nil {
			return fmt.Errorf("all-gather: %w", err)
		}
		at += n
	}
	return nil
}
