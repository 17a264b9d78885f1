package inspect

import (
	"errors"

	"trainer/nn"
	"trainer/nn/device"
	"trainer/nn/model"
)

// Options says what New opens a network with.
type Options struct {
	Input nn.Shape // [h w c] of a picture
	// Mean and Std, one value per channel, normalise pixels p in 0 to 255: x = (p/255 - mean) / std. nil means 0 and 1.
	Mean, Std []float32
	Loss      nn.Loss // nil means nn.CrossEntropy{}
	Seed      uint64  // of the initial weights
	// Sample and ClassCounts are as in nn.Options. Without Sample, initialisers that look at data get random images.
	Sample      func(n int) (images []float32, shape nn.Shape, err error)
	ClassCounts func() ([]int, error)
	// Temperature divides the network's outputs in Pass.Answer; 0 means 1.
	Temperature float64
	// OwnsDevice makes Close close the device, which frees the session's memory on a device that frees none earlier (a GPU).
	OwnsDevice bool
}

// Session is a network that is being looked at, with weights of its own.
type Session struct{}

var errUnfinished = errors.New("inspect: not written yet")

// New opens a network with its initial weights. The error for a network that doesn't fit the input is an *nn.LayerError.
func New(dev device.Device, network nn.Layer, opt Options) (*Session, error) {
	return nil, errUnfinished
}

// Open opens a model file or a run's folder with the trained weights: see model.Open for its options and errors. The loss is
// the recipe's.
func Open(path string, dev device.Device, opts ...model.Option) (*Session, error) {
	return nil, errUnfinished
}

// Of opens a model on the given device with a copy of its weights. The loss is the recipe's, with kinds as in model.Open.
func Of(m *model.Model, dev device.Device, opts ...model.Option) (*Session, error) {
	return nil, errUnfinished
}

// CopyWeights replaces the session's weights and running statistics by those of a network of the same layers, such as one
// that is being trained at present. The steps made before can't be undone any more.
func (s *Session) CopyWeights(net *nn.Network) error { return errUnfinished }

// Places returns all places, in the order in which they are computed. Place 0 is the input.
func (s *Session) Places() []Place { return nil }

// Classes returns the number of the network's outputs.
func (s *Session) Classes() int { return 0 }

// Weights returns the values of a parameter or a running statistic, such as "conv1.weight".
func (s *Session) Weights(tensor string) ([]float32, error) { return nil, errUnfinished }

// Memory says how many bytes a session holds.
type Memory struct {
	Device int64 `json:"device"` // on the device: weights, values, gradients, and the optimiser's state
	Host   int64 `json:"host"`   // copies of values, gradients and weights, and what Undo needs
}

// Memory returns what the session holds now. On the CPU both parts are main memory.
func (s *Session) Memory() Memory { return Memory{} }

// Close frees everything. The session can't be used afterwards: its methods return ErrClosed.
func (s *Session) Close() error { return nil }

// The errors of methods that are called too early or too late.
var (
	ErrClosed     = errors.New("inspect: the session is closed")
	ErrNoForward  = errors.New("inspect: no picture yet: call Forward first")
	ErrNoBackward = errors.New("inspect: no gradients yet: call Backward first")
	ErrNoStep     = errors.New("inspect: there is no step to undo")
)
