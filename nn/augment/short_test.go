package augment

import (
	"testing"

	"trainer/nn/device"
)

func TestShort(t *testing.T) {
	is := func(t ...Transform) (l List) {
		for _, x := range t {
			l = append(l, Item{Transform: x})
		}
		return l
	}
	for _, c := range []struct {
		list List
		want Short
		ok   bool
	}{
		{nil, Short{}, true},
		{is(Flip{}), Short{Flip: device.FlipRandom}, true},
		{is(AlternatingFlip{}, Shift{Max: 2}, Cutout{Size: 8}), Short{device.FlipAlternating, 2, 8}, true},
		{is(Shift{Max: 2, Border: "reflect"}), Short{Crop: 2}, true},
		{is(Cutout{}), Short{Cutout: 8}, true},
		{is(Shift{Max: 2}, Flip{}), Short{}, false},
		{is(Flip{}, AlternatingFlip{}), Short{}, false},
		{is(Shift{Max: 2, Border: "zeros"}), Short{}, false},
		{is(Shift{Max: 10}), Short{}, false},
		{is(Cutout{Size: 11}), Short{}, false},
		{is(Flip{}, Hue{}), Short{}, false},
		{List{{Flip{}, 0.3}}, Short{}, false},
		{List{{Cutout{}, 0.5}}, Short{}, false},
	} {
		if got, ok := c.list.Short(10, 12); got != c.want || ok != c.ok {
			t.Errorf("%+v: %+v, %v, want %+v, %v", c.list, got, ok, c.want, c.ok)
		}
	}
}
