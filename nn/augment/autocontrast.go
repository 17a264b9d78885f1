package augment

import (
	"math"

	"trainer/nn/device"
)

// autoContrast stretches each channel to the full range (torchvision's autocontrast):
//
//	y = (x - low) / (high - low)        with the least and the largest pixel of the channel
//
// A channel whose range is less than 1/512 is unchanged. No parameters.
var autoContrast = &device.ImageOp{
	Name: "auto_contrast",
	Apply: func(y, x, _ device.Image, _ []float64) {
		for c := range x.C {
			low, high := channelRange(x, c)
			for i := c; i < len(x.Pix); i += x.C {
				y.Pix[i] = x.Pix[i]
				if high-low >= leastRange {
					y.Pix[i] = device.Clamp((x.Pix[i] - low) / (high - low))
				}
			}
		}
	},
	Error: func(x device.Image, _ []float64) (gain, ulps float64) {
		gain = 1
		for c := range x.C {
			low, high := channelRange(x, c)
			if high-low > leastRange/2 {
				gain = math.Max(gain, 4/(high-low))
			}
		}
		return gain, gain
	},
}

// leastRange is the range of a channel below which it isn't stretched: less than the step between two bytes.
const leastRange = 1.0 / 512

// channelRange returns the least and the largest pixel of a channel.
func channelRange(x device.Image, c int) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for i := c; i < len(x.Pix); i += x.C {
		low, high = math.Min(low, x.Pix[i]), math.Max(high, x.Pix[i])
	}
	return low, high
}

// AutoContrast stretches each channel to the full range.
type AutoContrast struct{}

func autoContrastKind() Kind {
	return Kind{Name: "auto-contrast", Doc: "stretch each channel to the whole range", New: func() Transform { return AutoContrast{} }}
}

// Kind returns "auto-contrast".
func (AutoContrast) Kind() string { return "auto-contrast" }

// Ops returns autoContrast.
func (AutoContrast) Ops() []*device.ImageOp { return []*device.ImageOp{autoContrast} }

// Draw switches autoContrast on.
func (AutoContrast) Draw(_ *Random, p Params) { p.Set(0) }
