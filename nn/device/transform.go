package device

import (
	"fmt"
	"math"
)

// Image is one image in the formulas of an ImageOp: H rows of W pixels of C channels, stored row by row with the
// channel innermost. Pixels are in [0,1], where 0 stands for the byte 0 and 1 for the byte 255.
type Image struct {
	H, W, C int
	Pix     []float64 // [H,W,C]
	Mean    []float64 // mean of each channel over the data set, as in TransformSpec
}

// At returns channel c of the pixel in row i and column j.
func (m Image) At(i, j, c int) float64 { return m.Pix[(i*m.W+j)*m.C+c] }

// Set sets channel c of the pixel in row i and column j.
func (m Image) Set(i, j, c int, v float64) { m.Pix[(i*m.W+j)*m.C+c] = v }

// ImageOp is an operation on images: its formula, against which every device's own code is tested, and the name under
// which a device finds that code. The host draws the parameters (package augment), so an operation is a plain function
// of pixels and parameters.
type ImageOp struct {
	Name   string // such as "hue"; the CUDA kernel is image_hue in kernels/image_hue.cu
	Params int    // number of parameters

	// Apply computes the image y from x. If the operation mixes images, other is the partner's image.
	Apply func(y, x, other Image, p []float64)
	// Mixes says that the operation mixes image n of the batch with a partner: image n+1, or the first image for the
	// last. The operation sees the partner as it was before the operation. Its last parameter is the share of image n's
	// own label; the rest goes to the partner's label.
	Mixes bool
	// Error is the error analysis that tests check devices against: if pixels of x are off by e, pixels of y, computed
	// in float32, are off by at most gain*e + ulps*2^-23. An infinite gain means that y can jump when x hardly changes.
	Error func(x Image, p []float64) (gain, ulps float64)
}

// TransformSpec applies a list of operations to uint8 images and normalises the result, of type DType:
//
//	x[n]   = images[n] / 255, or images[ids[n]] / 255 with Gather
//	x[n]   = op(x[n])                          for each of Ops in order, where op is on for the image
//	y[n,c] = (x[n,c] - Mean[c]) / Std[c]
//
// The operations' parameters are a table, float32 [N, Columns()]. In row n, column Column(k) is 1 if operation k is on
// for image n, and otherwise 0; its Params parameters follow. If any operation mixes images, the last columns of the
// row are the shares of the labels of images n, n+1 and so on to n+Mixes(). Pixels are float32 throughout, not rounded
// between operations.
type TransformSpec struct {
	N, H, W, C int
	Mean, Std  []float32 // one per channel, for pixels scaled to [0,1]
	Ops        []*ImageOp
	Classes    int  // for Targets; 0 if Targets is not used
	Gather     bool // as in AugmentSpec
	DType      DType
}

// Transform is the plan of a TransformSpec. y [n,H,W,C]; images uint8 [n or whole set,H,W,C]; ids int32 [n], nil unless
// Gather is set; drawn float32 [n, Columns()].
type Transform interface {
	// Run applies the operations and normalises.
	Run(y, images, ids, drawn *Tensor)
	// Targets writes the soft targets of the mixed images, float32 [n, Classes]: each row is the sum of the one-hot
	// labels of the image and its partners, times their shares in drawn. labels is int32 [n], the labels of the unmixed
	// images.
	Targets(dst, labels, drawn *Tensor)
}

// Column returns the first column of operation k in the table of parameters.
func (s TransformSpec) Column(k int) int {
	n := 0
	for _, op := range s.Ops[:k] {
		n += 1 + op.Params
	}
	return n
}

// Mixes returns the number of operations that mix images.
func (s TransformSpec) Mixes() int {
	n := 0
	for _, op := range s.Ops {
		if op.Mixes {
			n++
		}
	}
	return n
}

// Columns returns the number of columns of the table of parameters.
func (s TransformSpec) Columns() int {
	n := s.Column(len(s.Ops))
	if mixes := s.Mixes(); mixes > 0 {
		n += 1 + mixes
	}
	return n
}

// Check panics unless the sizes are positive, every channel has a mean and a standard deviation, and the list of
// operations is not empty.
func (s TransformSpec) Check() {
	if s.N < 1 || s.H < 1 || s.W < 1 || s.C < 1 || s.Classes < 0 {
		panic(fmt.Sprintf("transform: images [%d %d %d %d], %d classes", s.N, s.H, s.W, s.C, s.Classes))
	}
	if len(s.Mean) != s.C || len(s.Std) != s.C {
		panic(fmt.Sprintf("transform: %d means and %d standard deviations for %d channels", len(s.Mean), len(s.Std), s.C))
	}
	if len(s.Ops) == 0 {
		panic("transform: no operations, want at least one (NewAugment normalises alone)")
	}
}

// CheckRun panics unless the operands of Transform.Run fit, and returns the number of images.
func (s TransformSpec) CheckRun(op string, y, images, ids, drawn *Tensor) int {
	n := CheckRows(op, "y", y, s.DType, s.N, s.H, s.W, s.C)
	rows := n
	if s.Gather {
		rows = -1
		CheckLen(op, "ids", ids, Int32, n)
	}
	Check(op, "images", images, Uint8, rows, s.H, s.W, s.C)
	Check(op, "drawn", drawn, Float32, n, s.Columns())
	return n
}

// CheckTargets panics unless the operands of Transform.Targets fit, and returns the number of images.
func (s TransformSpec) CheckTargets(op string, dst, labels, drawn *Tensor) int {
	if s.Classes == 0 {
		panic(op + ": the plan was made without Classes")
	}
	n := CheckRows(op, "dst", dst, Float32, s.N, s.Classes)
	Check(op, "labels", labels, Int32, n)
	Check(op, "drawn", drawn, Float32, n, s.Columns())
	return n
}

// Gray returns the brightness of a pixel (ITU-R BT.601, as in torchvision), or the mean of the channels if the image
// does not have three.
func (m Image) Gray(i, j int) float64 {
	p := m.Pix[(i*m.W+j)*m.C:][:m.C]
	if m.C == 3 {
		return 0.299*p[0] + 0.587*p[1] + 0.114*p[2]
	}
	sum := 0.0
	for _, v := range p {
		sum += v
	}
	return sum / float64(m.C)
}

// Clamp returns v limited to [0,1].
func Clamp(v float64) float64 { return math.Min(math.Max(v, 0), 1) }
