package train

import (
	"context"
	"errors"
	"fmt"
	"io"

	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/metric"
)

// The results of each evaluation batch, its share of the loss and all outputs, are downloaded to the host. A
// device.AsyncDownloader works on the next batch in the meantime; on other devices a download arrives at once.

// answers is a batch whose outputs are being downloaded.
type answers struct {
	n              int
	ids, labels    []int32 // [batch]
	stats, outputs device.AsyncDownload
}

func (a *answers) build(dev device.Device, n, classes int) (err error) {
	a.ids, a.labels = make([]int32, n), make([]int32, n)
	size := device.Float32.Size()
	if a.stats, err = newFetch(dev, device.StatsLen*size); err != nil {
		return err
	}
	a.outputs, err = newFetch(dev, n*classes*size)
	return err
}

// run adds all batches to the result.
func (e *Evaluator) run(ctx context.Context, views []TTAView, progress func(done int), result *Evaluation) error {
	e.loader.Start(0, 0)
	for more := true; more || e.pending > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		if more && e.pending < len(e.batches) {
			var err error
			if more, err = e.next(views); err != nil {
				return err
			}
		}
		for e.mustTake(more) {
			if err := e.take(result); err != nil {
				return err
			}
			if progress != nil {
				progress(e.done)
			}
		}
	}
	return nil
}

// mustTake reports whether to take the oldest pending batch now: it has arrived, or there is nothing else to do.
func (e *Evaluator) mustTake(more bool) bool {
	return e.pending > 0 && (!more || e.pending == len(e.batches) || e.batches[e.oldest].ready())
}

// next queues the next batch, and reports whether there was one.
func (e *Evaluator) next(views []TTAView) (bool, error) {
	b, err := e.loader.Next()
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer e.loader.Release(b)
	return true, e.queue(e.inSet(b), views)
}

// queue queues a batch and the downloads of its results.
func (e *Evaluator) queue(b *data.Batch, views []TTAView) error {
	if err := e.input.upload(b); err != nil {
		return err
	}
	e.input.gatherLabels()
	_, labels := e.input.buffers()
	outputs := e.views.forward(e.input, b.N, views)
	e.net.Loss(labels)

	a := &e.batches[(e.oldest+e.pending)%len(e.batches)]
	e.pending++
	a.n = b.N
	copy(a.ids, b.IDs)
	e.input.hostLabels(a.labels, b)
	a.stats.Queue(e.net.Stats())
	e.dev.Zero(e.net.Stats())
	a.outputs.Queue(outputs)
	return nil
}

// take waits for the oldest pending batch and adds it to the result.
func (e *Evaluator) take(result *Evaluation) error {
	a := &e.batches[e.oldest]
	e.oldest = (e.oldest + 1) % len(e.batches)
	e.pending--
	classes := e.net.Classes()
	host := e.outputs[:a.n*classes]
	if err := a.wait(e.stats[:], host); err != nil {
		return err
	}
	s := sumsOf(e.stats, 0, 0)
	result.lossSum += s.loss
	result.Correct += s.correct
	result.Count += s.count
	result.weight += s.weight
	e.done += a.n
	for i, label := range a.labels[:a.n] {
		if e.net.Ignores(label) {
			continue
		}
		if label < 0 || int(label) >= classes {
			return fmt.Errorf("image %d has label %d, want 0 to %d", a.ids[i], label, classes-1)
		}
		outputs := host[i*classes : (i+1)*classes]
		if result.Confusion != nil {
			result.Confusion[label][largest(outputs)]++
		}
		if result.Answers != nil {
			result.Answers = append(result.Answers, metric.JudgeOutputs(int(a.ids[i]), int(label), outputs))
		}
	}
	return nil
}

func (a *answers) ready() bool { return a.stats.Ready() && a.outputs.Ready() }

// wait waits for both downloads.
func (a *answers) wait(stats, outputs []float32) error {
	if err := a.stats.Wait(device.Bytes(stats)); err != nil {
		return err
	}
	return a.outputs.Wait(device.Bytes(outputs))
}

// abandon discards the pending batches, so that a new evaluation can begin.
func (e *Evaluator) abandon() {
	for ; e.pending > 0; e.pending-- {
		a := &e.batches[e.oldest]
		_ = a.wait(e.stats[:], e.outputs[:a.n*e.net.Classes()]) // an earlier error is already being returned
		e.oldest = (e.oldest + 1) % len(e.batches)
	}
}

// largest returns the index of the first largest element.
func largest(x []float32) int {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return best
}
