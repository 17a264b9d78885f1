package figure

import (
	"image/color"
	"math"
)

// The colours of Okabe and Ito, and the grays of text and frames.
var (
	blue       = color.NRGBA{0, 114, 178, 255}
	sky        = color.NRGBA{86, 180, 233, 255}
	green      = color.NRGBA{0, 158, 115, 255}
	orange     = color.NRGBA{230, 159, 0, 255}
	vermillion = color.NRGBA{213, 94, 0, 255}
	purple     = color.NRGBA{204, 121, 167, 255}

	ink   = color.NRGBA{34, 40, 49, 255}
	muted = color.NRGBA{101, 109, 118, 255}
	faint = color.NRGBA{208, 215, 222, 255}
	white = color.NRGBA{255, 255, 255, 255}
)

// mix returns a colour between a (at 0) and b (at 1).
func mix(a, b color.NRGBA, t float64) color.NRGBA {
	part := func(x, y uint8) uint8 {
		return uint8(math.Round(float64(x) + (float64(y)-float64(x))*t))
	}
	return color.NRGBA{part(a.R, b.R), part(a.G, b.G), part(a.B, b.B), 255}
}

// diverging colours numbers from -1 (vermillion) through 0 (white) to 1 (blue).
func diverging(v float64) color.NRGBA {
	if v < 0 {
		return mix(white, vermillion, min(-v, 1))
	}
	return mix(white, blue, min(v, 1))
}

// sequential colours numbers from 0 (white) to 1 (dark blue).
func sequential(v float64) color.NRGBA {
	const knee = 0.6
	v = min(max(v, 0), 1)
	if v < knee {
		return mix(white, sky, v/knee)
	}
	return mix(sky, mix(blue, ink, 0.35), (v-knee)/(1-knee))
}

// gray colours numbers from 0 (black) to 1 (white).
func gray(v float64) color.NRGBA {
	g := uint8(math.Round(255 * min(max(v, 0), 1)))
	return color.NRGBA{g, g, g, 255}
}
