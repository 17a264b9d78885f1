package devicetest

import (
	"bytes"
	"fmt"
	"testing"

	"trainer/nn/device"
)

func dtypes() []device.DType {
	return []device.DType{device.Float32, device.Float16, device.BFloat16, device.Uint8, device.Int32}
}

// pattern returns n bytes that differ from their neighbours.
func pattern(n, start int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(start + 7*i + i/251)
	}
	return b
}

// testTensors checks memory: allocation, copies in all directions, rows and views.
func testTensors(t *testing.T, dev device.Device, _ Options) {
	if dev.Name() == "" {
		t.Error("the device has no name")
	}
	if dev.Info().Description == "" {
		t.Error("the device has no description")
	}
	for _, dtype := range dtypes() {
		for _, shape := range [][]int{{1}, {7}, {3, 5}, {2, 3, 5, 7}, {1031, 33}} {
			t.Run(fmt.Sprintf("%v%v", dtype, shape), func(t *testing.T) {
				m := memory{t, dev}
				m.startsZero(dtype, shape)
				m.roundTrip(dtype, shape)
				m.copies(dtype, shape)
				m.rows(dtype, shape)
			})
		}
	}
	t.Run("upload-keeps-no-reference", func(t *testing.T) {
		m := memory{t, dev}
		x := m.tensor(device.Float32, []int{1000})
		src := pattern(4000, 1)
		want := bytes.Clone(src)
		m.upload(x, src)
		clear(src)
		m.holds("x", x, want)
	})
	t.Run("tensors-are-apart", func(t *testing.T) {
		m := memory{t, dev}
		a, b := m.tensor(device.Uint8, []int{3}), m.tensor(device.Uint8, []int{3})
		m.upload(a, []byte{1, 2, 3})
		m.upload(b, []byte{4, 5, 6})
		m.holds("a", a, []byte{1, 2, 3})
		m.holds("b", b, []byte{4, 5, 6})
	})
	testSlices(t, dev)
	t.Run("sync", func(t *testing.T) {
		if err := dev.Sync(); err != nil {
			t.Errorf("Sync without a fault: %v", err)
		}
	})
}

// memory makes the copies of a sub-test, and ends the sub-test if one fails.
type memory struct {
	t   *testing.T
	dev device.Device
}

func (m memory) tensor(dtype device.DType, shape []int) *device.Tensor {
	m.t.Helper()
	x, err := m.dev.NewTensor(dtype, shape...)
	if err != nil {
		m.t.Fatalf("NewTensor(%v, %v): %v", dtype, shape, err)
	}
	device.Check("NewTensor", "result", x, dtype, shape...)
	return x
}

func (m memory) upload(x *device.Tensor, src []byte) {
	m.t.Helper()
	if err := m.dev.Upload(x, src); err != nil {
		m.t.Fatalf("uploading to %v: %v", x, err)
	}
}

func (m memory) holds(what string, x *device.Tensor, want []byte) {
	m.t.Helper()
	got := bytes.Repeat([]byte{0xEE}, len(want))
	if err := m.dev.Download(got, x); err != nil {
		m.t.Fatalf("downloading %s %v: %v", what, x, err)
	}
	if i := firstDifference(got, want); i >= 0 {
		m.t.Errorf("%s %v: byte %d is %#x, want %#x", what, x, i, got[i], want[i])
	}
}

func (m memory) startsZero(dtype device.DType, shape []int) {
	m.t.Helper()
	x := m.tensor(dtype, shape)
	m.holds("new tensor", x, make([]byte, x.Len()*dtype.Size()))
}

func (m memory) roundTrip(dtype device.DType, shape []int) {
	m.t.Helper()
	x := m.tensor(dtype, shape)
	data := pattern(x.Len()*dtype.Size(), 1)
	m.upload(x, data)
	m.holds("uploaded", x, data)
	m.dev.Zero(x)
	m.holds("zeroed", x, make([]byte, len(data)))
}

// copies copies between tensors of different shapes.
func (m memory) copies(dtype device.DType, shape []int) {
	m.t.Helper()
	src := m.tensor(dtype, shape)
	dst := m.tensor(dtype, []int{src.Len()})
	data := pattern(src.Len()*dtype.Size(), 3)
	m.upload(src, data)
	m.dev.Copy(dst, src)
	m.holds("copy", dst, data)
	m.holds("source", src, data)
}

// rows checks that if fewer rows are set, every copy stays within them.
func (m memory) rows(dtype device.DType, shape []int) {
	m.t.Helper()
	x, y := m.tensor(dtype, shape), m.tensor(dtype, shape)
	max := x.Rows()
	if max == 1 {
		return
	}
	row := x.RowLen() * dtype.Size()
	old, new := pattern(max*row, 1), pattern((max-1)*row, 77)
	mixed := append(bytes.Clone(new), old[len(new):]...)
	m.upload(x, old)
	m.upload(y, old)
	x.SetRows(max - 1)
	y.SetRows(max - 1)
	m.upload(x, new)
	m.holds("fewer rows", x, new)
	m.dev.Copy(y, x)
	x.SetRows(max)
	y.SetRows(max)
	m.holds("all rows after an upload of fewer", x, mixed)
	m.holds("all rows after a copy of fewer", y, mixed)
	m.holds("view", x.View(max*x.RowLen()), mixed)
	x.SetRows(max - 1)
	m.dev.Zero(x)
	x.SetRows(max)
	m.holds("all rows after zeroing fewer", x, append(make([]byte, len(new)), old[len(new):]...))
}

// zeros allocates a float32 tensor.
func zeros(t *testing.T, dev device.Device, shape ...int) *device.Tensor {
	t.Helper()
	return memory{t, dev}.tensor(device.Float32, shape)
}
