//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"trainer/kernels"
	"trainer/nn/device"
)

// list is a list of tensors that kernels go over in one launch: tables in device memory say where the
// tensors are, and which part of which a block works on.
type list struct {
	tensors *memory // addresses, in the layout that the kernel wants; nil for an empty list
	chunks  *memory
	blocks  int
}

// empty reports whether there is nothing to do.
func (l list) empty() bool { return l.blocks == 0 }

// grid is that of a launch over the list.
func (l list) grid() kernels.Grid { return kernels.Grid{X: l.blocks, Y: 1} }

// list makes the tables of tensors of these lengths.
func (b *builder) list(tensors []byte, lengths []int) list {
	chunks := kernels.Chunks(lengths)
	return list{b.table(tensors), b.table(kernels.Table(chunks)), len(chunks)}
}

// address returns where a tensor is, for a table; 0 for nil.
func (d *Device) address(op, operand string, t *device.Tensor) uint64 {
	if t == nil {
		return 0
	}
	return uint64(d.memoryOf(op, operand, t).address)
}
