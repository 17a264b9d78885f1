package bench

import (
	"errors"
	"io"
	"strconv"

	"trainer/nn/data"
	"trainer/nn/train"
)

// Classes is the number of classes of synthetic images.
const Classes = 10

// SyntheticImages returns a set of n random images [h, w, c] in 10 classes, the same in every program of bench/peers:
// byte i is the highest byte of a hash of i, and image i has label i mod 10.
func SyntheticImages(n, h, w, c int) *data.InMemory {
	s := &data.InMemory{
		Name: "synthetic", H: h, W: w, C: c, ClassNames: make([]string, Classes),
		Images: make([]byte, n*h*w*c), Labels: make([]int32, n),
	}
	for i := range s.ClassNames {
		s.ClassNames[i] = strconv.Itoa(i)
	}
	for i := range s.Images {
		s.Images[i] = noise(uint32(i))
	}
	for i := range s.Labels {
		s.Labels[i] = int32(i % Classes)
	}
	return s
}

// noise mixes the bits of x with the finaliser of MurmurHash3, and returns the highest eight.
func noise(x uint32) byte {
	x ^= x >> 16
	x *= 0x85ebca6b
	x ^= x >> 13
	x *= 0xc2b2ae35
	x ^= x >> 16
	return byte(x >> 24)
}

// Training trains on the batches of a set, epoch after epoch, without end: whole steps as in a training run, with
// nothing between them.
type Training struct {
	*train.Stepper
	batches batches
}

// NewTraining returns a training as cfg describes it, on the batches of a loader. If the images are on the device, the
// loader returns only their indices. Errors come from train.NewStepper and data.NewLoader.
func NewTraining(cfg train.Config, load data.LoaderConfig) (*Training, error) {
	cfg.Resolution = nil // all steps are those of whole images
	s, err := train.NewStepper(cfg)
	if err != nil {
		return nil, err
	}
	load.IDsOnly = s.DataOnDevice()
	b, err := newBatches(load)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return &Training{s, b}, nil
}

// Step trains on the next batch.
func (t *Training) Step() error {
	b, err := t.batches.next()
	if err != nil {
		return err
	}
	defer t.batches.loader.Release(b)
	return t.Stepper.Step(b)
}

// Close ends the training.
func (t *Training) Close() {
	t.batches.loader.Close()
	_ = t.Stepper.Close() // nothing is lost with a recorded step
}

// batches returns the batches of a loader, epoch after epoch.
type batches struct {
	loader *data.Loader
	epoch  int
}

func newBatches(cfg data.LoaderConfig) (batches, error) {
	l, err := data.NewLoader(cfg)
	if err != nil {
		return batches{}, err
	}
	l.Start(0, 0)
	return batches{loader: l}, nil
}

// next returns the next batch, which must be released to the loader.
func (b *batches) next() (*data.Batch, error) {
	batch, err := b.loader.Next()
	if errors.Is(err, io.EOF) {
		b.epoch++
		b.loader.Start(b.epoch, 0)
		batch, err = b.loader.Next()
	}
	return batch, err
}
