package ranks

import (
	"fmt"

	"trainer/nn/device"
)

// allReduce is the plan of a device.AllReduceSpec. Each rank owns a part of the elements: it receives that part of every other
// rank, adds them in the order of the tree, and sends the sums to all. Every rank thereby sends and receives
// 2*(ranks-1)/ranks times the size of the tensors, which is the least that any algorithm needs, and the order of the
// additions is ours, which no library of collectives promises.
type allReduce struct {
	c       *collective
	tensors []*device.Tensor
	packed  []float32   // all tensors, then zeros up to a multiple of the ranks
	parts   [][]float32 // of each rank, the elements that this rank owns; nil for a single rank

	scatter, collect  [][]byte // sent and received by the first exchange
	publish, complete [][]byte // by the second

	err  error      // of Start
	done chan error // the result of the exchanges
}

func (c *collective) NewAllReduce(s device.AllReduceSpec) (device.AllReduce, error) {
	total := 0
	for i, t := range s.Tensors {
		if t == nil || t.DType() != device.Float32 {
			panic(fmt.Sprintf("all-reduce: tensor %d is %v, want float32", i, t))
		}
		total += t.Len()
	}
	ranks := c.Size()
	owned := (total + ranks - 1) / ranks
	p := &allReduce{c: c, tensors: s.Tensors, done: make(chan error, 1)}
	if ranks == 1 {
		return p, nil
	}
	p.packed = make([]float32, owned*ranks)
	part := func(x []float32, r int) []float32 { return x[r*owned : (r+1)*owned] }
	received := make([]float32, owned*ranks)
	mine := part(p.packed, c.Rank())
	for r := range ranks {
		p.parts = append(p.parts, part(received, r))
		p.scatter, p.collect = append(p.scatter, bytes(part(p.packed, r))), append(p.collect, bytes(part(received, r)))
		p.publish, p.complete = append(p.publish, bytes(mine)), append(p.complete, bytes(part(p.packed, r)))
	}
	return p, nil
}

// Run sums the tensors over the ranks.
func (p *allReduce) Run() error {
	p.Start()
	return p.Wait()
}

// Start copies the tensors to the host, and leaves the rest to the goroutine of the collective.
func (p *allReduce) Start() {
	if p.parts == nil {
		return
	}
	p.err = p.each(func(t *device.Tensor, x []byte) error { return p.c.memory.Download(x, t) })
	if p.err == nil {
		p.c.background.start(p)
	}
}

// Wait waits for the sums, and copies them to the tensors.
func (p *allReduce) Wait() error {
	if p.parts == nil {
		return nil
	}
	if p.err != nil {
		return p.err
	}
	if err := <-p.done; err != nil {
		return err
	}
	return p.each(func(t *device.Tensor, x []byte) error { return p.c.memory.Upload(t, x) })
}

// Recordable reports that the host takes part.
func (p *allReduce) Recordable() bool { return false }

// do exchanges and adds what has been packed.
func (p *allReduce) do() {
	p.done <- p.exchange()
}

func (p *allReduce) exchange() error {
	if err := p.c.Exchange(p.scatter, p.collect); err != nil {
		return err
	}
	me := p.c.Rank()
	copy(p.collect[me], p.scatter[me])
	sumTree(p.parts)
	copy(p.publish[me], bytes(p.parts[0]))
	return p.c.Exchange(p.publish, p.complete)
}

// each calls f for every tensor with its place in packed.
func (p *allReduce) each(f func(t *device.Tensor, x []byte) error) error {
	at := 0
	for _, t := range p.tensors {
		if err := f(t, bytes(p.packed[at:at+t.Len()])); err != nil {
			return fmt.Errorf("all-reduce: %w", err)
		}
		at += t.Len()
	}
	return nil
}
