//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"trainer/kernels"
	"trainer/nn/device"
)

// list is a list of tensors that a kernel processes in one launch: tables in device memory hold the tensors' addresses,
// and for each block which part of which tensor it works on.
type list struct {
	tensors *memory // addresses, in the layout that the kernel expects; nil for an empty list
	chunks  *memory
	blocks  int
}

// empty reports whether there is nothing to do.
func (l list) empty() bool { return l.blocks == 0 }

// grid is the grid of a launch over the list.
func (l list) grid() kernels.Grid { return kernels.Grid{X: l.blocks, Y: 1} }

// list makes the tables for tensors of these lengths.
func (b *builder) list(tensors []byte, lengths []int) list {
	chunks := kernels.Chunks(lengths)
	return list{b.table(tensors), b.table(kernels.Table(chunks)), len(chunks)}
}

// address returns a tensor's address, for a table; 0 for nil.
func (d *Device) address(op, operand string, t *device.Tensor) uint64 {
	if t == nil {
		return 0
	}
	return uint64(d.memoryOf(op, operand, t).address)
}
