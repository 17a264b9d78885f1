package device_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"trainer/nn/device"
)

// wantPanic runs f, which must panic with a message that contains all of the words.
func wantPanic(t *testing.T, what string, f func(), words ...string) {
	t.Helper()
	defer func() {
		t.Helper()
		p := recover()
		if p == nil {
			t.Errorf("%s: no panic", what)
		}
		for _, w := range words {
			if !strings.Contains(fmt.Sprint(p), w) {
				t.Errorf("%s: the panic %q does not say %q", what, p, w)
			}
		}
	}()
	f()
}

func TestTensorShape(t *testing.T) {
	memory := new(int)
	x := device.WrapTensor(device.Float16, memory, 4, 3, 5)
	if x.DType() != device.Float16 || x.Memory() != memory || !slices.Equal(x.Shape(), []int{4, 3, 5}) {
		t.Errorf("the tensor is %v over %v", x, x.Memory())
	}
	if x.Dim(1) != 3 || x.Rows() != 4 || x.MaxRows() != 4 || x.RowLen() != 15 || x.Len() != 60 {
		t.Errorf("%v: dim 1 %d, rows %d of %d, row length %d, length %d", x, x.Dim(1), x.Rows(), x.MaxRows(), x.RowLen(), x.Len())
	}
	if x.String() != "float16[4 3 5]" {
		t.Errorf("String is %q", x)
	}
	shape := []int{2, 3}
	y := device.WrapTensor(device.Int32, nil, shape...)
	shape[0] = 9
	if y.Rows() != 2 {
		t.Error("the tensor keeps the caller's shape")
	}
	wantPanic(t, "no dimension", func() { device.WrapTensor(device.Float32, nil) })
	wantPanic(t, "dimension 0", func() { device.WrapTensor(device.Float32, nil, 2, 0) }, "[2 0]")
	wantPanic(t, "negative rows", func() { device.WrapTensor(device.Float32, nil, -1) }, "[-1]")
}

func TestSetRows(t *testing.T) {
	x := device.WrapTensor(device.Float32, nil, 4, 3)
	v := x.View(4, 3)
	x.SetRows(2)
	if x.Rows() != 2 || x.Len() != 6 || x.MaxRows() != 4 || x.RowLen() != 3 {
		t.Errorf("with two rows: %v of at most %d rows, %d elements", x, x.MaxRows(), x.Len())
	}
	if v.Rows() != 4 {
		t.Error("a view's rows changed with the tensor's")
	}
	x.SetRows(4)
	wantPanic(t, "0 rows", func() { x.SetRows(0) }, "SetRows(0)", "1 to 4")
	wantPanic(t, "5 rows", func() { x.SetRows(5) }, "SetRows(5)", "1 to 4")
}

func TestView(t *testing.T) {
	memory := new(int)
	x := device.WrapTensor(device.Float32, memory, 4, 3)
	v := x.View(2, 5)
	if v.Memory() != memory || v.DType() != device.Float32 || v.MaxRows() != 2 || v.Len() != 10 {
		t.Errorf("the view is %v over %v", v, v.Memory())
	}
	x.SetRows(1)
	if x.View(12).Len() != 12 {
		t.Error("a view must reach the whole buffer whatever the rows are")
	}
	wantPanic(t, "a view larger than the buffer", func() { x.View(13) }, "[13]", "13", "12")
}

func TestCheck(t *testing.T) {
	x := device.WrapTensor(device.Float32, nil, 4, 3)
	device.Check("op", "x", x, device.Float32, 4, 3)
	device.Check("op", "x", x, device.Float32, -1, 3)
	wantPanic(t, "another shape", func() { device.Check("op", "x", x, device.Float32, -1, 5) }, "op", "x", "float32[4 3]", "float32[-1 5]")
	wantPanic(t, "more dimensions", func() { device.Check("op", "x", x, device.Float32, 4, 3, 1) }, "float32[4 3 1]")
	wantPanic(t, "another type", func() { device.Check("op", "x", x, device.Int32, 4, 3) }, "float32[4 3]", "int32[4 3]")
	wantPanic(t, "nil", func() { device.Check("op", "x", nil, device.Int32, 4) }, "op", "x is nil", "int32[4]")

	device.CheckLen("op", "x", x, device.Float32, 12)
	wantPanic(t, "another length", func() { device.CheckLen("op", "x", x, device.Float32, 11) }, "op", "float32[4 3]", "11")
	wantPanic(t, "another type", func() { device.CheckLen("op", "x", x, device.Uint8, 12) }, "float32[4 3]", "uint8")
	wantPanic(t, "nil", func() { device.CheckLen("op", "x", nil, device.Uint8, 12) }, "x is nil", "uint8")
}

func TestDType(t *testing.T) {
	for _, c := range []struct {
		dtype device.DType
		size  int
		name  string
	}{
		{device.Float32, 4, "float32"}, {device.Float16, 2, "float16"}, {device.BFloat16, 2, "bfloat16"},
		{device.Uint8, 1, "uint8"}, {device.Int32, 4, "int32"},
	} {
		if c.dtype.Size() != c.size || c.dtype.String() != c.name {
			t.Errorf("%v has the size %d, want %s of %d", c.dtype, c.dtype.Size(), c.name, c.size)
		}
	}
	if got := device.DType(0).String(); got != "DType(0)" {
		t.Errorf("DType(0) is %q", got)
	}
	wantPanic(t, "size of DType(0)", func() { device.DType(0).Size() }, "DType(0)")
}

func TestBytes(t *testing.T) {
	s := []int32{1, -1}
	b := device.Bytes(s)
	if len(b) != 8 || !slices.Equal(b[4:], []byte{0xFF, 0xFF, 0xFF, 0xFF}) {
		t.Errorf("the bytes of %v are %v", s, b)
	}
	clear(b)
	if s[1] != 0 {
		t.Error("Bytes copied")
	}
	if device.Bytes([]float32{}) != nil {
		t.Error("Bytes of nothing is not nil")
	}
}

func TestSpecs(t *testing.T) {
	c := device.Conv2DSpec{N: 2, H: 10, W: 7, InC: 4, OutC: 6, KH: 3, KW: 2, StrideH: 2, StrideW: 3, PadH: 1, PadW: 0, DilationH: 2, DilationW: 1, Groups: 2}
	// Rows: (10 + 2 - 2*2 - 1)/2 + 1 = 4; columns: (7 - 1 - 1)/3 + 1 = 2.
	if c.OutH() != 4 || c.OutW() != 2 {
		t.Errorf("convolution output %dx%d, want 4x2", c.OutH(), c.OutW())
	}
	if got, want := c.FLOPs(3), int64(2*3*4*2*6*3*2*2); got != want {
		t.Errorf("%d FLOPs, want %d", got, want)
	}
	p := device.Pool2DSpec{H: 8, W: 7, KH: 3, KW: 2, StrideH: 2, StrideW: 2, PadH: 1}
	if p.OutH() != 4 || p.OutW() != 3 {
		t.Errorf("pooling output %dx%d, want 4x3", p.OutH(), p.OutW())
	}
}

func TestErrors(t *testing.T) {
	err := fmt.Errorf("training: %w", &device.Error{Device: "cuda:0", Op: "conv2d forward", Err: &device.MemoryError{Wanted: 7, Free: 5}})
	if want := "training: cuda:0: conv2d forward: out of device memory: 7 bytes wanted, 5 free"; err.Error() != want {
		t.Errorf("the error says %q, want %q", err, want)
	}
	if !errors.Is(err, device.ErrOutOfMemory) || errors.Is(err, device.ErrLost) {
		t.Error("a MemoryError is ErrOutOfMemory and nothing else")
	}
	var memory *device.MemoryError
	if !errors.As(err, &memory) || memory.Wanted != 7 {
		t.Error("errors.As does not find the MemoryError")
	}
}
