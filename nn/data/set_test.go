package data

import (
	"math"
	"testing"
)

func TestSubsetAndLimit(t *testing.T) {
	set := numberedSet(300)
	sub := Subset(set, []int{299, 5, 5, 0})
	pixels := make([]byte, 4)
	for i, want := range []int{299, 5, 5, 0} {
		label, err := sub.Read(i, pixels)
		if err != nil || label != int32(want%10) || pixels[0] != byte(want) || pixels[1] != byte(want>>8) {
			t.Errorf("image %d: label %d, %v, %v", i, label, pixels, err)
		}
	}
	if sub.Len() != 4 {
		t.Errorf("%d images", sub.Len())
	}
	if Limit(set, 300) != Set(set) || Limit(sub, 9) != sub {
		t.Error("a limit that isn't one makes a new set")
	}
	short, ok := Limit(set, 7).(*InMemory)
	if !ok || short.Len() != 7 || len(short.Images) != 28 || set.Len() != 300 {
		t.Errorf("%d images in memory: %v", short.Len(), ok)
	}
	two := Limit(sub, 2)
	if label, _ := two.Read(1, pixels); two.Len() != 2 || label != 5 {
		t.Errorf("%d images, label %d", two.Len(), label)
	}
	mustPanic(t, "index out of range", func() { Subset(set, []int{300}) })
	mustPanic(t, "negative limit", func() { Limit(set, -1) })
}

func TestMeanStd(t *testing.T) {
	// Channel 0: 0, 51, 102, 255 -> mean 102, mean of squares (2601 + 10404 + 65025)/4 = 19507.5,
	// variance 9103.5. Channel 1 never varies.
	set := &InMemory{H: 1, W: 2, C: 2, Images: []byte{0, 51, 51, 51, 102, 51, 255, 51}, Labels: []int32{0, 0}}
	mean, std, err := MeanStd(set)
	if err != nil {
		t.Fatal(err)
	}
	want := []float32{102. / 255, 51. / 255, float32(math.Sqrt(9103.5) / 255), 0}
	for i, got := range append(mean, std...) {
		if got != want[i] {
			t.Errorf("%d: got %v, want %v", i, got, want[i])
		}
	}
	if _, _, err := MeanStd(numberedSet(0)); err == nil {
		t.Error("an empty set: no error")
	}
	if _, _, err := MeanStd(&slowSet{InMemory: numberedSet(9), bad: 4}); err == nil {
		t.Error("an unreadable image: no error")
	}
}
