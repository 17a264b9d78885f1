package bench

import "trainer/nn/device"

// RandomTensor returns a tensor of numbers between -1 and 1, the same for the same shape.
func RandomTensor(d device.Device, shape ...int) (*device.Tensor, error) {
	t, err := d.NewTensor(device.Float32, shape...)
	if err != nil {
		return nil, err
	}
	values := make([]float32, t.Len())
	for i := range values {
		values[i] = 2*device.Uniform(device.RandomWord(1, device.StreamInit, 0, uint64(i))) - 1
	}
	return t, d.Upload(t, device.Bytes(values))
}
