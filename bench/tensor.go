package bench

import (
	"fmt"

	"trainer/nn/device"
)

// RandomTensor returns a tensor of numbers between -1 and 1, the same for the same shape.
func RandomTensor(d device.Device, shape ...int) (*device.Tensor, error) {
	t, err := d.NewTensor(device.Float32, shape...)
	if err != nil {
		return nil, err
	}
	return t, d.Upload(t, device.Bytes(randomNumbers(t.Len())))
}

// randomNumbers returns numbers between -1 and 1.
func randomNumbers(n int) []float32 {
	values := make([]float32, n)
	for i := range values {
		values[i] = 2*device.Uniform(device.RandomWord(1, device.StreamInit, 0, uint64(i))) - 1
	}
	return values
}

// randomBlock is the number of random numbers in a large tensor, which are repeated.
const randomBlock = 1 << 20

// RandomTensorOf returns a tensor of Float32, Float16 or BFloat16 with numbers between -1 and 1; a large tensor repeats
// the first million of them. On a device without 16-bit types it returns an error for those.
func RandomTensorOf(d device.Device, dtype device.DType, shape ...int) (*device.Tensor, error) {
	t, err := d.NewTensor(dtype, shape...)
	if err != nil {
		return nil, err
	}
	block, err := randomBytes(d, dtype, min(t.Len(), randomBlock))
	if err != nil {
		return nil, err
	}
	all := block
	if size := t.Len() * dtype.Size(); size > len(block) {
		all = make([]byte, size)
		for i := 0; i < size; i += len(block) {
			copy(all[i:], block)
		}
	}
	return t, d.Upload(t, all)
}

// randomBytes returns n random numbers in the form in which the device stores them, which does the rounding.
func randomBytes(d device.Device, dtype device.DType, n int) ([]byte, error) {
	numbers := randomNumbers(n)
	switch dtype {
	case device.Float32:
		return device.Bytes(numbers), nil
	case device.Float16, device.BFloat16:
	default:
		return nil, fmt.Errorf("random %v: want float32, float16 or bfloat16", dtype)
	}
	plan, err := d.NewCast(device.CastSpec{From: device.Float32, To: dtype, Len: n})
	if err != nil {
		return nil, err
	}
	from, err := d.NewTensor(device.Float32, n)
	if err != nil {
		return nil, err
	}
	to, err := d.NewTensor(dtype, n)
	if err != nil {
		return nil, err
	}
	if err := d.Upload(from, device.Bytes(numbers)); err != nil {
		return nil, err
	}
	plan.Run(to, from)
	block := make([]byte, n*dtype.Size())
	return block, d.Download(block, to)
}
