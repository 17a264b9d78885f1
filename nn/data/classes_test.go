package data

import (
	"errors"
	"slices"
	"testing"
)

// unlabelled is a set that returns labels only together with images.
type unlabelled struct {
	Set
	fail bool
}

func (u unlabelled) Read(i int, dst []byte) (int32, error) {
	if u.fail {
		return 0, errors.New("broken")
	}
	return u.Set.Read(i, dst)
}

func (u unlabelled) Weight(i int) float32 { return float32(i) }

func TestClassCounts(t *testing.T) {
	set := &InMemory{H: 1, W: 1, C: 1, ClassNames: []string{"a", "b", "c"}, Images: make([]byte, 6), Labels: []int32{2, 0, 2, 2, -100, 3}}
	for name, c := range map[string]struct {
		set  Set
		want []int
	}{
		"in memory":    {set, []int{1, 0, 3}},
		"subset":       {Subset(set, []int{0, 1, 1}), []int{2, 0, 1}},
		"images":       {unlabelled{Set: set}, []int{1, 0, 3}},
		"of images":    {Subset(unlabelled{Set: set}, []int{3}), []int{0, 0, 1}},
		"first images": {Limit(set, 1), []int{0, 0, 1}},
	} {
		if got, err := ClassCounts(c.set); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, %v, want %v", name, got, err, c.want)
		}
	}
	if _, err := ClassCounts(unlabelled{set, true}); err == nil {
		t.Error("no error from a set that can't be read")
	}
}

func TestWeights(t *testing.T) {
	set := &InMemory{H: 1, W: 1, C: 1, ClassNames: []string{"a"}, Images: make([]byte, 4), Labels: make([]int32, 4)}
	if Weights(set) != nil || Weights(Subset(set, []int{1})) != nil {
		t.Error("a set without weights has some")
	}
	if w := Weights(Subset(Subset(unlabelled{Set: set}, []int{3, 1}), []int{1, 0})); w(0) != 1 || w(1) != 3 {
		t.Errorf("weights of a subset: %v, %v, want 1, 3", w(0), w(1))
	}
}
