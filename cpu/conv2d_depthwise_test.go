package cpu

import (
	"bytes"
	"testing"

	"trainer/nn/device"
)

// A depthwise convolution gives the same bits at any number of threads, in all passes: by bands of rows, by single rows,
// and with several filters per channel.
func TestDepthwiseThreadsGiveTheSameBits(t *testing.T) {
	s := device.Conv2DSpec{
		N: 5, H: 31, W: 29, InC: 70, OutC: 70, KH: 3, KW: 3, StrideH: 1, StrideW: 1, PadH: 1, PadW: 1, DilationH: 1, DilationW: 1, Groups: 70, Bias: true,
	}
	sameBitsAtAnyThreads(t, s)
	s.OutC = 140
	sameBitsAtAnyThreads(t, s)
	s.StrideW = 2
	sameBitsAtAnyThreads(t, s)
}

func sameBitsAtAnyThreads(t *testing.T, s device.Conv2DSpec) {
	t.Helper()
	var want [4][]byte
	for _, threads := range []int{1, 2, 5} {
		o := &operands{t: t, d: newDevice(t, WithThreads(threads))}
		p := must(o.d.NewConv2D(s))
		if got := p.Algorithm(); got != "depthwise, "+o.d.kernel.Name {
			t.Fatalf("the algorithm is %q", got)
		}
		x, w, bias := o.uniform(-1, 1, 4, s.H, s.W, s.InC), o.uniform(-1, 1, s.OutC, s.KH, s.KW, 1), o.uniform(-1, 1, s.OutC)
		dy, y := o.uniform(-1, 1, 4, s.OutH(), s.OutW(), s.OutC), o.zeros(4, s.OutH(), s.OutW(), s.OutC)
		dx, dw, dbias := o.zeros(4, s.H, s.W, s.InC), o.zeros(s.OutC, s.KH, s.KW, 1), o.zeros(s.OutC)
		p.Forward(y, x, w, bias)
		p.BackwardData(dx, dy, w)
		p.BackwardFilter(dw, dbias, dy, x)
		for i, got := range []*device.Tensor{y, dx, dw, dbias} {
			if want[i] == nil {
				want[i] = bytes.Clone(raw(got))
			} else if !bytes.Equal(raw(got), want[i]) {
				t.Errorf("result %d differs with %d threads", i, threads)
			}
		}
	}
}

// Every tap of every pixel is in exactly one run, and the two directions have the same pairs.
func TestTapsOfBothDirections(t *testing.T) {
	for _, c := range [][5]int{ // size, k, stride, pad, dilation
		{9, 3, 1, 1, 1}, {10, 3, 2, 1, 1}, {13, 5, 3, 2, 2}, {12, 4, 2, 3, 4}, {7, 1, 2, 0, 1}, {2, 2, 3, 1, 1}, {20, 3, 6, 2, 4},
	} {
		size, k, stride, pad, dilation := c[0], c[1], c[2], c[3], c[4]
		out := (size+2*pad-dilation*(k-1)-1)/stride + 1
		type product struct{ x, y, tap int }
		seen := map[product]int{}
		for _, r := range forwardTaps(out, k, stride, pad, dilation, size).runs() {
			for j := range r.pixels {
				for b := range r.count {
					seen[product{r.src + j*stride + b*dilation, r.from + j, r.tap + b}]++
				}
			}
		}
		l := backwardTaps(size, k, stride, pad, dilation, out)
		for _, r := range l.runs() {
			for j := range r.pixels {
				for b := range r.count {
					seen[product{r.from + j*l.stride, r.src + j*l.move + b*l.srcStep, r.tap + b*l.tapStep}] += 2
				}
			}
		}
		for p, times := range seen {
			if times != 3 || p.y*stride+p.tap*dilation-pad != p.x {
				t.Errorf("%v: %+v is there %d", c, p, times)
			}
		}
	}
}
