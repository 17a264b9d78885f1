package augment

import "trainer/nn/device"

// Short is augmentation in the form of the fields of device.AugmentSpec.
type Short struct {
	Flip         device.FlipMode
	Crop, Cutout int
}

// Short returns a list in the form of the fields of device.AugmentSpec, for which devices have code that reads and
// writes each pixel once and draws its own random numbers. For images of h x w pixels, ok is false unless the list is
// flip or alternating-flip, then shift with reflection, then cutout, each at most once and with the kind's default
// probability. Only this file knows which kinds these are.
func (l List) Short(h, w int) (s Short, ok bool) {
	rest := make(List, len(l))
	for i, item := range l {
		rest[i] = item.Completed()
	}
	// next removes the first item if it is of the kind and has this probability.
	next := func(kind string, p float64) Transform {
		if len(rest) == 0 || rest[0].Kind() != kind || rest[0].P != p {
			return nil
		}
		t := rest[0].Transform
		rest = rest[1:]
		return t
	}
	if _, ok := next("flip", 0.5).(Flip); ok {
		s.Flip = device.FlipRandom
	} else if _, ok := next("alternating-flip", 1).(AlternatingFlip); ok {
		s.Flip = device.FlipAlternating
	}
	if t, ok := next("shift", 1).(Shift); ok {
		if t.Border != "reflect" || t.Max >= min(h, w) {
			return Short{}, false
		}
		s.Crop = t.Max
	}
	if t, ok := next("cutout", 1).(Cutout); ok {
		if t.Size > min(h, w) {
			return Short{}, false
		}
		s.Cutout = t.Size
	}
	if len(rest) > 0 {
		return Short{}, false
	}
	return s, true
}
