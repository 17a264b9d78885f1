package export

import (
	"errors"
	"fmt"

	"trainer/nn/graph"
)

// What an ONNX file computes, computed here.

// Logits returns the outputs [n, classes] that the file has for images [n, h, w, c], computed in float32 with numbers
// rounded as in the file. Runtimes may round a few values to a neighbour, because they add in another order, and in Float16 may
// keep intermediate values in float32, as ONNX Runtime does on CPUs. It must not be called from several goroutines at once.
func (f *ONNXFile) Logits(pixels []byte) ([]float32, error) {
	if f.simulator == nil {
		s, err := f.newSimulator()
		if err != nil {
			return nil, fmt.Errorf("simulating the ONNX file: %w", err)
		}
		f.simulator = s
	}
	var all []float32
	err := f.eachBatch(f.simulator, pixels, func(logits []float32) { all = append(all, logits...) })
	if err != nil {
		return nil, fmt.Errorf("simulating the ONNX file: %w", err)
	}
	return all, nil
}

// newSimulator returns the simulation of the file's precision.
func (f *ONNXFile) newSimulator() (*simulator, error) {
	n := f.network
	var look func(graph.Value, []float32) error
	switch f.precision {
	case Float16:
		n = n.roundedToFloat16()
		look = func(_ graph.Value, x []float32) error {
			for i, v := range x {
				x[i] = roundFloat16(v)
			}
			return nil
		}
	case Int8:
		n = f.rounding.rounded(n)
		look = func(v graph.Value, x []float32) error {
			if g, ok := f.rounding.values[v.ID]; ok {
				g.roundAll(x)
			}
			return nil
		}
	}
	s, err := newSimulator(f.model.Network().Device(), n)
	if err == nil {
		s.look = look
	}
	return s, err
}

// calibrate quantises the network by images.
func (f *ONNXFile) calibrate(pixels []byte) (*quantization, error) {
	if len(pixels) == 0 {
		return nil, errors.New("int8 needs images for the calibration")
	}
	return calibrate(f.model.Network().Device(), f.network, func(s *simulator) error {
		return f.eachBatch(s, pixels, func([]float32) {})
	})
}

// eachBatch runs a simulator on images, and calls do with the outputs of each batch.
func (f *ONNXFile) eachBatch(s *simulator, pixels []byte, do func(logits []float32)) error {
	im := f.model.Info().Images
	size := im.Preparation().Len()
	if len(pixels)%size != 0 {
		panic(fmt.Sprintf("export: %d bytes are not a whole number of images of %d bytes", len(pixels), size))
	}
	normalized := make([][256]float32, im.Channels) // x = (pixel/255 - mean) / std
	for c := range normalized {
		for p := range 256 {
			normalized[c][p] = (float32(p)/255 - im.Mean[c]) / im.Std[c]
		}
	}
	for len(pixels) > 0 {
		n := min(s.batch, len(pixels)/size)
		x := make([]float32, n*size)
		for i, p := range pixels[:n*size] {
			x[i] = normalized[i%im.Channels][p]
		}
		logits, err := s.run(x, n)
		if err != nil {
			return err
		}
		do(logits)
		pixels = pixels[n*size:]
	}
	return nil
}
