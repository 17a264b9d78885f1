package vmath

// Log1p returns log(1+t) for 0 <= t <= 1, off by at most 3 units in the last place.
//
//	log(1+t) = 2 artanh(s) = 2s (1 + s^2/3 + s^4/5 + ...)      s = t/(2+t), s <= 1/3
//
// with the series from s^2 on replaced by a polynomial that interpolates it at Chebyshev's points, to 3.9e-10 of the
// result.
func Log1p(t float32) float32 {
	s := t / (2 + t)
	z := s * s
	s += s
	return s + s*z*(0.3333333366+z*(0.1999985317+z*(0.1429617900+z*(0.1085328790+z*0.1161216461))))
}
