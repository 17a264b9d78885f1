//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"

	"gorgonia.org/cu"

	"trainer/gpu/internal/cuda"
	"trainer/gpu/internal/require"
	"trainer/nn/device"
	"trainer/nn/device/reference"
)

// Built reports whether this build has a CUDA device.
const Built = true

// Device is one GPU as a device.Device. For operations that it lacks, package reference computes on the host.
type Device struct {
	*reference.Operations
	options           // the precision is not Auto once the device is open
	factors Precision // the precision in which float32 operands are multiplied: FP32 or TF32
	name    string
	info    device.Info

	context     *cuda.Context
	stream      cu.Stream
	blas        *cuda.BLAS
	dnn         *cuda.DNN
	descriptors *descriptors
	code        code
	staging     staging
	uploads     []upload // small ones that wait
	heap        heap
	workspace   *memory // shared by all plans; nil until a plan needs it
	algorithms  *algorithmCache
	graphUse    graphUse
	graphPasses map[graphKey]*graphPass

	args      cuda.Args // of the current launch
	op        string    // the current operation, for errors
	fault     error     // the first failure of queued work; nothing is queued after it
	recording *graph    // the graph that Capture is recording; nil otherwise
	graphs    map[*graph]bool
	fetches   map[*fetch]bool
	closed    bool
	broken    bool // it had a fault when it was closed

	uuid       string
	collective *collective // nil unless the GPU is connected with others
	sums       sums
	cancelled  atomic.Pointer[error] // why the connections were ended by another goroutine
}

var (
	_ device.Device            = (*Device)(nil)
	_ device.FusedBatchNorm    = (*Device)(nil)
	_ device.FusedPool2D       = (*Device)(nil)
	_ device.FusedEpilogue     = (*Device)(nil)
	_ device.FusedConvPool     = (*Device)(nil)
	_ device.FusedBiasGradient = (*Device)(nil)
	_ device.FusedLoss         = (*Device)(nil)
	_ device.FusedScale        = (*Device)(nil)
	_ device.Capturer          = (*Device)(nil)
	_ device.Fallbacks         = (*Device)(nil)
	_ device.MixedPrecision    = (*Device)(nil)
	_ device.DatasetResident   = (*Device)(nil)
	_ device.Slicer            = (*Device)(nil)
)

// New returns CUDA device number index, counted from 0. The error is a device.ErrNoDevice if there is no such device, no
// driver, or no cuBLAS or cuDNN; a device.ErrNotSupported if the driver or the GPU is too old, or doesn't support the
// options.
func New(index int, opts ...Option) (device.Device, error) {
	d := &Device{name: fmt.Sprintf("cuda:%d", index), graphs: map[*graph]bool{}, fetches: map[*fetch]bool{}, graphPasses: map[graphKey]*graphPass{}, heap: heap{least: minCollection}}
	d.Operations = reference.On(d)
	d.Operations.Before = d.leave
	for _, option := range opts {
		option(&d.options)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := d.open(index); err != nil {
		_ = d.release()
		return nil, d.error("opening the device", err)
	}
	return d, nil
}

// open opens the device. After an error, release closes what it had opened.
func (d *Device) open(index int) (err error) {
	if d.workspaceLimit < 0 {
		return fmt.Errorf("a workspace limit of %d bytes: want 0 for the default, or more", d.workspaceLimit)
	}
	if err := require.Driver(); err != nil {
		return err
	}
	if d.context, err = cuda.Open(index); err != nil {
		return err
	}
	properties, err := cuda.DeviceProperties(d.context.Device)
	if err != nil {
		return err
	}
	if err := require.GPU(properties); err != nil {
		return err
	}
	if d.precision, d.factors, err = require.Precision(d.precision, properties); err != nil {
		return err
	}
	if d.workspaceLimit == 0 {
		d.workspaceLimit = min(1<<30, properties.Memory/8)
	}
	if d.stream, err = cuda.NewStream(); err != nil {
		return err
	}
	if err := d.openLibraries(properties); err != nil {
		return err
	}
	d.info, d.uuid = describe(properties, d.precision), properties.UUID
	d.code.architecture = 10*properties.Major + properties.Minor
	d.algorithms = newAlgorithmCache(properties.Name, d.options)
	return d.staging.open()
}

// openLibraries creates the handles of cuBLAS and cuDNN, which use the stream.
func (d *Device) openLibraries(p cuda.Properties) (err error) {
	if d.blas, err = cuda.NewBLAS(); err != nil {
		return err
	}
	if err := d.blas.SetStream(d.stream); err != nil {
		return err
	}
	if err := d.blas.SetFloat32Sums(); err != nil {
		return err
	}
	// The sizes that NVIDIA recommends. Without its own workspace, a recorded product would share cuBLAS's default
	// workspace with everything else.
	size := int64(8 << 20)
	if p.Major >= 9 {
		size = 32 << 20
	}
	if d.heap.blas, err = d.allocate(size); err != nil {
		return err
	}
	if err := d.blas.SetWorkspace(d.heap.blas.address, size); err != nil {
		return err
	}
	if d.dnn, err = cuda.NewDNN(); err != nil {
		return err
	}
	d.descriptors = newDescriptors()
	return d.dnn.SetStream(d.stream)
}

// unsupported returns an error that is a device.ErrNotSupported.
func unsupported(format string, args ...any) error { return require.Unsupported(format, args...) }

// Name returns the name that -device takes, such as "cuda:0".
func (d *Device) Name() string { return d.name }

// Info describes the GPU and the libraries.
func (d *Device) Info() device.Info { return d.info }

// Close waits for the queued work, and releases everything, including tensors, plans and graphs. Closing again does
// nothing.
func (d *Device) Close() error {
	if d.closed {
		return nil
	}
	d.closed = true
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	known := d.fault
	d.broken = known != nil
	d.fault = d.error("using the device", errors.New("it is closed"))
	err := cuda.Check("making the context current", cu.SetCurrentContext(d.context.CUContext))
	if err == nil {
		err = d.release()
	}
	if err == nil || errors.Is(known, device.ErrLost) {
		return nil // with the device, everything on it is gone
	}
	return d.error("closing the device", err)
}

// release frees everything in the required order, and returns the first error.
func (d *Device) release() error {
	if d.context == nil {
		return nil
	}
	var first error
	keep := func(err error) {
		if first == nil {
			first = err
		}
	}
	if d.collective != nil && (d.broken || d.cancelled.Load() != nil) {
		_ = d.collective.comm.Abort() // otherwise the stream may wait for ranks that have gone
	}
	if d.stream != (cu.Stream{}) {
		keep(cuda.Wait(d.stream))
	}
	if d.collective != nil {
		keep(d.collective.close())
	}
	for g := range d.graphs {
		keep(g.exec.Destroy())
	}
	for f := range d.fetches {
		keep(f.free())
	}
	keep(d.closeGraphPasses())
	if d.descriptors != nil {
		keep(d.descriptors.close())
	}
	if d.dnn != nil {
		keep(d.dnn.Close())
	}
	if d.blas != nil {
		keep(d.blas.Close())
	}
	keep(d.code.unload())
	keep(d.heap.free())
	keep(d.staging.close())
	if d.stream != (cu.Stream{}) {
		keep(cuda.DestroyStream(d.stream))
	}
	keep(d.context.Close())
	return first
}
