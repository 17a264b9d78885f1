package data_test

import (
	"testing"

	"trainer/nn/data"
)

// A resized image is the mean over the pixels that become one, weighted by their distance; each channel by itself.
func TestResized(t *testing.T) {
	set := &data.InMemory{H: 4, W: 4, C: 2, ClassNames: []string{"a", "b"}, Labels: []int32{1}, Images: make([]byte, 32)}
	for i := range 16 {
		set.Images[2*i], set.Images[2*i+1] = 200, byte(10*(i%4)) // a constant channel, and one that grows from left to right
	}
	small := data.Resized(set, 2, 2)
	if h, w, c := small.ImageShape(); h != 2 || w != 2 || c != 2 || small.Len() != 1 {
		t.Fatalf("the images are %d of %dx%dx%d, want 1 of 2x2x2", small.Len(), h, w, c)
	}
	got := make([]byte, 8)
	label, err := small.Read(0, got)
	if err != nil || label != 1 {
		t.Fatalf("Read gives the label %d, %v, want 1", label, err)
	}
	// Column 0 is made from the columns at the distances -1/2, 1/2 and 3/2 of its centre at 1: weights 3/4, 3/4, 1/4.
	want := []byte{200, 7, 200, 23, 200, 7, 200, 23} // (0*3 + 10*3 + 20)/7 = 7.1 and (10 + 20*3 + 30*3)/7 = 22.9
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("the image is %v, want %v", got, want)
		}
	}
	if data.Resized(set, 4, 4) != data.Set(set) {
		t.Error("the same size makes another set")
	}
}

func TestResizedAllocatesNothing(t *testing.T) {
	set := &data.InMemory{H: 4, W: 4, C: 2, ClassNames: []string{"a", "b"}, Labels: []int32{1}, Images: make([]byte, 32)}
	small, image := data.Resized(set, 2, 2), make([]byte, 8)
	if n := testing.AllocsPerRun(100, func() { _, _ = small.Read(0, image) }); n > 0 {
		t.Errorf("Read allocates %v times", n)
	}
}
