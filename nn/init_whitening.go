package nn

import (
	"errors"
	"fmt"
	"math"
	"sync"

	"gonum.org/v1/gonum/mat"

	"trainer/nn/setting"
)

// Whitening makes the first convolution decorrelate the training set's patches: over all
// patches, its outputs have the second moments of white noise (Page, "How to Train Your
// ResNet 8: Back of All Tricks", 2019; Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single
// GPU", 2024, section 3.2).
//
// Let p be the kH x kW x inC patches of the images, as vectors of d elements, C = E(p p^T)
// the matrix of their second moments, and v_k and lambda_k its eigenvectors and
// eigenvalues, largest first. Then
//
//	filter k = v_k / sqrt(lambda_k + epsilon)        filter d+k = -filter k
//
// because E((v_j.p) (v_k.p)) = v_j^T C v_k = lambda_k [j = k]. The mean is not subtracted.
// The negated filters let a following activation pass both signs. outC must be 2 d.
//
// An eigenvector's sign is free: its element of largest magnitude is made positive.
type Whitening struct {
	Images  int // number of training images to use
	Epsilon float64
}

func whiteningKind() InitializerKind {
	return InitializerKind{Name: "whitening", Doc: "filters that decorrelate patches of the training images", New: func() Initializer { return Whitening{} }}
}

// Settings declares the keys of recipes.
func (i *Whitening) Settings(s *setting.List) {
	s.Int(&i.Images, "images", 5000, setting.AtLeast(1), "number of training images to look at")
	s.Float64(&i.Epsilon, "epsilon", 5e-4, setting.Positive, "added to the eigenvalues")
}

// Fill computes the filters.
func (i Whitening) Fill(dst []float32, c InitContext) error {
	if len(c.Shape) != 4 {
		return fmt.Errorf("whitening initialisation of %v: needs a convolution's filters", c.Shape)
	}
	kH, kW, inC := c.Shape[1], c.Shape[2], c.Shape[3]
	d := kH * kW * inC
	if c.Shape[0] != 2*d {
		return fmt.Errorf("whitening initialisation: got %d filters, needs 2*%d*%d*%d = %d", c.Shape[0], kH, kW, inC, 2*d)
	}
	if c.Sample == nil {
		return errors.New("whitening initialisation: needs training images")
	}
	setting.Complete(&i)
	return c.Memo.once(fmt.Sprintf("%#v %v", i, c.Shape), dst, func() error { return i.compute(dst, c) })
}

// compute computes the filters from images.
func (i Whitening) compute(dst []float32, c InitContext) error {
	kH, kW, inC := c.Shape[1], c.Shape[2], c.Shape[3]
	d := kH * kW * inC
	images, shape, err := c.Sample(i.Images)
	if err != nil {
		return fmt.Errorf("whitening initialisation: %w", err)
	}
	if len(shape) != 3 || shape[2] != inC || shape[0] < kH || shape[1] < kW || len(images) == 0 || len(images)%shape.Len() != 0 {
		return fmt.Errorf("whitening initialisation: got %d values of images of %v, needs %d channels and at least %dx%d",
			len(images), shape, inC, kH, kW)
	}
	var eigen mat.EigenSym
	if !eigen.Factorize(patchMoments(images, shape, kH, kW), true) {
		return errors.New("whitening initialisation: the eigenvalues of the patches' second moments did not converge")
	}
	var vectors mat.Dense
	eigen.VectorsTo(&vectors)
	values := eigen.Values(nil)
	for k := range d {
		column := d - 1 - k // gonum's eigenvalues ascend
		scale := signOfLargest(&vectors, column) / math.Sqrt(max(values[column], 0)+i.Epsilon)
		for j := range d {
			w := float32(scale * vectors.At(j, column))
			dst[k*d+j], dst[(d+k)*d+j] = w, -w
		}
	}
	return nil
}

// momentParts is the number of parts that the images are divided into. It is fixed, so that the
// sums are the same on any number of processors.
const momentParts = 16

// patchMoments returns E(p p^T) over all kH x kW patches of the images, which are [n, h, w,
// inC]. The elements of a patch are in the order of a filter's elements.
func patchMoments(images []float32, shape Shape, kH, kW int) *mat.SymDense {
	n, size, d := len(images)/shape.Len(), shape.Len(), kH*kW*shape[2]
	var parts [momentParts][]float64
	var working sync.WaitGroup
	for k := range parts {
		part := images[k*n/momentParts*size : (k+1)*n/momentParts*size]
		working.Go(func() { parts[k] = sumPatches(part, shape, kH, kW) })
	}
	working.Wait()
	patches := float64(n * (shape[0] - kH + 1) * (shape[1] - kW + 1))
	moments := mat.NewSymDense(d, nil)
	for i := range d {
		for j := range i + 1 {
			sum := 0.0
			for _, part := range parts {
				sum += part[i*d+j]
			}
			moments.SetSym(i, j, sum/patches)
		}
	}
	return moments
}

// sumPatches returns the lower triangle of the sum of p p^T over all patches, [d, d].
func sumPatches(images []float32, shape Shape, kH, kW int) []float64 {
	h, w, c := shape[0], shape[1], shape[2]
	row := kW * c
	d := kH * row
	sums := make([]float64, d*d)
	p := make([]float64, d)
	for image := images; len(image) > 0; image = image[h*w*c:] {
		for y := range h - kH + 1 {
			for x := range w - kW + 1 {
				for a := range kH {
					for b, v := range image[((y+a)*w+x)*c:][:row] {
						p[a*row+b] = float64(v)
					}
				}
				for i, v := range p {
					for j, s := range sums[i*d : i*d+i+1] {
						sums[i*d+j] = s + v*p[j]
					}
				}
			}
		}
	}
	return sums
}

// signOfLargest returns the sign, 1 or -1, of a column's element of largest magnitude.
func signOfLargest(m *mat.Dense, column int) float64 {
	largest := 0.0
	for i := range m.RawMatrix().Rows {
		if v := m.At(i, column); math.Abs(v) > math.Abs(largest) {
			largest = v
		}
	}
	if largest < 0 {
		return -1
	}
	return 1
}
