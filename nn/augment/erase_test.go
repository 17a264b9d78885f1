package augment

import "testing"

func TestErase(t *testing.T) {
	x := picture(3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)
	want(t, "erased", operated(erase, x, x, 1, 0, 2, 2), 1, 1, 1, 0.5, 0.5, 1, 0.5, 0.5, 1)
}

// Squares lie within the image, at all places; a square larger than the image covers it.
func TestCutout(t *testing.T) {
	places := map[int]int{}
	for number := range uint32(500) {
		y := applied(Cutout{Size: 2}, picture(3, 4, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1), number, 0)
		first, count := -1, 0
		for i, v := range y.Pix {
			if v == 0.5 {
				if first < 0 {
					first = i
				}
				count++
			}
		}
		places[first]++
		if count != 4 {
			t.Fatalf("%d pixels erased", count)
		}
	}
	if len(places) != 6 {
		t.Errorf("%d places, want 6", len(places))
	}
	want(t, "all of it", applied(Cutout{Size: 9}, picture(1, 2, 1, 0, 1), 0, 0), 0.5, 0.5)
}

// Rectangles lie within the image and have the requested share of its area.
func TestErasing(t *testing.T) {
	for number := range uint32(300) {
		x := picture(100, 100, 1, make([]float64, 10000)...)
		y, count := applied(Erasing{MinArea: 0.1, MaxArea: 0.2}, x, number, 0), 0
		for _, v := range y.Pix {
			if v == 0.5 {
				count++
			}
		}
		if count < 950 || count > 2050 {
			t.Fatalf("%d of 10000 pixels erased", count)
		}
	}
}
