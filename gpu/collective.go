//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"gorgonia.org/cu"

	"trainer/gpu/internal/cuda"
	"trainer/nn/device"
)

// collective connects the GPUs of several ranks by NCCL. Messages, which are not tensors, go the way that they went before the
// GPUs were connected.
//
// # Failure
//
// A GPU that waits for another rank in NCCL waits for ever if that rank has ended. Two goroutines therefore watch: one ends the
// connections when the context of the collective is cancelled, which the program does when it hears of a rank's end; the other
// tells the program if the host has waited for the GPU for longer than its patience while a sum was in progress. What the GPU
// computes after its connections have ended is undefined: the device has a fault from then on, whose error is the cause.
type collective struct {
	device.Collective // messages
	d                 *Device
	comm              *cuda.Communicator
	stream            cu.Stream  // of sums, which run beside other work
	events            []cu.Event // of plans
	reached           cu.Event   // the stream has come to the last sum that was not recorded
	options           device.ConnectOptions
	stop              func() bool // stops listening for the context's end
	watched           sync.WaitGroup
	closing           chan struct{}
}

// maxConnecting is how long the GPUs may take to connect.
const maxConnecting = 25 * time.Second

// Connect connects the GPU with those of the other ranks, which call it too. messages carries what is no tensor, first of all
// the identifier by which NCCL's ranks find each other. The collective ends with the device, or with ctx.
//
// With WithDeterministic, or if ordered is set, sums are taken in the order of device.AllReduceSpec; otherwise in an order that NCCL chooses, which depends
// on the number of ranks.
func Connect(ctx context.Context, dev device.Device, messages device.Collective, o device.ConnectOptions) (device.Collective, error) {
	d, ok := dev.(*Device)
	if !ok {
		return nil, fmt.Errorf("%s is not a GPU", dev.Name())
	}
	id, err := d.introduce(messages)
	if err != nil {
		return nil, d.error("connecting the GPUs", err)
	}
	if messages.Size() == 1 {
		return messages, nil
	}
	c := &collective{Collective: messages, d: d, options: o, closing: make(chan struct{})}
	if err := c.open(ctx, id); err != nil {
		_ = c.close()
		return nil, d.error("connecting the GPUs", err)
	}
	d.collective, d.sums.began = c, time.Now()
	c.stop = context.AfterFunc(ctx, func() { c.abort(context.Cause(ctx)) })
	c.watched.Go(c.watch)
	return c, nil
}

// introduction is what ranks tell each other before their GPUs connect.
type introduction struct {
	Host, GPU, NCCL, Error string
	ID                     []byte // of rank 0
}

// introduce exchanges introductions, and returns rank 0's identifier. The error names a rank that can't be connected.
func (d *Device) introduce(messages device.Collective) ([]byte, error) {
	host, _ := os.Hostname() // for comparisons only
	own := introduction{Host: host, GPU: d.uuid}
	id, ownErr := []byte(nil), cuda.NeedNCCL()
	if ownErr == nil && messages.Rank() == 0 {
		id, ownErr = cuda.NewUniqueID()
	}
	if own.NCCL, own.ID = cuda.LibraryOfRanks().Version, id; ownErr != nil {
		own.Error = ownErr.Error()
	}
	text, err := json.Marshal(own)
	if err != nil {
		return nil, err
	}
	told, err := messages.Gather(text)
	if err != nil {
		return nil, err
	}
	if ownErr != nil {
		return nil, ownErr
	}
	all := make([]introduction, len(told))
	for rank, text := range told {
		if err := json.Unmarshal(text, &all[rank]); err != nil {
			return nil, fmt.Errorf("rank %d introduces itself wrongly: %w", rank, err)
		}
	}
	return all[0].ID, compatible(all)
}

// multipleVariable is the variable by which NCCL 2.30 and newer allow several ranks on one GPU.
const multipleVariable = "NCCL_MULTI_RANK_GPU_ENABLE"

// compatible returns an error unless the ranks can connect.
func compatible(all []introduction) error {
	on := map[[2]string]int{}
	for rank, i := range all {
		if i.Error != "" {
			return fmt.Errorf("rank %d on %s: %s", rank, i.Host, i.Error)
		}
		if i.NCCL != all[0].NCCL {
			return fmt.Errorf("rank %d on %s has NCCL %s, rank 0 %s: they must have the same version", rank, i.Host, i.NCCL, all[0].NCCL)
		}
		place := [2]string{i.Host, i.GPU}
		if other, there := on[place]; there && os.Getenv(multipleVariable) != "1" {
			return fmt.Errorf("ranks %d and %d are on the same GPU of %s (%s): start one rank per GPU", other, rank, i.Host, i.GPU)
		}
		on[place] = rank
	}
	return nil
}

// open connects the communicator.
func (c *collective) open(ctx context.Context, id []byte) (err error) {
	const op = "connecting the GPUs"
	if err := c.d.enter(op); err != nil {
		return err
	}
	defer c.d.end()
	if c.stream, err = cuda.NewStream(); err != nil {
		return err
	}
	if c.reached, err = cuda.NewEvent(false); err != nil {
		return err
	}
	if c.comm, err = cuda.NewCommunicator(id, c.Rank(), c.Size()); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, maxConnecting, errNotConnected)
	defer cancel()
	return c.settle(ctx)
}

// errNotConnected is the error of a rank whose GPU the others' did not connect with.
var errNotConnected = fmt.Errorf("%w for %v", device.ErrAwaited, maxConnecting)

// event makes an event for a plan, which lives as long as the collective.
func (c *collective) event(b *builder) (e cu.Event) {
	if b.err != nil {
		return e
	}
	if e, b.err = cuda.NewEvent(false); b.err == nil {
		c.events = append(c.events, e)
	}
	return e
}

// settle waits until what was begun is done. NCCL connects ranks at their first sum, so that later calls find it done.
func (c *collective) settle(ctx context.Context) error {
	for {
		done, err := c.comm.State()
		if done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Millisecond):
		}
	}
}

// settleSoon is settle with a limit. It is done at once unless the ranks connect for this call.
func (c *collective) settleSoon() error {
	done, err := c.comm.State()
	if done || err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), maxConnecting, errNotConnected)
	defer cancel()
	return c.settle(ctx)
}

// abort ends the connections, and makes cause the device's fault.
func (c *collective) abort(cause error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c.d.cancelled.CompareAndSwap(nil, &cause)
	_ = c.comm.Abort() // the cause is what matters
}

// watch tells of a sum that doesn't end.
func (c *collective) watch() {
	if c.options.Patience <= 0 || c.options.Stuck == nil {
		return
	}
	for ticker := time.NewTicker(c.options.Patience / 20); ; {
		select {
		case <-c.closing:
			ticker.Stop()
			return
		case <-ticker.C:
		}
		if c.d.sums.waited() < c.options.Patience || c.d.cancelled.Load() != nil {
			continue
		}
		c.options.Stuck(device.Stuck{Sums: c.d.sums.queued.Load(), Reached: c.hasReached()})
		return
	}
}

// hasReached reports whether the GPU has done what was queued before the last sum.
func (c *collective) hasReached() bool {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cu.SetCurrentContext(c.d.context.CUContext); err != nil {
		return true
	}
	done, err := cuda.Done(c.reached)
	return done || err != nil
}

// close ends the connections. d.release calls it.
func (c *collective) close() error {
	close(c.closing)
	c.watched.Wait()
	if c.stop != nil {
		c.stop()
	}
	var first error
	keep := func(err error) {
		if first == nil {
			first = err
		}
	}
	if c.comm != nil && c.d.cancelled.Load() == nil && !c.d.broken {
		keep(c.leave())
	}
	if c.comm != nil {
		keep(c.comm.Abort()) // nothing after leave
	}
	if c.stream != (cu.Stream{}) {
		keep(cuda.Wait(c.stream))
		keep(cuda.DestroyStream(c.stream))
	}
	for _, e := range append(c.events, c.reached) {
		if e != (cu.Event{}) {
			keep(cuda.DestroyEvent(e))
		}
	}
	return first
}

// maxLeaving is how long the ranks may take to end their connections.
const maxLeaving = 5 * time.Second

// leave ends the connections after what was begun on all ranks.
func (c *collective) leave() error {
	if err := c.comm.Finalize(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), maxLeaving)
	defer cancel()
	if err := c.settle(ctx); err != nil {
		return nil // another rank has gone: it says why
	}
	return c.comm.Destroy()
}

// sums counts the sums that the host has queued, and says since when it waits for the GPU with one in progress.
type sums struct {
	queued       atomic.Uint64
	done         uint64 // of those queued, known to be done
	began        time.Time
	waitingSince atomic.Int64 // in nanoseconds since began; 0: it doesn't wait
}

// waited returns how long the host has waited for the GPU with a sum in progress; 0 if it doesn't wait.
func (s *sums) waited() time.Duration {
	since := s.waitingSince.Load()
	if since == 0 {
		return 0
	}
	return time.Since(s.began) - time.Duration(since)
}

// waits calls f, which waits for the queue, all of it or a part. The watch knows meanwhile.
func (d *Device) waits(all bool, f func() error) error {
	if d.collective == nil {
		return f()
	}
	queued := d.sums.queued.Load()
	if queued > d.sums.done {
		d.sums.waitingSince.Store(int64(time.Since(d.sums.began)))
	}
	err := f()
	d.sums.waitingSince.Store(0)
	if all {
		d.sums.done = queued
	}
	return errors.Join(err, d.cancellation())
}

// cancellation returns why the connections of the device were ended, or nil.
func (d *Device) cancellation() error {
	if cause := d.cancelled.Load(); cause != nil {
		return *cause
	}
	return nil
}

// Sums returns the number of sums over the ranks that this rank has queued.
func (c *collective) Sums() uint64 { return c.d.sums.queued.Load() }
