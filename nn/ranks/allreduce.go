package ranks

import (
	"fmt"

	"trainer/nn/device"
)

// allReduce is the plan of a device.AllReduceSpec. Each rank owns a part of the elements: it receives that part of every other
// rank, adds them in the order of the tree, and sends the sums to all. Every rank thereby sends and receives
// 2*(ranks-1)/ranks times the size of the tensors, which is the least that any algorithm needs, and the order of the
// additions is ours, which no library of collectives promises.
//
// The goroutine of the collective does all of this in rounds (rounds.go) if the tensors are in the host's memory. Otherwise only the
// goroutine of the device copies tensors, in Start and in Wait, and there is one round.
type allReduce struct {
	c      *collective
	rounds []reduceRound // none for a single rank
	early  bool          // Start and Wait copy

	err  error      // of Start
	done chan error // the result of the exchanges
}

// reduceRound is the sum of some of the elements.
type reduceRound struct {
	tensors []*device.Tensor
	packed  []byte      // all elements, then others up to a multiple of the ranks
	parts   [][]float32 // of each rank, the elements that this rank owns

	scatter, collect  [][]byte // sent and received by the first exchange
	publish, complete [][]byte // by the second
}

func (c *collective) NewAllReduce(s device.AllReduceSpec) (device.AllReduce, error) {
	for i, t := range s.Tensors {
		if t == nil || t.DType() != device.Float32 {
			panic(fmt.Sprintf("all-reduce: tensor %d is %v, want float32", i, t))
		}
	}
	p := &allReduce{c: c, done: make(chan error, 1)}
	ranks := c.Size()
	if ranks == 1 {
		return p, nil
	}
	rounds := [][]*device.Tensor{s.Tensors}
	if _, shared := c.memory.(device.HostMemory); shared {
		rounds = cut(c.memory, s.Tensors, c.perRound*ranks)
	} else {
		p.early = true
	}
	most := 0 // elements that a rank owns in a round
	for _, tensors := range rounds {
		most = max(most, ownedOf(tensors, ranks))
	}
	all, received := make([]float32, most*ranks), make([]float32, most*ranks)
	for _, tensors := range rounds {
		p.rounds = append(p.rounds, c.newRound(tensors, all, received))
	}
	return p, nil
}

// ownedOf returns the number of elements of each rank's part.
func ownedOf(tensors []*device.Tensor, ranks int) int { return (lengthOf(tensors) + ranks - 1) / ranks }

// newRound makes a round in memory that all rounds use.
func (c *collective) newRound(tensors []*device.Tensor, all, received []float32) reduceRound {
	owned := ownedOf(tensors, c.Size())
	part := func(x []float32, r int) []float32 { return x[r*owned : (r+1)*owned] }
	r := reduceRound{tensors: tensors, packed: bytes(all[:owned*c.Size()])}
	mine := part(all, c.Rank())
	for p := range c.Size() {
		r.parts = append(r.parts, part(received, p))
		r.scatter, r.collect = append(r.scatter, bytes(part(all, p))), append(r.collect, bytes(part(received, p)))
		r.publish, r.complete = append(r.publish, bytes(mine)), append(r.complete, bytes(part(all, p)))
	}
	return r
}

// Run sums the tensors over the ranks.
func (p *allReduce) Run() error {
	p.Start()
	return p.Wait()
}

// Start leaves the sums to the goroutine of the collective.
func (p *allReduce) Start() {
	if p.rounds == nil {
		return
	}
	if p.early {
		p.err = p.download(&p.rounds[0])
	}
	if p.err == nil {
		p.c.background.start(p)
	}
}

// Wait waits for the sums.
func (p *allReduce) Wait() error {
	if p.rounds == nil {
		return nil
	}
	if p.err != nil {
		return p.err
	}
	if err := <-p.done; err != nil {
		return err
	}
	if p.early {
		return p.upload(&p.rounds[0])
	}
	return nil
}

// Recordable reports that the host takes part.
func (p *allReduce) Recordable() bool { return false }

// do makes the rounds.
func (p *allReduce) do() {
	var err error
	for i := range p.rounds {
		r := &p.rounds[i]
		if !p.early {
			err = p.download(r)
		}
		if err == nil {
			err = p.exchange(r)
		}
		if err == nil && !p.early {
			err = p.upload(r)
		}
		if err != nil {
			break
		}
	}
	p.done <- err
}

// exchange adds what has been packed to that of the other ranks.
func (p *allReduce) exchange(r *reduceRound) error {
	if err := p.c.Exchange(r.scatter, r.collect); err != nil {
		return err
	}
	me := p.c.Rank()
	copy(r.collect[me], r.scatter[me])
	sumTree(r.parts)
	copy(r.publish[me], bytes(r.parts[0]))
	return p.c.Exchange(r.publish, r.complete)
}

// download packs the tensors of a round.
func (p *allReduce) download(r *reduceRound) error {
	return p.wrapped(packed(r.tensors, r.packed, func(t *device.Tensor, x []byte) error { return p.c.memory.Download(x, t) }))
}

// upload copies the sums of a round to its tensors.
func (p *allReduce) upload(r *reduceRound) error {
	return p.wrapped(packed(r.tensors, r.packed, func(t *device.Tensor, x []byte) error { return p.c.memory.Upload(t, x) }))
}

func (p *allReduce) wrapped(err error) error {
	if err != nil {
		return fmt.Errorf("all-reduce: %w", err)
	}
	return nil
}
