package train

import (
	"fmt"

	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/device"
)

// Predictor computes a network's outputs for images that have no labels.
type Predictor struct {
	net    *nn.Network
	input  *hostInput
	views  *viewedOutputs
	labels []int32 // zeros, which nothing reads
	ids    []int32
	pixels int // bytes of an image
}

// NewPredictor allocates what prediction needs in addition to the network. mean and std, one value per channel,
// normalise the images; the outputs are averaged over the views. Without views, each image is taken as it is.
func NewPredictor(net *nn.Network, mean, std []float32, views []TTAView) (*Predictor, error) {
	in := net.Input()
	if len(in) != 3 {
		return nil, fmt.Errorf("prediction: the network's input is %v, want height, width and channels", in)
	}
	h, w, c := in[0], in[1], in[2]
	if err := checkViews(views, h, w); err != nil {
		return nil, err
	}
	if len(mean) != c || len(std) != c {
		return nil, fmt.Errorf("prediction: %d means and %d standard deviations for images of %d channels", len(mean), len(std), c)
	}
	p := &Predictor{net: net, labels: make([]int32, net.Batch()), ids: make([]int32, net.Batch()), pixels: in.Len()}
	if err := p.build(device.AugmentSpec{N: net.Batch(), H: h, W: w, C: c, DType: net.DType(), Mean: mean, Std: std}, views); err != nil {
		return nil, fmt.Errorf("prediction: %w", err)
	}
	return p, nil
}

func (p *Predictor) build(s device.AugmentSpec, views []TTAView) (err error) {
	b := &batchBuffers{dev: p.net.Device()}
	if err = b.allocate(s); err != nil {
		return err
	}
	if p.input, err = newHostInput(b, s, nil, p.net.Classes()); err != nil {
		return err
	}
	p.views, err = newViewedOutputs(p.net, views)
	return err
}

// Outputs writes the network's outputs (logits) for images [n, h, w, c] to dst [n, classes], 1 <= n <= the network's
// batch. It must not be called from several goroutines at once.
func (p *Predictor) Outputs(dst []float32, images []byte) error {
	n := len(images) / p.pixels
	if n < 1 || n > p.net.Batch() || len(images) != n*p.pixels || len(dst) != n*p.net.Classes() {
		panic(fmt.Sprintf("predictor: %d bytes of images and %d outputs, want 1 to %d images of %d bytes, and %d outputs for each",
			len(images), len(dst), p.net.Batch(), p.pixels, p.net.Classes()))
	}
	if err := p.input.upload(&data.Batch{N: n, Images: images, Labels: p.labels[:n], IDs: p.ids[:n]}); err != nil {
		return fmt.Errorf("prediction: %w", err)
	}
	outputs := p.views.forward(p.input, n, p.views.views)
	if err := p.net.Device().Download(device.Bytes(dst), outputs); err != nil {
		return fmt.Errorf("prediction: %w", err)
	}
	return nil
}
