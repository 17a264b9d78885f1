package train

import (
	"fmt"
	"reflect"

	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/device"
)

// Shared is what trainings of the same data on the same device share, one after the other, such as those of several seeds:
// the data sets on the device, and what initialisers compute from the training images. If they differ only in the seed, they
// also share plans, buffers and the network: what Result.Network holds is overwritten when the next training begins. Its zero
// value is empty. What it holds stays on the device until Close.
type Shared struct {
	left    *equipment // by the last training; nil if there is none, or while a training uses it
	last    *lastSave  // the last checkpoint of the last training
	dev     device.Device
	sets    map[data.Set]*deviceSet
	resized map[resizedKey]data.Set
	memos   map[memoKey]*nn.Memo
}

type resizedKey struct {
	set  data.Set
	h, w int
}

type memoKey struct {
	set           data.Set
	normalization string // mean and standard deviation
}

// isKey reports whether a set can be the key of a map. A pointer can; a type of another package may be no pointer.
func isKey(set data.Set) bool { return set != nil && reflect.TypeOf(set).Comparable() }

// deviceSet is a data set on a device.
type deviceSet struct {
	images *device.Tensor // uint8 [whole set, h, w, c]
	labels *device.Tensor // int32 [whole set]
	onHost []int32        // the same labels; nil before the set is loaded
}

// newDeviceSet allocates memory for a set.
func newDeviceSet(dev device.Device, set data.Set) (*deviceSet, error) {
	h, w, c := set.ImageShape()
	images, err := dev.NewTensor(device.Uint8, set.Len(), h, w, c)
	if err != nil {
		return nil, err
	}
	labels, err := dev.NewTensor(device.Int32, set.Len())
	return &deviceSet{images: images, labels: labels}, err
}

// take returns what the last training has left, if a training can use it. Otherwise it is released.
func (s *Shared) take(c *Config) *equipment {
	if s == nil || s.left == nil {
		return nil
	}
	e := s.left
	s.left = nil
	if !e.fits(c) {
		e.close()
		return nil
	}
	return e
}

// leave keeps the equipment of a training for the next one, and reports whether it did.
func (s *Shared) leave(e *equipment) bool {
	if s == nil || !e.stepper.restarts() {
		return false
	}
	kept := *e
	s.left = &kept
	return true
}

// LastCheckpoint returns a function that waits until the last checkpoint of the training before is on the disk, and returns
// it, or the error of writing it; nil if no checkpoint was left, as hooks have been told of the last one. Any goroutine may
// call the function, also while the next training runs.
func (s *Shared) LastCheckpoint() (wait func() (*CheckpointWritten, error)) {
	last := s.last
	return func() (*CheckpointWritten, error) {
		if err := last.wait(); err != nil || last == nil {
			return nil, err
		}
		return &last.written, nil
	}
}

// Close waits for the last checkpoint, and releases what the last training has left. Tensors are freed with the last
// reference to them.
func (s *Shared) Close() {
	_ = s.last.wait() // LastCheckpoint returns the error
	if s.left != nil {
		s.left.close()
	}
	*s = Shared{}
}

// of returns the set on the device, or nil if there is none. A nil Shared has none.
func (s *Shared) of(dev device.Device, set data.Set) *deviceSet {
	if s == nil || s.dev != dev || !isKey(set) {
		return nil
	}
	return s.sets[set]
}

// keep keeps a set. On another device than before it forgets everything.
func (s *Shared) keep(dev device.Device, set data.Set, on *deviceSet) {
	if s == nil || !isKey(set) {
		return
	}
	if s.dev != dev {
		s.dev, s.sets = dev, map[data.Set]*deviceSet{}
	}
	s.sets[set] = on
}

// sized returns the images of a set in a size: the same data.Set for every training.
func (s *Shared) sized(set data.Set, h, w int) data.Set {
	if s == nil || !isKey(set) {
		return data.Resized(set, h, w)
	}
	key := resizedKey{set, h, w}
	if s.resized[key] == nil {
		if s.resized == nil {
			s.resized = map[resizedKey]data.Set{}
		}
		s.resized[key] = data.Resized(set, h, w)
	}
	return s.resized[key]
}

// memo returns what initialisers computed from images that were normalised by mean and std.
func (s *Shared) memo(set data.Set, mean, std []float32) *nn.Memo {
	if s == nil || !isKey(set) {
		return nil
	}
	key := memoKey{set, fmt.Sprint(mean, std)}
	if s.memos[key] == nil {
		if s.memos == nil {
			s.memos = map[memoKey]*nn.Memo{}
		}
		s.memos[key] = &nn.Memo{}
	}
	return s.memos[key]
}
