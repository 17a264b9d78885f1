package model

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// FileAnswer is the answer for one picture file.
type FileAnswer struct {
	Path          string
	Probabilities []float64 // of each class; nil with an error
	Err           error     // the file can't be read as a picture
}

// PredictFiles answers the picture files whose paths arrive, in their order, until the channel is closed or ctx is
// cancelled, when it returns ctx's error. All processors decode pictures ahead of the network. Paths that arrive slowly
// are answered at once, not when a batch is full. If answer returns an error, PredictFiles returns it.
func (m *Model) PredictFiles(ctx context.Context, paths <-chan string, answer func(FileAnswer) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	batches := make(chan *fileBatch, 1)
	go m.decodeFiles(ctx, paths, batches)
	for b := range batches {
		b.decoding.Wait()
		if err := m.answerFiles(b, answer); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// patience is how long a batch that isn't full waits for another path.
const patience = 20 * time.Millisecond

// decodeFiles makes batches of paths, and starts decoding their files.
func (m *Model) decodeFiles(ctx context.Context, paths <-chan string, batches chan<- *fileBatch) {
	defer close(batches)
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	for {
		b, more := m.nextFiles(ctx, paths, slots)
		if len(b.answers) > 0 {
			select {
			case batches <- b:
			case <-ctx.Done():
				return
			}
		}
		if !more {
			return
		}
	}
}

// nextFiles collects a batch. It reports false after the last path.
func (m *Model) nextFiles(ctx context.Context, paths <-chan string, slots chan struct{}) (*fileBatch, bool) {
	size := m.info.Images.shape().Len()
	b := &fileBatch{pixels: make([]byte, m.net.Batch()*size)}
	b.answers = make([]FileAnswer, 0, m.net.Batch()) // its elements must not move
	var late <-chan time.Time                        // never, while the batch is empty
	for len(b.answers) < m.net.Batch() {
		select {
		case path, ok := <-paths:
			if !ok {
				return b, false
			}
			b.answers = append(b.answers, FileAnswer{Path: path})
			n := len(b.answers) - 1
			a, pixels := &b.answers[n], b.pixels[n*size:][:size]
			slots <- struct{}{}
			b.decoding.Go(func() {
				defer func() { <-slots }()
				a.Err = m.info.Images.Preparation().File(pixels, path)
			})
			late = time.After(patience)
		case <-late:
			return b, true
		case <-ctx.Done():
			return b, false
		}
	}
	return b, true
}

// fileBatch is a batch of files that are being decoded.
type fileBatch struct {
	answers  []FileAnswer
	pixels   []byte
	decoding sync.WaitGroup
}

// answerFiles computes the probabilities of the files that could be read.
func (m *Model) answerFiles(b *fileBatch, answer func(FileAnswer) error) error {
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
	for _, a := range b.answers {
		if a.Err == nil {
			a.Probabilities, probabilities = probabilities[:classes:classes], probabilities[classes:]
		}
		if err := answer(a); err != nil {
			return err
		}
	}
	return nil
}
