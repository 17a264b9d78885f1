package recipe

import (
	"trainer/nn/augment"
	"trainer/nn/device"
	"trainer/nn/setting"
	"trainer/nn/train"
)

// readAugment reads the table [augment]: mean and std, and the augmentation of training images, in the short form
// (flip, crop, cutout) or as a list of transforms.
func (s *section) readAugment() train.Augment {
	defer s.finish()
	var a train.Augment
	var l setting.List
	l.Float32s(&a.Mean, "mean", setting.ZeroToOne, "mean of each channel")
	l.Float32s(&a.Std, "std", setting.Positive, "standard deviation of each channel")
	l.Int(&a.Crop, "crop", 0, setting.AtLeast(0), "largest shift of an image, in pixels")
	l.Int(&a.Cutout, "cutout", 0, setting.AtLeast(0), "size of a square that is erased")
	setting.Choice(&l, &a.Flip, "flip", []setting.Option[device.FlipMode]{
		{Name: "none", Value: device.FlipNone}, {Name: "random", Value: device.FlipRandom}, {Name: "alternating", Value: device.FlipAlternating},
	}, "mirror images")
	s.read(&l)
	if len(a.Mean) != len(a.Std) {
		s.fail("std", "%d values, but mean has %d: want one per channel", len(a.Std), len(a.Mean))
	}
	list, _ := s.subs("transform")
	for _, sub := range list {
		if item, ok := sub.readTransform(); ok {
			a.Transforms = append(a.Transforms, item)
		}
	}
	for _, short := range [][2]string{{"flip", "flip or alternating-flip"}, {"crop", "shift"}, {"cutout", "cutout"}} {
		if len(list) > 0 && s.has(short[0]) {
			s.fail(short[0], "beside a list of transforms: write it as the transform %s", short[1])
		}
	}
	return a
}

// readTransform reads one table [[augment.transform]]: its kind, the kind's settings and p.
func (s *section) readTransform() (augment.Item, bool) {
	defer s.finish()
	t, ok := readKind(s, "kind", s.kinds.Transforms)
	if !ok {
		return augment.Item{}, false
	}
	item := augment.Item{Transform: t}
	var l setting.List
	l.Float64(&item.P, "p", 0, setting.AboveZeroToOne, "probability that it is applied to an image")
	s.read(&l)
	return item, true
}
