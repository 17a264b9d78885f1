package train

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"

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
	return e.batchesOf(ctx, views, math.MaxInt, result.Answers != nil, func(j *judged) {
		result.add(j)
		if progress != nil {
			progress(e.done)
		}
	})
}

// batchesOf evaluates the next batches of the loader, up to a number, and passes on what each gives: with whole answers, or
// only with the classes. What is passed on is valid until the function returns.
func (e *Evaluator) batchesOf(ctx context.Context, views []TTAView, limit int, answers bool, use func(*judged)) error {
	for more := limit > 0; more || e.pending > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		if more && e.pending < len(e.batches) {
			var err error
			if more, err = e.next(views); err != nil {
				return err
			}
			if limit--; limit == 0 {
				more = false
			}
		}
		for e.mustTake(more) {
			j, err := e.take(answers)
			if err != nil {
				return err
			}
			use(j)
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

// take waits for the oldest pending batch, and returns what it gives.
func (e *Evaluator) take(whole bool) (*judged, error) {
	a := &e.batches[e.oldest]
	e.oldest = (e.oldest + 1) % len(e.batches)
	e.pending--
	classes := e.net.Classes()
	host := e.outputs[:a.n*classes]
	j := &judged{Images: a.n, Answers: make([]metric.Answer, 0, a.n)}
	if err := a.wait(j.Stats[:], host); err != nil {
		return nil, err
	}
	e.done += a.n
	for i, label := range a.labels[:a.n] {
		if e.net.Ignores(label) {
			continue
		}
		if label < 0 || int(label) >= classes {
			return nil, fmt.Errorf("image %d has label %d, want 0 to %d", a.ids[i], label, classes-1)
		}
		outputs := host[i*classes : (i+1)*classes]
		answer := metric.Answer{Image: int(a.ids[i]), Label: int(label)}
		if whole {
			answer = metric.JudgeOutputs(answer.Image, answer.Label, outputs)
		} else {
			answer.Class = largest(outputs)
		}
		j.Answers = append(j.Answers, answer)
	}
	return j, nil
}

// add adds the results of a batch.
func (e *Evaluation) add(j *judged) {
	s := sumsOf(j.Stats, 0, 0)
	e.lossSum += s.loss
	e.Correct += s.correct
	e.Count += s.count
	e.weight += s.weight
	if e.Confusion != nil {
		for _, a := range j.Answers {
			e.Confusion[a.Label][a.Class]++
		}
	}
	if e.Answers != nil {
		e.Answers = append(e.Answers, j.Answers...)
	}
}

// finish computes the means.
func (e *Evaluation) finish() {
	e.Loss = mean(e.lossSum, e.weight)
	e.Accuracy = mean(float64(e.Correct), float64(e.Count))
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
		var stats [device.StatsLen]float32
		_ = a.wait(stats[:], e.outputs[:a.n*e.net.Classes()]) // an earlier error is already being returned
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
