//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"fmt"

	"gorgonia.org/cu"

	"trainer/gpu/internal/cuda"
	"trainer/kernels"
	"trainer/nn/device"
)

// code is what was loaded of package kernels. A module is loaded when a plan first needs one of its kernels (cubin.go).
type code struct {
	architecture int // compute capability, 90 for 9.0
	cubins       cubins
	modules      map[string]*cuda.Module
	kernels      map[kernels.Name]*cuda.Kernel
}

// kernel returns a kernel, loading its module if need be.
func (c *code) kernel(name kernels.Name) (*cuda.Kernel, error) {
	if k := c.kernels[name]; k != nil {
		return k, nil
	}
	m, err := c.module(name)
	if err != nil {
		return nil, err
	}
	k, err := m.Kernel(string(name))
	if err != nil {
		return nil, err
	}
	k.Parameters = parameters(name)
	if c.kernels == nil {
		c.kernels = map[kernels.Name]*cuda.Kernel{}
	}
	c.kernels[name] = k
	return k, nil
}

// parameters returns the kinds of a kernel's parameters, by the manifest.
func parameters(name kernels.Name) string {
	_, k := kernels.Lookup(name)
	var kinds []byte
	for _, p := range k.Parameters {
		kinds = append(kinds, map[kernels.Kind]byte{
			kernels.Pointer: cuda.KindPointer, kernels.Int: cuda.KindInt, kernels.Float: cuda.KindFloat,
		}[p])
	}
	return string(kinds)
}

// module returns the module that has a kernel.
func (c *code) module(name kernels.Name) (*cuda.Module, error) {
	m, _ := kernels.Lookup(name)
	if loaded := c.modules[m.Name]; loaded != nil {
		return loaded, nil
	}
	if major, minor := m.ComputeCapability(); c.architecture < 10*major+minor {
		return nil, unsupported("kernel %s needs compute capability %d.%d, the GPU has %d.%d",
			name, major, minor, c.architecture/10, c.architecture%10)
	}
	loaded, err := c.load(m)
	if err != nil {
		return nil, err
	}
	if c.modules == nil {
		c.modules = map[string]*cuda.Module{}
	}
	c.modules[m.Name] = loaded
	return loaded, nil
}

// unload frees all modules, and returns the first error.
func (c *code) unload() (first error) {
	for _, m := range c.modules {
		if err := m.Unload(); err != nil && first == nil {
			first = err
		}
	}
	c.modules, c.kernels = nil, nil
	return first
}

// launch queues a kernel with the arguments of arguments, if there was no fault. It panics where they are not of the kinds
// that the manifest has.
func (d *Device) launch(k *cuda.Kernel, g kernels.Grid) { d.launchBlocks(k, g, kernels.Threads) }

// launchBlocks is launch with blocks of so many threads.
func (d *Device) launchBlocks(k *cuda.Kernel, g kernels.Grid, threads int) {
	if d.fault != nil {
		return
	}
	grid := cuda.Dim{X: uint32(g.X), Y: uint32(g.Y), Z: 1}
	if err := k.Launch(grid, cuda.Along(threads), 0, d.stream, &d.args); err != nil {
		d.fail(err)
	}
}

// oneBlock is the grid of the kernels that put partial results together.
var oneBlock = kernels.Grid{X: 1, Y: 1}

// arguments returns the arguments of the next launch, none so far.
func (d *Device) arguments() *cuda.Args { return d.args.Reset() }

// flag is a bool as kernels take it.
func flag(b bool) int32 {
	if b {
		return 1
	}
	return 0
}

// at returns the address of memory; a step that is being recorded keeps hold of it.
func (d *Device) at(m *memory) cu.DevicePtr {
	if d.recording != nil {
		d.recording.hold(m)
	}
	return m.address
}

// data returns the address of a tensor, of which it makes sure that it is this device's.
func (d *Device) data(t *device.Tensor) cu.DevicePtr { return d.at(d.memoryOf(d.op, "an operand", t)) }

// optional is data, or 0 for a nil tensor.
func (d *Device) optional(t *device.Tensor) cu.DevicePtr {
	if t == nil {
		return 0
	}
	return d.data(t)
}

// memoryOf returns the memory of a tensor, and panics unless it is this device's.
func (d *Device) memoryOf(op, operand string, t *device.Tensor) *memory {
	if t == nil {
		panic(fmt.Sprintf("gpu: %s: %s is nil", op, operand))
	}
	m, ok := t.Memory().(*memory)
	if !ok || m.owner != d {
		panic(fmt.Sprintf("gpu: %s: %s, %v, is not on %s", op, operand, t, d.name))
	}
	return m
}
