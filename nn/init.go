package nn

import (
	"math"

	"trainer/nn/device"
)

// Initializer gives a parameter its initial value. It computes on the host, so that every
// device starts from the same bits.
type Initializer interface {
	// Fill writes the values of a parameter of the context's shape, row-major.
	Fill(dst []float32, c InitContext) error
}

// InitContext is the information that an initialiser may use.
type InitContext struct {
	Shape         []int // convolution [outC,kH,kW,inC/groups], dense [in,out], otherwise [c]
	FanIn, FanOut int   // inputs that one output sums over; outputs that one input goes to
	Seed          uint64
	Stream        device.Stream
	// Sample returns n normalised training images, or all if there are fewer, and their
	// shape. It is nil without data.
	Sample func(n int) (images []float32, shape Shape, err error)
	Memo   *Memo // what was computed from the same images before; nil for nothing
}

// Normal fills dst with independent normal numbers of mean 0 and the given standard
// deviation. Each pair comes from two uniform numbers u and v (Box and Muller 1958):
//
//	sqrt(-2 log u) cos(2 pi v), sqrt(-2 log u) sin(2 pi v)
func (c InitContext) Normal(dst []float32, std float64) {
	for i := 0; i < len(dst); i += 4 {
		w0, w1, w2, w3 := device.Random(c.Seed, c.Stream, 0, uint64(i/4))
		var z [4]float64
		z[0], z[1] = boxMuller(w0, w1)
		z[2], z[3] = boxMuller(w2, w3)
		for j := 0; j < 4 && i+j < len(dst); j++ {
			dst[i+j] = float32(std * z[j])
		}
	}
}

// boxMuller turns two random words into two normal numbers. u is in (0, 1], so that its
// logarithm is finite.
func boxMuller(a, b uint32) (float64, float64) {
	u := (float64(a) + 1) / (1 << 32)
	sin, cos := math.Sincos(2 * math.Pi * float64(b) / (1 << 32))
	r := math.Sqrt(-2 * math.Log(u))
	return r * cos, r * sin
}

// Uniform fills dst with independent numbers, uniform over [-bound, bound).
func (c InitContext) Uniform(dst []float32, bound float64) {
	for i := 0; i < len(dst); i += 4 {
		w0, w1, w2, w3 := device.Random(c.Seed, c.Stream, 0, uint64(i/4))
		for j, w := range [4]uint32{w0, w1, w2, w3} {
			if i+j < len(dst) {
				dst[i+j] = float32(bound * (float64(w)/(1<<31) - 1))
			}
		}
	}
}

// orDefault returns the initialiser, or PyTorchDefault if it is nil.
func orDefault(i Initializer) Initializer {
	if i == nil {
		return PyTorchDefault{}
	}
	return i
}
