package serve

import (
	"context"
	"net/http"
	"runtime"
	"strings"
	"time"

	"trainer/nn/data"
	"trainer/nn/model"
)

// Model is what the server is asked about.
type Model struct {
	Name    string // in requests; no two models have the same
	Trained *model.Model
}

// served is a model and what the server needs to ask it.
type served struct {
	Model
	decoder *data.Decoder
	batcher *batcher
}

// serve prepares a model.
func (s *Server) serve(m Model) *served {
	info := m.Trained.Info()
	return &served{
		Model:   m,
		decoder: info.Images.Preparation().Decoder(s.limits.Decoding),
		batcher: &batcher{
			queue:   make(chan *question, s.limits.Connections),
			max:     m.Trained.Network().Batch(),
			classes: len(info.Classes),
			forward: func(pixels []byte) (p []float64, err error) {
				err = s.answering.use(func() error {
					p, err = m.Trained.Probabilities(pixels)
					return err
				})
				return p, err
			},
			observed: func(pictures int, took time.Duration) {
				s.metrics.batch.WithLabelValues(m.Name).Observe(float64(pictures))
				s.metrics.computing.WithLabelValues(m.Name).Observe(took.Seconds())
			},
		},
	}
}

// model returns the model that a request names, or the first one.
func (s *Server) model(r *http.Request) (*served, error) {
	if len(s.models) == 0 {
		return nil, refuse(http.StatusNotFound, "model", "no trained model is served: start trainer serve MODEL")
	}
	name := r.URL.Query().Get("model")
	var names []string
	for _, m := range s.models {
		if name == "" || m.Name == name {
			return m, nil
		}
		names = append(names, m.Name)
	}
	return nil, refuse(http.StatusNotFound, "model", "no model of this name; the models are %s", strings.Join(names, ", "))
}

// decoders is the number of pictures that are decoded at the same time.
func decoders() int { return runtime.GOMAXPROCS(0) }

// image decodes a picture to a network's pixels. Its memory belongs to the share.
func (s *Server) image(ctx context.Context, d *data.Decoder, mine *share, content []byte) ([]byte, error) {
	if err := mine.take(int64(d.Len())); err != nil {
		return nil, err
	}
	select {
	case s.decode <- struct{}{}:
		defer func() { <-s.decode }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	pixels := make([]byte, d.Len())
	if err := d.Decode(ctx, pixels, content); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, &pictureError{err}
	}
	return pixels, nil
}

// pictureError is a picture that can't be read.
type pictureError struct{ err error }

func (e *pictureError) Error() string { return e.err.Error() }

// Unwrap returns the decoder's error.
func (e *pictureError) Unwrap() error { return e.err }
