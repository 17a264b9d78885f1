package model

import (
	"cmp"
	"fmt"
	"image"
	"math"
	"slices"
)

// Prediction is one possible class of a picture.
type Prediction struct {
	Class       int    // index of the class
	Name        string // of the class
	Probability float64
}

// Predict returns all classes with their probabilities for a picture of any size, the most probable class first.
func (m *Model) Predict(im image.Image) ([]Prediction, error) {
	all, err := m.PredictBatch([]image.Image{im})
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

// PredictBatch returns the predictions for each picture. It is faster than asking for one picture after the other.
func (m *Model) PredictBatch(ims []image.Image) ([][]Prediction, error) {
	prepare := m.info.Images.Preparation()
	pixels := make([]byte, len(ims)*prepare.Len())
	for i, im := range ims {
		if err := prepare.Image(pixels[i*prepare.Len():][:prepare.Len()], im); err != nil {
			return nil, fmt.Errorf("picture %d: %w", i, err)
		}
	}
	probabilities, err := m.Probabilities(pixels)
	if err != nil {
		return nil, err
	}
	all := make([][]Prediction, len(ims))
	for i := range all {
		all[i] = m.Ranked(probabilities[i*len(m.info.Classes):][:len(m.info.Classes)])
	}
	return all, nil
}

// Probabilities returns the probability of each class, [n, classes], for n images of bytes, [n, h, w, c]. It panics if
// the bytes are not a whole number of images.
func (m *Model) Probabilities(pixels []byte) ([]float64, error) {
	logits, err := m.Logits(pixels)
	if err != nil {
		return nil, err
	}
	return Softmax(logits, len(m.info.Classes), m.info.Temperature), nil
}

// Logits returns the network's outputs, [n, classes], for n images of bytes, [n, h, w, c].
func (m *Model) Logits(pixels []byte) ([]float32, error) {
	size, classes := m.info.Images.shape().Len(), len(m.info.Classes)
	n := len(pixels) / size
	if n*size != len(pixels) {
		panic(fmt.Sprintf("model: %d bytes are not a whole number of images of %d bytes", len(pixels), size))
	}
	all := make([]float32, 0, n*classes)
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(pixels) > 0 {
		count := min(m.net.Batch(), len(pixels)/size)
		out := m.logits[:count*classes]
		if err := m.predictor.Outputs(out, pixels[:count*size]); err != nil {
			return nil, err
		}
		all = append(all, out...)
		pixels = pixels[count*size:]
	}
	return all, nil
}

// Softmax returns exp(z[k]/t) / sum over j of exp(z[j]/t) for each row of z [n, classes]; a temperature t of 0 means 1.
func Softmax(z []float32, classes int, t float64) []float64 {
	if t == 0 {
		t = 1
	}
	p := make([]float64, len(z))
	for begin := 0; begin < len(z); begin += classes {
		row, out := z[begin:begin+classes], p[begin:begin+classes]
		top, sum := float64(slices.Max(row)), 0.0
		for k, v := range row {
			out[k] = math.Exp((float64(v) - top) / t)
			sum += out[k]
		}
		for k := range out {
			out[k] /= sum
		}
	}
	return p
}

// Ranked returns the classes by falling probability, and by index where probabilities are equal.
func (m *Model) Ranked(probabilities []float64) []Prediction {
	list := make([]Prediction, len(probabilities))
	for k, p := range probabilities {
		list[k] = Prediction{Class: k, Name: m.info.Classes[k], Probability: p}
	}
	slices.SortStableFunc(list, func(a, b Prediction) int { return cmp.Compare(b.Probability, a.Probability) })
	return list
}
