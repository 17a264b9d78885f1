package inspect

import (
	"fmt"
	"math"
	"slices"

	"trainer/nn"
	"trainer/nn/device"
	"trainer/nn/model"
)

// Map is an image of one number per pixel.
type Map struct {
	Rows    int       `json:"rows"`
	Columns int       `json:"columns"`
	Values  []float32 `json:"values"` // [rows columns]
}

// Saliency returns, for each pixel of the last Forward, the largest absolute value over its channels of the gradient of the
// class's output with respect to the normalised picture (Simonyan, Vedaldi and Zisserman, "Deep Inside Convolutional
// Networks", 2014, section 3).
func (s *Session) Saliency(class int) (*Map, error) {
	defer s.lock()()
	gradients, err := s.ofOutput(class)
	if err != nil {
		return nil, err
	}
	h, w, c := s.opt.Input[0], s.opt.Input[1], s.opt.Input[2]
	m := &Map{Rows: h, Columns: w, Values: make([]float32, h*w)}
	for k, g := range gradients[0] {
		m.Values[k/c] = max(m.Values[k/c], float32(math.Abs(float64(g))))
	}
	return m, nil
}

// ofOutput returns the gradients of the class's output with respect to the values of each place.
func (s *Session) ofOutput(class int) ([][]float32, error) {
	if err := s.ready(class); err != nil {
		return nil, err
	}
	seed := make([]float32, s.classes)
	seed[class] = 1
	return s.backwardFrom(seed)
}

// GradCAM returns where the evidence for a class is in the values of a place that is an image (Selvaraju et al., "Grad-CAM:
// Visual Explanations from Deep Networks via Gradient-based Localization", 2017, equations 1 and 2): with y the class's
// output and A the place's values,
//
//	alpha[k] = 1/(h w) sum_{i,j} dy/dA[i,j,k]        map[i,j] = max(0, sum_k alpha[k] A[i,j,k])
//
// The map has the size of the place's image. place -1 chooses the place of LastConvolution.
func (s *Session) GradCAM(class, place int) (*Map, error) {
	if place == -1 {
		place = s.LastConvolution()
	}
	defer s.lock()()
	if err := s.image(place, "a map of evidence"); err != nil {
		return nil, err
	}
	gradients, err := s.ofOutput(class)
	if err != nil {
		return nil, err
	}
	shape := s.shape(place)
	h, w, c := shape[0], shape[1], shape[2]
	alpha := make([]float64, c)
	for k, g := range gradients[place] {
		alpha[k%c] += float64(g) / float64(h*w)
	}
	sums := make([]float64, h*w)
	for k, v := range s.pass.Values[place] {
		sums[k/c] += alpha[k%c] * float64(v)
	}
	m := &Map{Rows: h, Columns: w, Values: make([]float32, h*w)}
	for k, v := range sums {
		m.Values[k] = float32(max(0, v))
	}
	return m, nil
}

// image returns an error unless the place is an image.
func (s *Session) image(place int, what string) error {
	if s.closed {
		return ErrClosed
	}
	if place < 0 || place >= len(s.places) {
		return argument("place %d, want 0 to %d", place, len(s.places)-1)
	}
	if p := s.places[place]; len(p.Shape) != 3 {
		return argument("%s needs a place with an image, and %s is %v", what, p.Name, p.Shape)
	}
	return nil
}

// LastConvolution returns the last place that is the output of a convolution, or of the activation or normalisation that
// follows it directly or after a pooling; if the network has no convolution, the last place that is an image.
func (s *Session) LastConvolution() int {
	last, lastImage := -1, 0
	for k, p := range s.places {
		if len(p.Shape) != 3 {
			continue
		}
		lastImage = k
		if isConvolution(p.layer) {
			last = k
		}
	}
	if last < 0 {
		return lastImage
	}
	for {
		next := s.onlyUser(last)
		if next >= 0 && isPooling(s.places[next].layer) {
			next = s.onlyUser(next)
		}
		if next < 0 || !isPointwise(s.places[next].layer) {
			return last
		}
		last = next
	}
}

// onlyUser returns the place that alone reads a place, or -1.
func (s *Session) onlyUser(place int) int {
	if users := s.places[place].Users; len(users) == 1 {
		return users[0]
	}
	return -1
}

// isConvolution reports whether a layer is a convolution.
func isConvolution(l nn.Layer) bool {
	switch l.(type) {
	case nn.Conv2D, *nn.Conv2D, nn.ConvTranspose2D, *nn.ConvTranspose2D:
		return true
	}
	return false
}

// isPooling reports whether a layer is a pooling by windows.
func isPooling(l nn.Layer) bool {
	switch l.(type) {
	case nn.MaxPool2D, *nn.MaxPool2D, nn.AvgPool2D, *nn.AvgPool2D:
		return true
	}
	return false
}

// isPointwise reports whether a layer is an activation or a normalisation.
func isPointwise(l nn.Layer) bool {
	switch l.(type) {
	case nn.ActivationLayer, nn.BatchNorm, *nn.BatchNorm, nn.GroupNorm, *nn.GroupNorm, nn.LayerNorm, *nn.LayerNorm:
		return true
	}
	return false
}

// mostOcclusions is the largest number of forward passes of an occlusion.
const mostOcclusions = 1 << 12

// Occlusion returns how much the probability of a class falls if a part of the picture of the last Forward is hidden (Zeiler
// and Fergus, "Visualizing and Understanding Convolutional Networks", 2014, section 4.2): squares of the given size are set
// to the picture's mean value per channel, one after the other, stride pixels apart. The map has one value per square.
func (s *Session) Occlusion(class, size, stride int) (*Map, error) {
	defer s.lock()()
	if err := s.ready(class); err != nil {
		return nil, err
	}
	h, w := s.opt.Input[0], s.opt.Input[1]
	if size < 1 || size > min(h, w) || stride < 1 {
		return nil, argument("squares of %d pixels, %d apart, want 1 to %d and at least 1", size, stride, min(h, w))
	}
	m := &Map{Rows: (h-size)/stride + 1, Columns: (w-size)/stride + 1}
	if n := m.Rows * m.Columns; n > mostOcclusions {
		return nil, argument("%d squares, want at most %d: use a larger stride", n, mostOcclusions)
	}
	x := s.pass.Values[0]
	whole := model.Softmax(s.outputs(s.pass), s.classes, s.opt.Temperature)[class]
	for i := range m.Rows {
		for j := range m.Columns {
			z, err := s.outputsOf(hide(x, s.opt.Input, i*stride, j*stride, size))
			if err != nil {
				return nil, err
			}
			m.Values = append(m.Values, float32(whole-model.Softmax(z, s.classes, s.opt.Temperature)[class]))
		}
	}
	return m, s.restore()
}

// outputsOf returns the network's outputs for a normalised picture. The pass must be restored afterwards.
func (s *Session) outputsOf(x []float32) ([]float32, error) {
	if err := s.dev.Upload(s.x, device.Bytes(x)); err != nil {
		return nil, fmt.Errorf("inspect: %w", err)
	}
	return download(s.dev, s.net.Forward(s.x, nn.Inference))
}

// hide returns the picture with a square set to the mean of each channel.
func hide(x []float32, shape nn.Shape, top, left, size int) []float32 {
	w, c := shape[1], shape[2]
	means := make([]float64, c)
	for k, v := range x {
		means[k%c] += float64(v) * float64(c) / float64(len(x))
	}
	hidden := slices.Clone(x)
	for i := top; i < top+size; i++ {
		for j := left; j < left+size; j++ {
			for k := range c {
				hidden[(i*w+j)*c+k] = float32(means[k])
			}
		}
	}
	return hidden
}
