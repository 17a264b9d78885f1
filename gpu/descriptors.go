//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	cudnn "gorgonia.org/cu/dnn"

	"trainer/gpu/internal/cuda"
)

// descriptors are cuDNN's descriptions of what there is to compute, each made once and never changed, so
// that plans share them. They live as long as the device.
type descriptors struct {
	tensors      map[[4]int]*cuda.TensorDesc // [n,h,w,c]
	filters      map[[4]int]*cuda.FilterDesc // [outC,kH,kW,inC]
	convolutions map[convolutionKey]*cuda.ConvolutionDesc
	activations  map[cudnn.ActivationMode]*cuda.ActivationDesc
}

// convolutionKey is what a convolution's descriptor says.
type convolutionKey struct {
	geometry cuda.Geometry
	math     cudnn.MathType
}

func newDescriptors() *descriptors {
	return &descriptors{
		map[[4]int]*cuda.TensorDesc{}, map[[4]int]*cuda.FilterDesc{},
		map[convolutionKey]*cuda.ConvolutionDesc{}, map[cudnn.ActivationMode]*cuda.ActivationDesc{},
	}
}

// cached returns what a map has for a key, made by create if need be.
func cached[K comparable, V any](m map[K]*V, key K, create func() (*V, error)) (*V, error) {
	if v := m[key]; v != nil {
		return v, nil
	}
	v, err := create()
	if err != nil {
		return nil, err
	}
	m[key] = v
	return v, nil
}

// tensor describes a float32 tensor [n,h,w,c].
func (c *descriptors) tensor(shape [4]int) (*cuda.TensorDesc, error) {
	return cached(c.tensors, shape, func() (*cuda.TensorDesc, error) {
		return cuda.NewTensorDesc(cuda.Float32, shape[0], shape[1], shape[2], shape[3])
	})
}

// filter describes float32 filters [outC,kH,kW,inC], inC being that of one group.
func (c *descriptors) filter(shape [4]int) (*cuda.FilterDesc, error) {
	return cached(c.filters, shape, func() (*cuda.FilterDesc, error) {
		return cuda.NewFilterDesc(cuda.Float32, shape[0], shape[1], shape[2], shape[3])
	})
}

// convolution describes a convolution's geometry and what it multiplies in.
func (c *descriptors) convolution(key convolutionKey) (*cuda.ConvolutionDesc, error) {
	return cached(c.convolutions, key, func() (*cuda.ConvolutionDesc, error) {
		return cuda.NewConvolutionDesc(key.geometry, key.math)
	})
}

// activation describes ReLU or Identity.
func (c *descriptors) activation(mode cudnn.ActivationMode) (*cuda.ActivationDesc, error) {
	return cached(c.activations, mode, func() (*cuda.ActivationDesc, error) { return cuda.NewActivationDesc(mode, 0) })
}

// close destroys all of them, and returns the first error.
func (c *descriptors) close() (first error) {
	keep := func(err error) {
		if first == nil {
			first = err
		}
	}
	for _, d := range c.tensors {
		keep(cuda.DestroyTensorDesc(d))
	}
	for _, d := range c.filters {
		keep(cuda.DestroyFilterDesc(d))
	}
	for _, d := range c.convolutions {
		keep(cuda.DestroyConvolutionDesc(d))
	}
	for _, d := range c.activations {
		keep(cuda.DestroyActivationDesc(d))
	}
	*c = *newDescriptors()
	return first
}
