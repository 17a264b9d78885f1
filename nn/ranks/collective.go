package ranks

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"trainer/nn/device"
)

// collective is a device.Collective on a transport. Tensors are copied to the host, summed there, and copied back.
//
// For a sum over the ranks, each rank owns a part of the elements: it receives that part of every other rank, adds them
// in the order of the tree, and sends the sums to all. Every rank thereby sends and receives 2*(ranks-1)/ranks times the
// size of the tensors, which is the least that any algorithm needs, and the order of the additions is ours, which no
// library of collectives promises.
type collective struct {
	Transport
	memory device.Memory

	lengths  []byte // of Gather: a number of 8 bytes for each rank
	nothing  [][]byte
	sendTo   [][]byte
	recvFrom [][]byte
}

// New returns the collective of a transport for the tensors of a device.
func New(t Transport, memory device.Memory) device.Collective {
	n := t.Size()
	return &collective{
		Transport: t, memory: memory,
		lengths: make([]byte, 8*n), nothing: make([][]byte, n), sendTo: make([][]byte, n), recvFrom: make([][]byte, n),
	}
}

// clear forgets the slices of the last exchange.
func (c *collective) clear() {
	clear(c.sendTo)
	clear(c.recvFrom)
}

func (c *collective) Barrier() error { return c.Exchange(c.nothing, c.nothing) }

func (c *collective) Broadcast(data []byte, root int) error {
	if root < 0 || root >= c.Size() {
		panic(fmt.Sprintf("broadcast: from rank %d of %d", root, c.Size()))
	}
	c.clear()
	if c.Rank() != root {
		c.recvFrom[root] = data
		return c.Exchange(c.sendTo, c.recvFrom)
	}
	for p := range c.sendTo {
		c.sendTo[p] = data
	}
	return c.Exchange(c.sendTo, c.recvFrom)
}

func (c *collective) Gather(data []byte) ([][]byte, error) {
	c.clear()
	me := c.Rank()
	own := c.lengths[8*me : 8*me+8]
	binary.LittleEndian.PutUint64(own, uint64(len(data)))
	for p := range c.sendTo {
		c.sendTo[p], c.recvFrom[p] = own, c.lengths[8*p:8*p+8]
	}
	if err := c.Exchange(c.sendTo, c.recvFrom); err != nil {
		return nil, err
	}
	all := make([][]byte, c.Size())
	for p := range all {
		n := binary.LittleEndian.Uint64(c.lengths[8*p:])
		if n > maxMessage {
			return nil, &RankError{Rank: p, Reason: fmt.Sprintf("it sends %d bytes, want at most %d", n, maxMessage)}
		}
		all[p] = make([]byte, n)
		c.sendTo[p], c.recvFrom[p] = data, all[p]
	}
	copy(all[me], data)
	return all, c.Exchange(c.sendTo, c.recvFrom)
}

// maxMessage is the largest message that Gather accepts.
const maxMessage = 1 << 30

// allReduce is the plan of a device.AllReduceSpec.
type allReduce struct {
	c       *collective
	tensors []*device.Tensor
	packed  []float32   // all tensors, then zeros up to a multiple of the ranks
	parts   [][]float32 // of each rank, the elements that this rank owns

	scatter, collect  [][]byte // sent and received by the first exchange
	publish, complete [][]byte // by the second
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
	p := &allReduce{c: c, tensors: s.Tensors, packed: make([]float32, owned*ranks)}
	if ranks == 1 {
		return p, nil
	}
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
	if p.parts == nil {
		return nil
	}
	if err := p.each(func(t *device.Tensor, x []byte) error { return p.c.memory.Download(x, t) }); err != nil {
		return err
	}
	if err := p.c.Exchange(p.scatter, p.collect); err != nil {
		return err
	}
	me := p.c.Rank()
	copy(p.collect[me], p.scatter[me])
	sumTree(p.parts)
	copy(p.publish[me], bytes(p.parts[0]))
	if err := p.c.Exchange(p.publish, p.complete); err != nil {
		return err
	}
	return p.each(func(t *device.Tensor, x []byte) error { return p.c.memory.Upload(t, x) })
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

// bytes returns the memory of a slice.
func bytes(x []float32) []byte {
	if len(x) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 4*len(x))
}
