//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"fmt"

	"trainer/nn/device"
)

// allGather is the plan that copies tensors to all ranks: a broadcast for each tensor from the rank that has it, all in one call
// of NCCL.
type allGather struct {
	c         *collective
	spec      device.AllGatherSpec // keeps the tensors alive
	addresses []uintptr
	bytes     []uint
	roots     []int32
}

// NewAllGather makes a plan for copies to all ranks. It exchanges nothing with them.
func (c *collective) NewAllGather(s device.AllGatherSpec) (device.AllGather, error) {
	const op = "all-gather"
	if len(s.Tensors) != c.Size() {
		panic(fmt.Sprintf("gpu: NewAllGather: tensors of %d ranks, want %d", len(s.Tensors), c.Size()))
	}
	p := &allGather{c: c, spec: s}
	for rank, list := range s.Tensors {
		for _, t := range list {
			p.addresses = append(p.addresses, uintptr(c.d.memoryOf(op, "a tensor", t).address))
			p.bytes, p.roots = append(p.bytes, uint(size(t))), append(p.roots, int32(rank))
		}
	}
	return p, nil
}

// Run queues the copies.
func (p *allGather) Run() error {
	d := p.c.d
	if !d.begin("all-gather") {
		return d.fault
	}
	defer d.end()
	d.hold(p)
	if err := p.run(); err != nil {
		d.fail(err)
	}
	return d.fault
}

func (p *allGather) run() error {
	c := p.c
	if err := c.d.countSum(c, c.d.stream); err != nil {
		return err
	}
	if err := c.comm.Broadcast(p.addresses, p.bytes, p.roots, c.d.stream); err != nil {
		return err
	}
	return c.settleSoon()
}
