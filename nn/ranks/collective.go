package ranks

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"trainer/nn/device"
)

// collective is a device.Collective on a transport. Tensors are copied to the host, summed there, and copied back.
// Sums and copies are in files of their own.
type collective struct {
	Transport
	memory   device.Memory
	perRound int // elements that a rank owns in a round, at most

	lengths  []byte // of Gather: a number of 8 bytes for each rank
	nothing  [][]byte
	sendTo   [][]byte
	recvFrom [][]byte

	background background
}

// New returns the collective of a transport for the tensors of a device.
func New(t Transport, memory device.Memory) device.Collective {
	n := t.Size()
	c := &collective{
		Transport: t, memory: memory, perRound: roundElements,
		lengths: make([]byte, 8*n), nothing: make([][]byte, n), sendTo: make([][]byte, n), recvFrom: make([][]byte, n),
	}
	c.background.run = c.background.drain
	return c
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

// bytes returns the memory of a slice.
func bytes(x []float32) []byte {
	if len(x) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 4*len(x))
}
