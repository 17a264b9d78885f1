package devicetest

import "trainer/nn/device"

// eachProduct calls visit for every product x*w of the convolution's defining sum
//
//	y[b,i,j,o] = sum_{p,q,c} x[b, i*strideH + p*dilationH - padH, j*strideW + q*dilationW - padW, g*inC/groups + c] * w[o,p,q,c]
//
// with the flat indices of the three elements. Forward adds x*w to y; the gradients
// are the same sum read the other way: dx gets dy*w, dw gets dy*x.
func eachProduct(s device.Conv2DSpec, n int, visit func(y, x, w int)) {
	outH, outW := s.OutH(), s.OutW()
	groupIn, groupOut := s.InC/s.Groups, s.OutC/s.Groups
	for b := 0; b < n; b++ {
		for i := 0; i < outH; i++ {
			for j := 0; j < outW; j++ {
				for p := 0; p < s.KH; p++ {
					for q := 0; q < s.KW; q++ {
						row := i*s.StrideH + p*s.DilationH - s.PadH
						col := j*s.StrideW + q*s.DilationW - s.PadW
						if row < 0 || row >= s.H || col < 0 || col >= s.W {
							continue
						}
						for o := 0; o < s.OutC; o++ {
							y := ((b*outH+i)*outW+j)*s.OutC + o
							x := ((b*s.H+row)*s.W+col)*s.InC + o/groupOut*groupIn
							w := ((o*s.KH+p)*s.KW + q) * groupIn
							for c := 0; c < groupIn; c++ {
								visit(y, x+c, w+c)
							}
						}
					}
				}
			}
		}
	}
}

// refConv2DForward returns y. bias may be nil.
func refConv2DForward(s device.Conv2DSpec, n int, x, w, bias []float64) sums {
	y := newSums(n*s.OutH()*s.OutW()*s.OutC, sumUlps(s.KH*s.KW*s.InC/s.Groups+1)).withBias(bias != nil)
	eachProduct(s, n, func(yi, xi, wi int) { y.add(yi, x[xi]*w[wi]) })
	if bias != nil {
		for i := range y.value {
			y.addBias(i, bias[i%s.OutC])
		}
	}
	return y
}

// refConv2DBackwardData returns dx.
func refConv2DBackwardData(s device.Conv2DSpec, n int, dy, w []float64) sums {
	dx := newSums(n*s.H*s.W*s.InC, sumUlps(s.KH*s.KW*s.OutC/s.Groups))
	eachProduct(s, n, func(yi, xi, wi int) { dx.add(xi, dy[yi]*w[wi]) })
	return dx
}

// refConv2DBackwardFilter returns dw and dbias.
func refConv2DBackwardFilter(s device.Conv2DSpec, n int, dy, x []float64) (dw, dbias sums) {
	k := n * s.OutH() * s.OutW()
	dw = newSums(s.OutC*s.KH*s.KW*s.InC/s.Groups, sumUlps(k))
	eachProduct(s, n, func(yi, xi, wi int) { dw.add(wi, dy[yi]*x[xi]) })
	dbias = newSums(s.OutC, sumUlps(k))
	for i, d := range dy {
		dbias.add(i%s.OutC, d)
	}
	return dw, dbias
}
