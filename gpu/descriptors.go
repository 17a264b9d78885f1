//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	cudnn "gorgonia.org/cu/dnn"

	"trainer/gpu/internal/cuda"
	"trainer/nn/device"
)

// descriptors are cuDNN's descriptors of tensors and operations, each made once and never changed, so that plans can
// share them. They live as long as the device.
type descriptors struct {
	tensors      map[typedShape]*cuda.TensorDesc // [n,h,w,c]
	filters      map[typedShape]*cuda.FilterDesc // [outC,kH,kW,inC]
	convolutions map[convolutionKey]*cuda.ConvolutionDesc
	activations  map[cudnn.ActivationMode]*cuda.ActivationDesc
}

// typedShape is an element type and a shape.
type typedShape struct {
	dtype device.DType
	shape [4]int
}

// convolutionKey identifies a convolution's descriptor.
type convolutionKey struct {
	geometry cuda.Geometry
	math     cudnn.MathType
}

func newDescriptors() *descriptors {
	return &descriptors{
		map[typedShape]*cuda.TensorDesc{}, map[typedShape]*cuda.FilterDesc{},
		map[convolutionKey]*cuda.ConvolutionDesc{}, map[cudnn.ActivationMode]*cuda.ActivationDesc{},
	}
}

// cached returns a map's value for a key, and creates it with create if necessary.
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

// tensor describes a tensor [n,h,w,c] of a float type.
func (c *descriptors) tensor(t device.DType, shape [4]int) (*cuda.TensorDesc, error) {
	return cached(c.tensors, typedShape{t, shape}, func() (*cuda.TensorDesc, error) {
		return cuda.NewTensorDesc(dataType(t), shape[0], shape[1], shape[2], shape[3])
	})
}

// filter describes filters [outC,kH,kW,inC] of a float type, where inC is the channels of one group.
func (c *descriptors) filter(t device.DType, shape [4]int) (*cuda.FilterDesc, error) {
	return cached(c.filters, typedShape{t, shape}, func() (*cuda.FilterDesc, error) {
		return cuda.NewFilterDesc(dataType(t), shape[0], shape[1], shape[2], shape[3])
	})
}

// convolution describes a convolution's geometry and the type in which it multiplies.
func (c *descriptors) convolution(key convolutionKey) (*cuda.ConvolutionDesc, error) {
	return cached(c.convolutions, key, func() (*cuda.ConvolutionDesc, error) {
		return cuda.NewConvolutionDesc(key.geometry, key.math)
	})
}

// activation describes ReLU or Identity.
func (c *descriptors) activation(mode cudnn.ActivationMode) (*cuda.ActivationDesc, error) {
	return cached(c.activations, mode, func() (*cuda.ActivationDesc, error) { return cuda.NewActivationDesc(mode, 0) })
}

// close destroys all descriptors, and returns the first error.
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
