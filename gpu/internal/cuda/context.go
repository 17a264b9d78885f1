//go:build cuda && linux && cgo && (amd64 || arm64)

package cuda

import (
	"fmt"

	"gorgonia.org/cu"
)

// Context is the primary context of a device, which cuBLAS and cuDNN use too.
type Context struct {
	Device cu.Device
	cu.CUContext
}

// Open initialises the driver if necessary, and makes the primary context of the device with
// the given number current on the calling thread, to which the goroutine must be locked
// (runtime.LockOSThread).
func Open(index int) (*Context, error) {
	d, err := Device(index)
	if err != nil {
		return nil, err
	}
	doing := fmt.Sprintf("opening cuda:%d", index)
	primary, err := d.RetainPrimaryCtx()
	if err != nil {
		return nil, Check(doing, err)
	}
	c := &Context{d, primary}
	if err := cu.SetCurrentContext(primary); err != nil {
		err = Check(doing, err)
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// Synchronize waits for all work queued on the device, and returns the first fault.
func (c *Context) Synchronize() error { return Check("waiting for the device", cu.Synchronize()) }

// Close releases the context; the last Close frees everything allocated in it.
func (c *Context) Close() error {
	return Check(fmt.Sprintf("closing cuda:%d", int(c.Device)), c.Device.ReleasePrimaryCtx())
}
