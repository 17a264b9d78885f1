package augment

import "testing"

func TestSolarize(t *testing.T) {
	x := picture(1, 3, 1, 127.0/255, 128.0/255, 1)
	want(t, "solarized", operated(solarize, x, x, 128), 127.0/255, 127.0/255, 0)
	wantRange(t, drawn(Solarize{Min: 100}, 2000), 100, 255)
}
