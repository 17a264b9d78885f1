package bench

import (
	"fmt"
	"testing"

	"trainer/nn/device"
)

// depthwiseCases are convolutions with a filter for each channel, of the sizes that MobileNet and its successors have.
func depthwiseCases() []device.Conv2DSpec {
	var all []device.Conv2DSpec
	for _, c := range [][4]int{{56, 128, 3, 1}, {56, 128, 3, 2}, {28, 256, 5, 1}} {
		s := square(8, c[0], c[1], c[1], c[2], c[2]/2, false)
		s.Groups, s.StrideH, s.StrideW = c[1], c[3], c[3]
		all = append(all, s)
	}
	return all
}

// runDepthwise measures the three passes of depthwise convolutions, which memory binds: each reads one tensor and writes
// another, or reads two, beside a copy of as many bytes.
func runDepthwise(b *testing.B) {
	d := open(b)
	for _, s := range depthwiseCases() {
		name := fmt.Sprintf("%s-k%d-stride%d", human(s.H, s.W, s.InC), s.KH, s.StrideH)
		plan := must(d.NewConv2D(s))(b)
		x, w := tensor(b, d, s.N, s.H, s.W, s.InC), tensor(b, d, s.OutC, s.KH, s.KW, 1)
		y := tensor(b, d, s.N, s.OutH(), s.OutW(), s.OutC)
		size := 4 * int64(x.Len()+y.Len())
		from, to := tensor(b, d, (x.Len()+y.Len())/2), tensor(b, d, (x.Len()+y.Len())/2)
		for _, c := range []struct {
			pass string
			call func()
		}{
			{"copy", func() { d.Copy(to, from) }},
			{"forward", func() { plan.Forward(y, x, w, nil) }},
			{"backward-data", func() { plan.BackwardData(x, y, w) }},
			{"backward-filter", func() { plan.BackwardFilter(w, nil, y, x) }},
		} {
			b.Run(name+"/"+c.pass, func(b *testing.B) {
				loop(b, d, c.call)
				reportBytes(b, size)
			})
		}
	}
}
