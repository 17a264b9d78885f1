package augment

import "trainer/nn/device"

// equalize makes all values of a channel about equally frequent (torchvision's equalize). With q = round(255 x),
// count[v] the number of pixels with q = v, and N the number of pixels whose q is not the largest that occurs:
//
//	y = min(255, floor((step/2 + sum of count[v] for v < q) / step)) / 255        step = floor(N / 255)
//
// in whole numbers. A channel whose step is 0 is unchanged. No parameters.
var equalize = &device.ImageOp{
	Name: "equalize",
	Apply: func(y, x, _ device.Image, _ []float64) {
		for c := range x.C {
			var count [256]int
			for i := c; i < len(x.Pix); i += x.C {
				count[int(quantized(x.Pix[i]))]++
			}
			last := 255
			for count[last] == 0 {
				last--
			}
			step := (x.H*x.W - count[last]) / 255
			var below [256]int // pixels darker than each byte
			for v := 1; v < 256; v++ {
				below[v] = below[v-1] + count[v-1]
			}
			for i := c; i < len(x.Pix); i += x.C {
				y.Pix[i] = x.Pix[i]
				if step > 0 {
					y.Pix[i] = float64(min(255, (step/2+below[int(quantized(x.Pix[i]))])/step)) / 255
				}
			}
		}
	},
	// An unchanged channel keeps its error.
	Error: func(x device.Image, _ []float64) (float64, float64) { return max(1, quantizedGain(x)), 1 },
}

// Equalize makes all values of a channel about equally frequent.
type Equalize struct{}

func equalizeKind() Kind {
	return Kind{Name: "equalize", Doc: "make all brightnesses about equally frequent", New: func() Transform { return Equalize{} }}
}

// Kind returns "equalize".
func (Equalize) Kind() string { return "equalize" }

// Ops returns equalize.
func (Equalize) Ops() []*device.ImageOp { return []*device.ImageOp{equalize} }

// Draw equalises.
func (Equalize) Draw(_ *Random, p Params) { p.Set(0) }
