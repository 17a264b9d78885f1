package serve

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// A forward pass of 64 images takes much less time than 64 passes of one. While the network computes, the pictures that
// arrive wait, and the next pass takes them together. The network also waits for pictures that are being decoded, since
// they are about to arrive, but never longer than maxWait; so a single client never waits for others.

// maxWait is how long a batch waits for pictures that are being decoded.
const maxWait = 2 * time.Millisecond

// question is an image that waits for the network.
type question struct {
	ctx    context.Context
	pixels []byte
	reply  chan reply // of capacity 1: the batcher never waits for a client
}

// reply has the probabilities of the classes.
type reply struct {
	probabilities []float64
	err           error
}

// batcher makes batches of questions. One goroutine runs it.
type batcher struct {
	queue    chan *question
	max      int                                       // images per batch
	classes  int                                       // probabilities per image
	coming   atomic.Int64                              // pictures that are being decoded or in the queue
	forward  func(pixels []byte) ([]float64, error)    // probabilities of all images, [n, classes]
	observed func(pictures int, seconds time.Duration) // called after each batch
}

// ask queues an image that coming has counted, and waits for its probabilities.
func (b *batcher) ask(ctx context.Context, pixels []byte) ([]float64, error) {
	q := &question{ctx: ctx, pixels: pixels, reply: make(chan reply, 1)}
	select {
	case b.queue <- q:
	case <-ctx.Done():
		b.coming.Add(-1)
		return nil, ctx.Err()
	}
	select {
	case r := <-q.reply:
		return r.probabilities, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// run answers questions until ctx is done.
func (b *batcher) run(ctx context.Context) {
	for {
		select {
		case q := <-b.queue:
			b.answer(b.collect(q))
		case <-ctx.Done():
			return
		}
	}
}

// collect returns a batch that begins with first.
func (b *batcher) collect(first *question) []*question {
	batch := []*question{first}
	b.coming.Add(-1)
	patience := time.NewTimer(maxWait)
	defer patience.Stop()
	for len(batch) < b.max && b.coming.Load() > 0 {
		select {
		case q := <-b.queue:
			b.coming.Add(-1)
			batch = append(batch, q)
		case <-patience.C:
			return batch
		}
	}
	return batch
}

// answer computes a batch, without the questions whose clients are gone.
func (b *batcher) answer(batch []*question) {
	var pixels []byte
	var asking []*question
	for _, q := range batch {
		if q.ctx.Err() == nil {
			pixels = append(pixels, q.pixels...)
			asking = append(asking, q)
		}
	}
	if len(asking) == 0 {
		return
	}
	begin := time.Now()
	probabilities, err := b.compute(pixels)
	for n, q := range asking {
		r := reply{err: err}
		if err == nil {
			r.probabilities = probabilities[n*b.classes:][:b.classes:b.classes]
		}
		q.reply <- r
	}
	b.observed(len(asking), time.Since(begin))
}

// compute is forward, except that a panic is an error: one bad batch must not end the server.
func (b *batcher) compute(pixels []byte) (probabilities []float64, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return b.forward(pixels)
}
