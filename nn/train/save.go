package train

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"os"

	"trainer/nn/device"
	"trainer/nn/folder"
	"trainer/nn/optim"
	"trainer/nn/train/internal/safetensors"
)

// Checkpoints are written beside training. First the tensors are copied to the host: a device.AsyncDownloader gathers them
// in one buffer, which leaves it in one copy while it goes on. Then a goroutine writes the file. There is one checkpoint
// under way at a time; the next one, a better epoch and the end of training wait for it. A fault of the disk is returned
// after the next step, or by what waits. The file is replaced as a whole, so that a kill leaves the checkpoint before.
//
// Of trainings that follow one another (Config.Shared) each begins while the last checkpoint of the one before is being
// written. Shared.LastCheckpoint waits for it, and the first checkpoint of the next training does.

// saver copies the tensors of checkpoints to the host.
type saver struct {
	list   []optim.Named
	values [][]float32 // of each tensor, on the host
	dev    device.Device
	pack   []device.CopyColumns // of each tensor into packed; nil if the device can't work in the meantime
	packed *device.Tensor
	fetch  device.AsyncDownload
	host   []float32 // what packed holds
	before *lastSave // of an earlier training, which uses host until it is written; nil if there is none
}

// newSaver allocates room for the tensors on the host and, if the device can work during a download, also on the device.
func newSaver(dev device.Device, list []optim.Named) (*saver, error) {
	s := &saver{dev: dev, list: list}
	total := 0
	for _, t := range list {
		total += padded(t.Tensor.Len())
	}
	s.host = make([]float32, total)
	at := 0
	for _, t := range list {
		s.values = append(s.values, s.host[at:at+t.Tensor.Len()])
		at += padded(t.Tensor.Len())
	}
	if _, ok := dev.(device.AsyncDownloader); !ok || total > math.MaxInt32 {
		return s, nil
	}
	err := s.buildPacking(total)
	if errors.Is(err, device.ErrOutOfMemory) { // it is needed for speed only
		s.pack, err = nil, nil
	}
	return s, err
}

// padded returns a length rounded up so that the next tensor in a buffer begins at a multiple of 16 bytes.
func padded(n int) int { return (n + 3) / 4 * 4 }

func (s *saver) buildPacking(total int) (err error) {
	if s.packed, err = s.dev.NewTensor(device.Float32, 1, total); err != nil {
		return err
	}
	at := 0
	for _, t := range s.list {
		n := t.Tensor.Len()
		plan, err := s.dev.NewCopyColumns(device.CopyColumnsSpec{Rows: 1, Width: n, YC: total, YFrom: at, XC: n})
		if err != nil {
			return err
		}
		s.pack = append(s.pack, plan)
		at += padded(n)
	}
	s.fetch, err = newFetch(s.dev, 4*total)
	return err
}

// queue queues the copy of the tensors to the host.
func (s *saver) queue() error {
	if s.pack == nil {
		for i, t := range s.list {
			if err := s.dev.Download(device.Bytes(s.values[i]), t.Tensor); err != nil {
				return fmt.Errorf("%s: %w", t.Name, err)
			}
		}
		return nil
	}
	for i, t := range s.list {
		s.pack[i].Run(s.packed, t.Tensor.View(1, t.Tensor.Len()))
	}
	s.fetch.Queue(s.packed)
	return nil
}

// arrived reports whether the copy is complete.
func (s *saver) arrived() bool { return s.pack == nil || s.fetch.Ready() }

// wait waits for the copy.
func (s *saver) wait() error {
	if s.pack == nil {
		return nil
	}
	return s.fetch.Wait(device.Bytes(s.host))
}

func (s *saver) close() {
	if s.fetch != nil {
		_ = s.fetch.Close() // any fault has been reported elsewhere
	}
}

// memory returns the bytes on the device.
func (s *saver) memory() int64 {
	if s.packed == nil {
		return 0
	}
	return 4 * int64(s.packed.Len())
}

// save is a checkpoint that is being written.
type save struct {
	step  int
	path  string
	write func() error // writes the file once the tensors are on the host
	done  chan error   // its result; nil before it begins
}

// startSave begins to write a checkpoint of the current state.
func (r *run) startSave(p position) error {
	if err := r.finishSave(); err != nil {
		return err
	}
	if err := r.saver.before.wait(); err != nil {
		return err
	}
	r.saver.before = nil
	meta, err := checkpointMetadata(r.stepper, &r.best, p)
	if err == nil {
		err = r.saver.queue()
	}
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	more, before := r.best.named(), r.beforeWritten()
	if r.divided != nil {
		more = append(more, r.divided.values...)
	}
	dir, list, values := r.folder, r.saver.list, r.saver.values // the goroutine may outlast the training
	r.save = &save{step: p.Step, path: dir.File(checkpointName), write: func() error {
		for _, f := range before {
			if err := f(); err != nil {
				return err
			}
		}
		return writeValues(dir, checkpointName, list, values, more, meta)
	}}
	return r.pollSave()
}

// beforeWritten tells the hooks that a checkpoint is begun, and returns what they want to do before it is written.
func (r *run) beforeWritten() (all []func() error) {
	for _, h := range r.hooks {
		if h.Save == nil {
			continue
		}
		if f := h.Save(&r.training); f != nil {
			all = append(all, f)
		}
	}
	return all
}

// pollSave goes on with the checkpoint that is being written as far as that takes no waiting.
func (r *run) pollSave() error {
	if r.save == nil {
		return nil
	}
	if r.save.done == nil {
		if !r.saver.arrived() {
			return nil
		}
		return r.writeSave()
	}
	select {
	case err := <-r.save.done:
		return r.endSave(err)
	default:
		return nil
	}
}

// writeSave begins to write the file, once the tensors are on the host.
func (r *run) writeSave() error {
	s := r.save
	if err := r.saver.wait(); err != nil {
		r.save = nil
		return fmt.Errorf("checkpoint: %w", err)
	}
	s.done = make(chan error, 1)
	done, write := s.done, s.write
	go func() { done <- write() }()
	return nil
}

// finishSave waits for the checkpoint that is being written, if there is one.
func (r *run) finishSave() error {
	if r.save == nil {
		return nil
	}
	if r.save.done == nil {
		if err := r.writeSave(); err != nil {
			return err
		}
	}
	return r.endSave(<-r.save.done)
}

// lastSave is the last checkpoint of a training that has ended.
type lastSave struct {
	written CheckpointWritten
	done    chan struct{} // closed once it is written, or can't be
	err     error         // valid then
}

// wait waits for the checkpoint, if there is one. Several goroutines may call it.
func (s *lastSave) wait() error {
	if s == nil {
		return nil
	}
	<-s.done
	return s.err
}

// handOver leaves the last checkpoint, once its tensors are on the host, to a goroutine that outlasts the training. The
// folder is closed with it. Hooks are not told: Shared.LastCheckpoint tells.
func (r *run) handOver() error {
	if r.save == nil {
		if r.saver != nil { // the checkpoint is on the disk already, and so is that of the training before
			r.cfg.Shared.last = nil
		}
		return nil
	}
	if r.save.done == nil {
		if err := r.writeSave(); err != nil {
			return err
		}
	}
	last := &lastSave{written: CheckpointWritten{Path: r.save.path, Step: r.save.step}, done: make(chan struct{})}
	written, dir := r.save.done, r.folder
	r.saver.before, r.cfg.Shared.last = last, last
	r.save, r.folder = nil, nil
	go func() {
		defer close(last.done)
		err := <-written
		if closed := dir.Close(); err == nil {
			err = closed
		}
		if err != nil {
			last.err = fmt.Errorf("checkpoint: %w", err)
		}
	}()
	return nil
}

// endSave tells the hooks of a checkpoint.
func (r *run) endSave(err error) error {
	s := r.save
	r.save = nil
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	for _, h := range r.hooks {
		if h.Checkpoint != nil {
			h.Checkpoint(&r.training, CheckpointWritten{Path: s.path, Step: s.step})
		}
	}
	return nil
}

// writeValues writes float32 tensors, and after them more of the host.
func writeValues(dir *folder.Folder, name string, list []optim.Named, values [][]float32, more []NamedValues, meta map[string]string) error {
	all := make([]NamedValues, len(list), len(list)+len(more))
	for i, t := range list {
		all[i] = NamedValues{Name: t.Name, Shape: t.Tensor.Shape(), Values: values[i]}
	}
	all = append(all, more...)
	tensors := make([]safetensors.Tensor, len(all))
	for i, t := range all {
		tensors[i] = safetensors.Tensor{Name: t.Name, DType: "F32", Shape: t.Shape}
	}
	meta = maps.Clone(meta)
	meta["precision"] = device.Float32.String()
	return dir.Replace(name, func(f *os.File) error {
		return safetensors.Write(f, tensors, meta, func(i int) ([]byte, error) { return device.Bytes(all[i].Values), nil })
	})
}
