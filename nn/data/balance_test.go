package data

import (
	"slices"
	"testing"
)

func TestBalance(t *testing.T) {
	set := &InMemory{H: 1, W: 1, C: 1, ClassNames: []string{"a", "none", "b", "c"}}
	for i := range 17 {
		set.Images = append(set.Images, byte(i))
		set.Labels = append(set.Labels, []int32{0, 2, 3}[min(i/3, 1)+min(i/15, 1)])
	} // 3 of a, 12 of b, 2 of c
	balanced, err := Balance(t.Context(), set, 1)
	if err != nil {
		t.Fatal(err)
	}
	counts, err := ClassCounts(balanced)
	if err != nil || !slices.Equal(counts, []int{12, 0, 12, 12}) {
		t.Errorf("counts %v, %v", counts, err)
	}
	shown := make([]int, 17)
	var pixel [1]byte
	for i := range balanced.Len() {
		if _, err := balanced.Read(i, pixel[:]); err != nil {
			t.Fatal(err)
		}
		shown[pixel[0]]++
		if i < 17 && int(pixel[0]) != i {
			t.Errorf("image %d is %d", i, pixel[0])
		}
	}
	if want := slices.Concat([]int{4, 4, 4}, slices.Repeat([]int{1}, 12), []int{6, 6}); !slices.Equal(shown, want) {
		t.Errorf("shown %v times, want %v", shown, want)
	}
	if again, err := Balance(t.Context(), balanced, 2); err != nil || again != balanced {
		t.Errorf("a balanced set has %d images, %v", again.Len(), err)
	}
}
