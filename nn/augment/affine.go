package augment

import (
	"math"

	"trainer/nn/device"
	"trainer/nn/setting"
)

// affine takes each pixel from the place that an affine map gives, with bilinear interpolation between four pixels:
//
//	y[i,j] = x(u,v)        v = a*j + b*i + c (column)        u = d*j + e*i + f (row)
//
//	x(u,v) = (1-s)(1-t) x[u0,v0] + (1-s)t x[u0,v0+1] + s(1-t) x[u0+1,v0] + st x[u0+1,v0+1]
//
// with u0 = floor(u), s = u-u0, and likewise v0 and t. Parameters: a b c d e f, then the choice of what lies beyond the
// border: zero (black), the image reflected at its outermost pixels, or the outermost pixels repeated. If u and v are
// whole numbers, x(u,v) is exactly the pixel itself.
var affine = &device.ImageOp{
	Name: "affine", Params: 7,
	Apply: func(y, x, _ device.Image, p []float64) {
		for i := range y.H {
			for j := range y.W {
				u, v := p[3]*float64(j)+p[4]*float64(i)+p[5], p[0]*float64(j)+p[1]*float64(i)+p[2]
				for c := range y.C {
					y.Set(i, j, c, bilinear(x, u, v, c, p[6]))
				}
			}
		}
	},
	// The weights add up to 1. A coordinate is off by three roundings of its terms, and neighbouring pixels differ by
	// at most 1.
	Error: func(x device.Image, p []float64) (float64, float64) {
		v := math.Abs(p[0])*float64(x.W) + math.Abs(p[1])*float64(x.H) + math.Abs(p[2])
		u := math.Abs(p[3])*float64(x.W) + math.Abs(p[4])*float64(x.H) + math.Abs(p[5])
		return 1, 4 + 2*(u+v)
	},
}

// The values of affine's last parameter: what lies beyond the border of an image.
const (
	borderZeros   = 0
	borderReflect = 1
	borderEdge    = 2
)

// borders are the names of the values that recipes can choose.
var borders = map[string]float64{"zeros": borderZeros, "reflect": borderReflect}

// bilinear returns x(u,v).
func bilinear(x device.Image, u, v float64, c int, border float64) float64 {
	if border == borderZeros {
		u0, v0 := math.Floor(u), math.Floor(v)
		s, t := u-u0, v-v0
		at := func(i, j float64) float64 {
			if i < 0 || i >= float64(x.H) || j < 0 || j >= float64(x.W) {
				return 0
			}
			return x.At(int(i), int(j), c)
		}
		return (1-s)*((1-t)*at(u0, v0)+t*at(u0, v0+1)) + s*((1-t)*at(u0+1, v0)+t*at(u0+1, v0+1))
	}
	u, v = within(u, x.H, border), within(v, x.W, border)
	i, j := int(u), int(v)
	s, t := u-float64(i), v-float64(j)
	down, right := min(i+1, x.H-1), min(j+1, x.W-1)
	return (1-s)*((1-t)*x.At(i, j, c)+t*x.At(i, right, c)) + s*((1-t)*x.At(down, j, c)+t*x.At(down, right, c))
}

// within brings a coordinate into [0, n-1], by reflection at both ends or to the nearer end.
func within(u float64, n int, border float64) float64 {
	last := float64(n - 1)
	if border == borderEdge || n == 1 {
		return math.Min(math.Max(u, 0), last)
	}
	u = math.Abs(u)
	u -= 2 * last * math.Floor(u/(2*last))
	if u > last {
		u = 2*last - u
	}
	return math.Min(math.Max(u, 0), last)
}

// matrix is the linear part of a map from a place in the new image to a place in the old image, both as (x, y) from the
// centre.
type matrix struct{ xx, xy, yx, yy float64 }

// draw switches affine on, with parameters such that the new pixel at p, from the centre, is the old pixel at m*p +
// (dx, dy).
func (m matrix) draw(r *Random, p Params, dx, dy, border float64) {
	x, y := float64(r.W-1)/2, float64(r.H-1)/2
	p.Set(0,
		m.xx, m.xy, x+dx-m.xx*x-m.xy*y,
		m.yx, m.yy, y+dy-m.yx*x-m.yy*y,
		border)
}

// borderSetting declares the key border; the first choice is the default.
func borderSetting(s *setting.List, field *string, choices ...string) {
	setting.Choice(s, field, "border", setting.Names(choices...), "what lies beyond the border: zeros, or the image reflected")
}
