package kernels_test

import (
	"testing"

	"trainer/kernels"
)

// convSmallShape is a convolution that keeps the size of its images, and its pooling.
func convSmallShape(size, inC, outC, k int) kernels.ConvSmallShape {
	return kernels.ConvSmallShape{
		H: size, W: size, InC: inC, OutC: outC, KH: k, KW: k, PadH: (k - 1) / 2, PadW: (k - 1) / 2, OutH: size / 2, OutW: size / 2,
	}
}

// The launches of airbench94's second convolution, whose warps are all but fully used.
func TestConvSmallOfAirbench(t *testing.T) {
	s := convSmallShape(31, 24, 64, 3)
	forward, ok := kernels.ConvSmallForwardLaunch(1024, s)
	if want := (kernels.ConvSmallLaunch{Grid: kernels.Grid{X: 264, Y: 1}, Bands: 4096, Rows: 4, Stride: 28, Vector: true, Moments: true}); !ok || forward != want {
		t.Errorf("forward %+v, %v, want %+v", forward, ok, want)
	}
	want := forward
	want.Grid.X = 256
	if filter, ok := kernels.ConvSmallFilterLaunch(1024, 1, s); !ok || filter != want {
		t.Errorf("filters %+v, %v, want %+v", filter, ok, want)
	}
	want.Grid = kernels.Grid{X: 128, Y: 2}
	if both, ok := kernels.ConvSmallFilterLaunch(1024, 2, s); !ok || both != want {
		t.Errorf("filters and the bias of a whitening layer %+v, %v, want %+v", both, ok, want)
	}
	data, ok := kernels.ConvSmallDataLaunch(1024, s)
	if want := (kernels.ConvSmallLaunch{Grid: kernels.Grid{X: 264, Y: 1}, Bands: 8192, Rows: 4}); !ok || data != want {
		t.Errorf("data %+v, %v, want %+v", data, ok, want)
	}
}

// A launch covers all rows, its pixels are as far apart as conv_small.cu needs, and what it keeps in shared memory fits.
func TestConvSmallLaunches(t *testing.T) {
	taken := 0
	for size := 4; size < 70; size++ {
		for inC := 1; inC <= 33; inC++ {
			for _, k := range []int{1, 2, 3, 5} {
				s := convSmallShape(size, inC, 128, k)
				l, ok := kernels.ConvSmallForwardLaunch(3, s)
				if !ok {
					continue
				}
				taken++
				even := inC + inC%2
				steps := (k*k*even + 15) / 16
				tile := (2*l.Rows + k - 1) * (2*s.OutW + k - 1) * l.Stride
				switch {
				case inC > kernels.MaxConvSmallChannels, l.Stride%8 != 4, l.Stride < even+2, steps > 16, 1024*steps+tile > 23808, 1024*steps+4096 > 23808:
					t.Errorf("%+v: %+v with %d elements under a band", s, l, tile)
				case l.Bands*l.Rows < 3*s.OutH, (l.Bands/3-1)*l.Rows >= s.OutH, l.Grid.X > l.Bands, l.Grid.Y != 2:
					t.Errorf("%+v: %+v doesn't fit the rows", s, l)
				case l.Moments && l.Rows*s.OutW > 64:
					t.Errorf("%+v: %+v has moments of too many pixels", s, l)
				}
				d, ok := kernels.ConvSmallDataLaunch(3, s)
				if ok && (d.Rows*size > 128 || d.Bands*d.Rows < 3*size || (d.Bands/3-1)*d.Rows >= size || 8*k*k*384+(d.Rows+k-1)*(size+k-1)*40 > 23808) {
					t.Errorf("%+v: %+v for the data", s, d)
				}
			}
		}
	}
	if taken < 3000 {
		t.Errorf("only %d shapes are taken", taken)
	}
	for _, s := range []kernels.ConvSmallShape{convSmallShape(8, 33, 64, 1), convSmallShape(8, 24, 60, 3), convSmallShape(8, 32, 64, 3), convSmallShape(300, 24, 64, 3)} {
		if l, ok := kernels.ConvSmallForwardLaunch(1, s); ok {
			t.Errorf("%+v is taken: %+v", s, l)
		}
	}
}
