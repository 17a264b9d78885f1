package train

import (
	"trainer/nn/data"
	"trainer/nn/device"
)

// exampleWeights copies the weights of a batch's images to the device, if the set is a data.Weighted.
type exampleWeights struct {
	dev    device.Device
	of     func(id int) float32
	host   []float32
	tensor *device.Tensor // float32 [batch]; nil if all images count equally
}

func newExampleWeights(dev device.Device, set data.Set, batch int) (exampleWeights, error) {
	w := exampleWeights{dev: dev, of: data.Weights(set)}
	if w.of == nil {
		return w, nil
	}
	w.host = make([]float32, batch)
	var err error
	w.tensor, err = dev.NewTensor(device.Float32, batch)
	return w, err
}

// upload copies the weights of the batch's images.
func (w *exampleWeights) upload(b *data.Batch) error {
	if w.of == nil {
		return nil
	}
	for i, id := range b.IDs[:b.N] {
		w.host[i] = w.of(int(id))
	}
	w.tensor.SetRows(b.N)
	return w.dev.Upload(w.tensor, device.Bytes(w.host[:b.N]))
}
