//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"math"

	"trainer/gpu/internal/cuda"
	"trainer/kernels"
	"trainer/nn/device"
)

// builder collects what a plan needs, until the first error. Only build uses it.
type builder struct {
	d   *Device
	err error
}

// build makes a plan with f, which may call the GPU. op is for errors.
func build[P any](d *Device, op string, f func(b *builder) P) (p P, err error) {
	var none P
	if err := d.enter(op); err != nil {
		return none, err
	}
	defer d.end()
	b := builder{d: d}
	p = f(&b)
	if b.err == nil {
		b.err = d.fault
	} else {
		b.err = d.error(op, b.err)
	}
	if b.err != nil {
		return none, b.err
	}
	return p, nil
}

// blas makes sure that cuBLAS is open, and dnn that cuDNN is.
func (b *builder) blas() {
	if b.err == nil {
		b.err = b.d.openBLAS()
	}
}

func (b *builder) dnn() {
	if b.err == nil {
		b.err = b.d.openDNN()
	}
}

// kernel returns a kernel.
func (b *builder) kernel(name kernels.Name) *cuda.Kernel {
	if b.err != nil {
		return nil
	}
	var k *cuda.Kernel
	k, b.err = b.d.code.kernel(name)
	return k
}

// family returns the kernel of a family for elements of a float type.
func (b *builder) family(f kernels.Family, t device.DType) *cuda.Kernel {
	b.stores(t)
	return b.kernel(f.In(storage(t)))
}

// elements reports whether the kernels' 32-bit indices can address n elements, and records an error if not.
func (b *builder) elements(n int) bool {
	if b.err == nil && n > math.MaxInt32 {
		b.err = unsupported("%d elements in one tensor: want at most %d", n, math.MaxInt32)
	}
	return b.err == nil
}

// memory allocates memory that the plan owns. It returns nil for 0 bytes.
func (b *builder) memory(bytes int) *memory {
	if b.err != nil || bytes == 0 {
		return nil
	}
	var m *memory
	m, b.err = b.d.allocate(int64(bytes))
	return m
}

// zeros allocates zeroed memory.
func (b *builder) zeros(bytes int) *memory {
	m := b.memory(bytes)
	if b.err == nil && m != nil {
		b.d.clear(m, m.bytes)
	}
	return m
}

// table uploads a table that a kernel reads at each call. It returns nil for an empty table.
func (b *builder) table(contents []byte) *memory {
	m := b.memory(len(contents))
	if b.err == nil && m != nil {
		b.err = b.d.send(m.address, contents)
	}
	return m
}

// reserve makes sure that the workspace that all plans share is large enough.
func (b *builder) reserve(bytes int64) {
	if b.err == nil {
		b.err = b.d.reserve(bytes)
	}
}
