package model

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"trainer/nn/data"
)

// FileAnswer is the answer for one picture file.
type FileAnswer struct {
	Path          string
	Probabilities []float64 // of each class; nil with an error
	Err           error     // the file can't be read as a picture
}

// PredictFiles answers the picture files whose paths arrive, in their order, until the channel is closed or ctx is
// cancelled, when it returns ctx's error. All processors decode pictures ahead of the network. answer gets the answers for
// at most as many files as the network takes at once; for paths that arrive slowly it gets fewer, soon after they arrived.
// If answer returns an error, PredictFiles returns it.
func (m *Model) PredictFiles(ctx context.Context, paths <-chan string, answer func([]FileAnswer) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	const ahead = 1 // batches that are decoded and wait for the network
	batches := make(chan *fileBatch, ahead)
	go m.decodeFiles(ctx, paths, batches)
	for b := range batches {
		b.decoding.Wait()
		if ctx.Err() != nil {
			break // not all files were decoded
		}
		if err := m.answerFiles(b, answer); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// fileBatch is a batch of files that are being decoded.
type fileBatch struct {
	answers  []FileAnswer
	pixels   []byte
	next     atomic.Int64 // the file that no worker has begun
	decoding sync.WaitGroup
}

// decodeMemory bounds the bytes that pictures take while they are decoded.
const decodeMemory = 2 << 30

// decodeFiles makes batches of paths, and decodes their files.
func (m *Model) decodeFiles(ctx context.Context, paths <-chan string, batches chan<- *fileBatch) {
	defer close(batches)
	workers := runtime.GOMAXPROCS(0)
	queue := make(chan *fileBatch)
	defer close(queue)
	decoder := m.info.Images.Preparation().Decoder(decodeMemory)
	for range workers {
		go func() {
			for b := range queue {
				b.decode(ctx, decoder)
			}
		}()
	}
	for more := true; more; {
		var b *fileBatch
		if b, more = m.nextFiles(ctx, paths); len(b.answers) == 0 {
			return
		}
		b.decoding.Add(workers)
		select {
		case batches <- b:
		case <-ctx.Done():
			return
		}
		for range workers { // each takes files until none is left
			queue <- b
		}
	}
}

// decode decodes files of the batch until all have been begun. After a stop it leaves them.
func (b *fileBatch) decode(ctx context.Context, decoder *data.Decoder) {
	defer b.decoding.Done()
	size := decoder.Len()
	for ctx.Err() == nil {
		n := int(b.next.Add(1) - 1)
		if n >= len(b.answers) {
			return
		}
		a := &b.answers[n]
		a.Err = decoder.File(ctx, b.pixels[n*size:][:size], a.Path)
	}
}

// patience is how long a batch that isn't full waits for another path.
const patience = 20 * time.Millisecond

// nextFiles collects the paths of a batch. It reports false after the last path.
func (m *Model) nextFiles(ctx context.Context, paths <-chan string) (*fileBatch, bool) {
	b := &fileBatch{pixels: make([]byte, m.net.Batch()*m.info.Images.shape().Len())}
	b.answers = make([]FileAnswer, 0, m.net.Batch())
	for len(b.answers) < m.net.Batch() {
		path, ok := "", false
		select {
		case path, ok = <-paths:
		default:
			var late <-chan time.Time // never, while the batch is empty
			if len(b.answers) > 0 {
				late = time.After(patience)
			}
			select {
			case path, ok = <-paths:
			case <-late:
				return b, true
			case <-ctx.Done():
				return b, false
			}
		}
		if !ok {
			return b, false
		}
		b.answers = append(b.answers, FileAnswer{Path: path})
	}
	return b, true
}

// answerFiles computes the probabilities of the files that could be read.
func (m *Model) answerFiles(b *fileBatch, answer func([]FileAnswer) error) error {
	size, classes := m.info.Images.shape().Len(), len(m.info.Classes)
	good := 0
	for n := range b.answers {
		if b.answers[n].Err == nil {
			copy(b.pixels[good*size:][:size], b.pixels[n*size:][:size])
			good++
		}
	}
	probabilities, err := m.Probabilities(b.pixels[:good*size])
	if err != nil {
		return err
	}
	for n := range b.answers {
		if a := &b.answers[n]; a.Err == nil {
			a.Probabilities, probabilities = probabilities[:classes:classes], probabilities[classes:]
		}
	}
	return answer(b.answers)
}
