//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"fmt"

	"gorgonia.org/cu"

	"trainer/gpu/internal/cuda"
	"trainer/kernels"
	"trainer/nn/device"
)

// allReduce is the plan of a sum over the ranks, in one of two ways.
//
// NCCL's own all-reduce is the fastest: one call for all tensors, in place. Its order of additions depends on the number of
// ranks and on how they are connected, so its bits do, too.
//
// In the order of device.AllReduceSpec, each rank owns a part of the elements: it receives this part of all ranks, adds them
// in that order, and sends the sums to all:
//
//	tensors -> packed                      copies
//	packed part p -> rank p, for all p     ncclSend, ncclRecv
//	sum of the received parts              one launch per addition
//	sums -> all ranks                      ncclAllGather
//	packed -> tensors                      copies
//
// A rank sends and receives 2 (r-1)/r times the size of the tensors in both ways. The order costs twice their size in memory,
// a copy of them each way, r-1 additions of a part, and NCCL's reductions within switches (NVLink SHARP).
//
// Start and Wait can be part of a recorded step. The sums run on a stream of their own, which all plans share, so that their order is
// the same on all ranks.
type allReduce struct {
	c         *collective
	spec      device.AllReduceSpec // keeps the tensors alive
	addresses []uintptr
	lengths   []uint

	// If the order is ours:
	packed, received *memory // [ranks][part]
	part             int     // elements
	add              *cuda.Kernel
	args             cuda.Args

	begun, ended cu.Event
}

// partAlignment is the number of elements of which a part has a multiple: 256 bytes.
const partAlignment = 64

// NewAllReduce makes a plan for sums over the ranks. It exchanges nothing with them.
func (c *collective) NewAllReduce(s device.AllReduceSpec) (device.AllReduce, error) {
	const op = "all-reduce"
	p := &allReduce{c: c, spec: s}
	total := 0
	for i, t := range s.Tensors {
		if t == nil || t.DType() != device.Float32 {
			panic(fmt.Sprintf("gpu: NewAllReduce: tensor %d is %v, want float32", i, t))
		}
		p.addresses, p.lengths = append(p.addresses, uintptr(c.d.memoryOf(op, "a tensor", t).address)), append(p.lengths, uint(t.Len()))
		total += t.Len()
	}
	return build(c.d, op, func(b *builder) device.AllReduce {
		p.begun, p.ended = c.event(b), c.event(b)
		if !c.d.deterministic || total == 0 {
			return p
		}
		ranks := c.Size()
		p.part = (total + ranks*partAlignment - 1) / (ranks * partAlignment) * partAlignment
		b.elements(p.part)
		p.packed, p.received = b.zeros(4*ranks*p.part), b.zeros(4*ranks*p.part)
		p.add = b.family(kernels.WeightedSum, device.Float32)
		return p
	})
}

// Recordable reports that Start and Wait only queue work.
func (p *allReduce) Recordable() bool { return true }

// Run is Start and Wait.
func (p *allReduce) Run() error {
	p.Start()
	return p.Wait()
}

// Start queues the sums, which begin when what is queued so far is done.
func (p *allReduce) Start() {
	c, d := p.c, p.c.d
	if !d.begin("all-reduce") {
		return
	}
	defer d.end()
	d.hold(p)
	if err := p.start(c.stream); err != nil {
		d.fail(err)
	}
}

func (p *allReduce) start(on cu.Stream) error {
	d := p.c.d
	if err := follow(p.begun, d.stream, on); err != nil {
		return err
	}
	if err := d.countSum(p.c, on); err != nil {
		return err
	}
	if err := p.sum(on); err != nil {
		return err
	}
	return cuda.Record(p.ended, on)
}

// Wait lets what is queued from now on wait for the sums.
func (p *allReduce) Wait() error {
	d := p.c.d
	if !d.begin("all-reduce") {
		return d.fault
	}
	defer d.end()
	if err := cuda.Follow(d.stream, p.ended); err != nil {
		d.fail(err)
	}
	return d.fault
}

// follow makes what is queued on a stream from now on wait for what another has so far.
func follow(e cu.Event, from, to cu.Stream) error {
	if err := cuda.Record(e, from); err != nil {
		return err
	}
	return cuda.Follow(to, e)
}

func (p *allReduce) sum(on cu.Stream) error {
	if p.add == nil {
		if err := p.c.comm.Sum(p.addresses, p.lengths, on); err != nil {
			return err
		}
		return p.c.settleSoon()
	}
	return p.sumInOrder(on)
}

// sumInOrder queues the sums in the order of device.AllReduceSpec.
func (p *allReduce) sumInOrder(on cu.Stream) error {
	c, ranks, part := p.c, p.c.Size(), p.part
	bytes := cu.DevicePtr(4 * part)
	if err := p.copies(on, func(tensor, packed cu.DevicePtr) (to, from cu.DevicePtr) { return packed, tensor }); err != nil {
		return err
	}
	if err := c.comm.Exchange(p.received.address, p.packed.address, part, on); err != nil {
		return err
	}
	if err := p.c.settleSoon(); err != nil {
		return err
	}
	own := bytes * cu.DevicePtr(c.Rank())
	if err := cuda.CopyAsync(p.received.address+own, p.packed.address+own, int64(bytes), on); err != nil {
		return err
	}
	for distance := 1; distance < ranks; distance *= 2 {
		for left := 0; left+distance < ranks; left += 2 * distance {
			if err := p.addPart(left, left+distance, on); err != nil {
				return err
			}
		}
	}
	if err := c.comm.Gather(p.packed.address, p.received.address, part, on); err != nil {
		return err
	}
	if err := p.c.settleSoon(); err != nil {
		return err
	}
	return p.copies(on, func(tensor, packed cu.DevicePtr) (to, from cu.DevicePtr) { return tensor, packed })
}

// copies queues a copy for each tensor, between it and its place among the packed ones.
func (p *allReduce) copies(on cu.Stream, direction func(tensor, packed cu.DevicePtr) (to, from cu.DevicePtr)) error {
	at := p.packed.address
	for i, tensor := range p.addresses {
		bytes := 4 * int64(p.lengths[i])
		to, from := direction(cu.DevicePtr(tensor), at)
		if err := cuda.CopyAsync(to, from, bytes, on); err != nil {
			return err
		}
		at += cu.DevicePtr(bytes)
	}
	return nil
}

// addPart queues the addition of a received part to another.
func (p *allReduce) addPart(left, right int, on cu.Stream) error {
	at := func(rank int) cu.DevicePtr { return p.received.address + cu.DevicePtr(4*rank*p.part) }
	p.args.Reset().Pointer(at(left)).Pointer(at(left)).Pointer(at(right)).Int32(int32(p.part)).Float32(1).Float32(1)
	grid := kernels.VectorPerThread(p.part, kernels.Float32)
	return p.add.Launch(cuda.Dim{X: uint32(grid.X), Y: uint32(grid.Y), Z: 1}, cuda.Along(kernels.Threads), 0, on, &p.args)
}

// countSum counts a sum that is queued, or recorded, for the watch.
func (d *Device) countSum(c *collective, on cu.Stream) error {
	if d.recording != nil {
		d.recording.sums++
		return nil
	}
	d.sums.queued.Add(1)
	return cuda.Record(c.reached, on)
}
