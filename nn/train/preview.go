package train

import (
	"math"

	"trainer/nn/data"
	"trainer/nn/device"
)

// Seen is a training image as the network sees it in one epoch.
type Seen struct {
	Pixels  []byte    // [h, w, c], with the normalisation undone
	Targets []float32 // the target of the loss: one probability per class
}

// Preview returns the training images with these indices after augmentation, as one batch, in epochs 0 to epochs-1:
// [epoch][image]. Of the configuration it uses Device, Data, Augment and Seed.
func Preview(cfg Config, ids []int32, epochs int) ([][]Seen, error) {
	h, w, c := cfg.Data.Train.ImageShape()
	if err := cfg.Augment.check(h, w, c); err != nil {
		return nil, err
	}
	if err := cfg.normalization(); err != nil {
		return nil, err
	}
	batch := &data.Batch{N: len(ids), IDs: ids, Labels: make([]int32, len(ids)), Images: make([]byte, len(ids)*h*w*c)}
	for i, id := range ids {
		label, err := cfg.Data.Train.Read(int(id), batch.Images[i*h*w*c:][:h*w*c])
		if err != nil {
			return nil, err
		}
		batch.Labels[i] = label
	}
	p, err := newPreviewer(cfg, len(ids))
	if err != nil {
		return nil, err
	}
	var all [][]Seen
	for epoch := range epochs {
		seen, err := p.epoch(batch, epoch)
		if err != nil {
			return nil, err
		}
		all = append(all, seen)
	}
	return all, nil
}

// previewer is the input of training without a network.
type previewer struct {
	cfg     Config
	input   *hostInput
	counter *device.Tensor // int32 [1]
}

func newPreviewer(cfg Config, n int) (*previewer, error) {
	h, w, c := cfg.Data.Train.ImageShape()
	a := cfg.Augment.shortened(h, w)
	s := device.AugmentSpec{N: n, H: h, W: w, C: c, Mean: a.Mean, Std: a.Std, Flip: a.Flip, Crop: a.Crop, Cutout: a.Cutout, Seed: cfg.Seed}
	b := &batchBuffers{dev: cfg.Device}
	if err := b.allocate(s); err != nil {
		return nil, err
	}
	in, err := newHostInput(b, s, a.Transforms, len(cfg.Data.Train.Classes()))
	if err != nil {
		return nil, err
	}
	counter, err := cfg.Device.NewTensor(device.Int32, 1)
	return &previewer{cfg, in, counter}, err
}

// epoch returns the batch as augmented in an epoch.
func (p *previewer) epoch(batch *data.Batch, epoch int) ([]Seen, error) {
	dev, in := p.cfg.Device, p.input
	if err := in.upload(batch); err != nil {
		return nil, err
	}
	if err := in.draw(batch, epoch); err != nil {
		return nil, err
	}
	if err := dev.Upload(p.counter, device.Bytes([]int32{int32(epoch)})); err != nil {
		return nil, err
	}
	in.train(p.counter)
	x := make([]float32, in.x.Len())
	if err := dev.Download(device.Bytes(x), in.x); err != nil {
		return nil, err
	}
	targets, err := p.targets(batch)
	if err != nil {
		return nil, err
	}
	seen := make([]Seen, batch.N)
	for i := range seen {
		seen[i] = Seen{p.bytes(x[i*len(x)/batch.N:][:len(x)/batch.N]), targets[i*len(targets)/batch.N:][:len(targets)/batch.N]}
	}
	return seen, nil
}

// targets returns a batch's rows of probabilities.
func (p *previewer) targets(batch *data.Batch) ([]float32, error) {
	classes := len(p.cfg.Data.Train.Classes())
	rows := make([]float32, batch.N*classes)
	t := p.input.targets()
	if t.DType() == device.Float32 {
		return rows, p.cfg.Device.Download(device.Bytes(rows), t)
	}
	for i, label := range batch.Labels {
		rows[i*classes+int(label)] = 1
	}
	return rows, nil
}

// bytes undoes the normalisation.
func (p *previewer) bytes(x []float32) []byte {
	mean, std := p.cfg.Augment.Mean, p.cfg.Augment.Std
	pixels := make([]byte, len(x))
	for i, v := range x {
		k := i % len(mean)
		pixels[i] = byte(math.Round(255 * device.Clamp(float64(v*std[k]+mean[k]))))
	}
	return pixels
}
