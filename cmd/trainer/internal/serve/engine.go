package serve

import (
	"errors"
	"sync"
	"sync/atomic"

	"trainer/nn/device"
)

// engine is a device that several networks share. A device computes for one of them at a time.
type engine struct {
	mu     sync.Mutex
	failed atomic.Bool // nothing can be computed until the program is started again
}

// use runs f, which uses the device, while nothing else does.
func (e *engine) use(f func() error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	err := f()
	if _, ok := errors.AsType[*device.Error](err); ok {
		e.failed.Store(true)
	}
	return err
}
