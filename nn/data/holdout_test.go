package data

import (
	"context"
	"path/filepath"
	"slices"
	"testing"
)

// heldSet returns n images of each class; the pixel of image i of class c is 10*c+i.
func heldSet(perClass ...int) *InMemory {
	s := &InMemory{H: 1, W: 1, C: 1, ClassNames: make([]string, len(perClass))}
	for i := range slices.Max(perClass) { // classes alternate
		for class, n := range perClass {
			if i < n {
				s.Images, s.Labels = append(s.Images, byte(100*class+i)), append(s.Labels, int32(class))
			}
		}
	}
	return s
}

// opaque hides all methods of a set except those of Set.
type opaque struct{ Set }

func TestHoldOut(t *testing.T) {
	var first []byte
	for name, set := range map[string]Set{"in memory": heldSet(20, 10, 1), "any set": opaque{heldSet(20, 10, 1)}} {
		d := &Dataset{Train: set}
		if err := d.HoldOut(context.Background(), 0.2, 7); err != nil {
			t.Fatal(err)
		}
		val := readAll(t, d.Val)
		if len(val) != 4+2 || d.Train.Len() != 16+8+1 {
			t.Errorf("%s: %d training and %d validation images, want 25 and 6", name, d.Train.Len(), len(val))
		}
		all := append(slices.Clone(val), readAll(t, d.Train)...)
		slices.Sort(all)
		if len(slices.Compact(all)) != 31 {
			t.Errorf("%s: the parts overlap", name)
		}
		if _, ok := d.Train.(*InMemory); ok != (name == "in memory") {
			t.Errorf("%s: the rest is a %T", name, d.Train)
		}
		if first == nil {
			first = val
		} else if !slices.Equal(first, val) {
			t.Errorf("%s holds out %v, another form of the set %v", name, val, first)
		}
	}
	other := &Dataset{Train: heldSet(20, 10, 1)}
	if err := other.HoldOut(context.Background(), 0.2, 8); err != nil || slices.Equal(readAll(t, other.Val), first) {
		t.Errorf("another seed holds out the same images (%v)", err)
	}
}

// readAll returns the only pixel of every image.
func readAll(t *testing.T, set Set) []byte {
	t.Helper()
	all := make([]byte, set.Len())
	for i := range all {
		if _, err := set.Read(i, all[i:i+1]); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// The validation images differ from the images that would be held out as the test set.
func TestHoldOutOfAFolder(t *testing.T) {
	dir := t.TempDir()
	writeClass(t, filepath.Join(dir, "a"), 20, 0)
	writeClass(t, filepath.Join(dir, "b"), 20, 100)
	for _, memory := range []int64{0, 1} {
		d := openFolderT(t, dir, Options{MaxMemory: memory, Seed: 3})
		if err := d.HoldOut(context.Background(), 0.25, 3); err != nil {
			t.Fatal(err)
		}
		if d.Train.Len() != 24 || d.Val.Len() != 8 || d.Test.Len() != 8 {
			t.Errorf("%d, %d and %d images, want 24, 8 and 8", d.Train.Len(), d.Val.Len(), d.Test.Len())
		}
	}
}
