package devicetest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"trainer/nn/device"
	"trainer/nn/device/reference"
)

// guardLen is the number of guard elements behind every buffer: more than the widest store
// of any device (64 bytes) and more than a row of most cases.
const guardLen = 128

// The contents of outputs and guards before a run: quiet NaNs with a payload that no
// operation produces by itself, and improbable integers.
const (
	unwrittenFloat32  = 0x7FC0DEAD
	unwrittenFloat16  = 0x7EAD
	unwrittenBFloat16 = 0x7FED
	unwrittenInt32    = 0x5AA5F00D
	unwrittenUint8    = 0xA5
)

// unwritten returns the bytes of n elements that were never written.
func unwritten(dtype device.DType, n int) []byte {
	var one []byte
	switch dtype {
	case device.Float32:
		one = binary.NativeEndian.AppendUint32(nil, unwrittenFloat32)
	case device.Float16:
		one = binary.NativeEndian.AppendUint16(nil, unwrittenFloat16)
	case device.BFloat16:
		one = binary.NativeEndian.AppendUint16(nil, unwrittenBFloat16)
	case device.Int32:
		one = binary.NativeEndian.AppendUint32(nil, unwrittenInt32)
	case device.Uint8:
		one = []byte{unwrittenUint8}
	}
	return bytes.Repeat(one, n)
}

// role says how an operation uses an operand.
type role uint8

const (
	input  role = iota // read only
	output             // overwritten completely
	inout              // read and changed
)

// operand is a tensor given to an operation, with guard words behind it.
type operand struct {
	name   string
	role   role
	tensor *device.Tensor // the tensor that the operation gets
	whole  *device.Tensor // the same memory, flat, with the guard
	before []byte         // content of whole before the operation
	after  []byte         // and after the latest run
}

// rig runs one operation on guarded operands and checks everything except the values.
type rig struct {
	t        *testing.T
	dev      device.Device
	opt      Options
	operands []*operand
}

func newRig(t *testing.T, dev device.Device, opt Options) *rig {
	return &rig{t: t, dev: dev, opt: opt}
}

// newOperand allocates guarded memory; the operation gets a view of it with the given
// shape. body is nil for outputs.
func (r *rig) newOperand(name string, ro role, dtype device.DType, body []byte, shape []int) *device.Tensor {
	r.t.Helper()
	n := 1
	for _, d := range shape {
		n *= d
	}
	whole, err := r.dev.NewTensor(dtype, n+guardLen)
	if err != nil {
		r.t.Fatalf("allocating %s: %v", name, err)
	}
	before := unwritten(dtype, n+guardLen)
	if body != nil && len(body) != n*dtype.Size() {
		r.t.Fatalf("the test gave %d bytes for %s of shape %v", len(body), name, shape)
	}
	copy(before, body)
	o := &operand{name: name, role: ro, tensor: whole.View(shape...), whole: whole, before: before}
	r.operands = append(r.operands, o)
	return o.tensor
}

// input, output and inout make operands of the options' type: images, filters, operands of products.

func (r *rig) input(name string, data []float32, shape ...int) *device.Tensor {
	r.t.Helper()
	return r.newOperand(name, input, r.opt.dtype(), r.encode(name, data), shape)
}

func (r *rig) output(name string, shape ...int) *device.Tensor {
	r.t.Helper()
	return r.newOperand(name, output, r.opt.dtype(), nil, shape)
}

func (r *rig) inout(name string, data []float32, shape ...int) *device.Tensor {
	r.t.Helper()
	return r.newOperand(name, inout, r.opt.dtype(), r.encode(name, data), shape)
}

// encode returns data as elements of the options' type, in which they must be exact.
func (r *rig) encode(name string, data []float32) []byte {
	r.t.Helper()
	for i, x := range r.opt.round(data) {
		if x != data[i] && x == x {
			r.t.Fatalf("the test gave %v for %s, which is no %v", data[i], name, r.opt.dtype())
		}
	}
	return elements(r.opt.dtype(), data)
}

// elements returns data as elements of a float type.
func elements(dtype device.DType, data []float32) []byte {
	if dtype == device.Float32 {
		return device.Bytes(data) // NaNs keep their payloads
	}
	return reference.Round(dtype, reference.Widen(data))
}

// The following functions make operands that are always float32: parameters of layers, statistics.

func (r *rig) inputFloat32(name string, data []float32, shape ...int) *device.Tensor {
	r.t.Helper()
	return r.newOperand(name, input, device.Float32, device.Bytes(data), shape)
}

func (r *rig) outputFloat32(name string, shape ...int) *device.Tensor {
	r.t.Helper()
	return r.newOperand(name, output, device.Float32, nil, shape)
}

func (r *rig) inoutFloat32(name string, data []float32, shape ...int) *device.Tensor {
	r.t.Helper()
	return r.newOperand(name, inout, device.Float32, device.Bytes(data), shape)
}

func (r *rig) inputInt32(name string, data []int32, shape ...int) *device.Tensor {
	r.t.Helper()
	return r.newOperand(name, input, device.Int32, device.Bytes(data), shape)
}

func (r *rig) inputUint8(name string, data []uint8, shape ...int) *device.Tensor {
	r.t.Helper()
	return r.newOperand(name, input, device.Uint8, data, shape)
}

// run runs op twice from the same state, and checks guards, inputs, unwritten
// elements and that both runs gave the same bits.
func (r *rig) run(op func()) {
	r.t.Helper()
	if r.opt.cases != nil {
		*r.opt.cases++
	}
	first := r.once(op)
	if r.opt.BeforeRepeat != nil {
		r.opt.BeforeRepeat()
	}
	second := r.once(op)
	if r.opt.Nondeterministic {
		return
	}
	for i, o := range r.operands {
		if !bytes.Equal(first[i], second[i]) {
			r.t.Errorf("%s: a second run gave other bits", o.name)
		}
	}
}

// once uploads every operand's first content, runs op, and returns the new contents.
func (r *rig) once(op func()) [][]byte {
	r.t.Helper()
	for _, o := range r.operands {
		if err := r.dev.Upload(o.whole, o.before); err != nil {
			r.t.Fatalf("uploading %s: %v", o.name, err)
		}
	}
	op()
	if err := r.dev.Sync(); err != nil {
		r.t.Fatalf("sync: %v", err)
	}
	contents := make([][]byte, len(r.operands))
	for i, o := range r.operands {
		o.after = make([]byte, len(o.before))
		if err := r.dev.Download(o.after, o.whole); err != nil {
			r.t.Fatalf("downloading %s: %v", o.name, err)
		}
		if err := o.verify(); err != nil {
			r.t.Errorf("%s: %v", o.name, err)
		}
		contents[i] = o.after
	}
	return contents
}

// bodySize returns the bytes of the operand without the guard.
func (o *operand) bodySize() int { return len(o.before) - guardLen*o.whole.DType().Size() }

// verify checks the conditions on the operand that don't depend on the reference's values.
func (o *operand) verify() error {
	size, body := o.whole.DType().Size(), o.bodySize()
	if i := firstDifference(o.before[body:], o.after[body:]); i >= 0 {
		return fmt.Errorf("the guard was overwritten, first %d elements behind the end of %v", i/size, o.tensor)
	}
	switch o.role {
	case input:
		if i := firstDifference(o.before[:body], o.after[:body]); i >= 0 {
			return fmt.Errorf("the input was changed at element %d", i/size)
		}
	case output:
		for i := 0; i < body; i += size {
			if bytes.Equal(o.after[i:i+size], o.before[i:i+size]) && size > 1 {
				return fmt.Errorf("element %d was never written, or was added to what was there before", i/size)
			}
		}
	}
	return nil
}

// firstDifference returns the first index where a and b differ, or -1.
func firstDifference(a, b []byte) int {
	if bytes.Equal(a, b) {
		return -1
	}
	for i := range a {
		if a[i] != b[i] {
			return i
		}
	}
	return -1
}

// find returns the operand of a tensor that this rig made.
func (r *rig) find(t *device.Tensor) *operand {
	for _, o := range r.operands {
		if o.tensor == t {
			return o
		}
	}
	panic("devicetest: not an operand of this rig")
}

// bits returns the bytes of t after the latest run.
func (r *rig) bits(t *device.Tensor) []byte {
	o := r.find(t)
	return o.after[:o.bodySize()]
}

// result returns the float32 elements of t after the latest run.
func (r *rig) result(t *device.Tensor) []float32 { return reference.Float32s(r.bits(t)) }

// check compares t, after the latest run, with the reference.
func (r *rig) check(t *device.Tensor, want reference.Sums) {
	r.t.Helper()
	if err := compare(want, t.DType(), r.bits(t)); err != nil {
		r.t.Errorf("%s %v: %v", r.find(t).name, t, err)
	}
}

// mustPanic runs f, which must panic with a message that contains all of the words, in any
// case.
func mustPanic(t *testing.T, what string, f func(), words ...string) {
	t.Helper()
	defer func() {
		t.Helper()
		p := recover()
		if p == nil {
			t.Errorf("%s: no panic", what)
			return
		}
		message := fmt.Sprint(p)
		if err, isRuntime := p.(interface{ RuntimeError() }); isRuntime {
			t.Errorf("%s: a fault of the Go runtime instead of an explanation: %v", what, err)
		}
		for _, w := range words {
			if !strings.Contains(strings.ToLower(message), strings.ToLower(w)) {
				t.Errorf("%s: the panic %q does not say %q", what, message, w)
			}
		}
	}()
	f()
}
