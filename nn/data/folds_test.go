package data

import (
	"bytes"
	"context"
	"path/filepath"
	"slices"
	"testing"
)

// numbered is a set whose image i is the number i, with these labels.
func numbered(labels ...int32) *InMemory {
	s := &InMemory{Name: "numbered", H: 1, W: 1, C: 1, ClassNames: []string{"a", "b", "c"}, Labels: labels}
	for i := range labels {
		s.Images = append(s.Images, byte(i))
		s.Files = append(s.Files, ImageFile{Name: string(rune('a' + i))})
	}
	return s
}

// hidden is a set whose type is unknown to this package.
type hidden struct{ Set }

func TestFoldsDivideTheImages(t *testing.T) {
	train := numbered(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 2, 2, 2)
	val := Limit(train, 5)
	for name, d := range map[string]*Dataset{
		"memory": {Train: train}, "with val": {Train: train, Val: val}, "joined": {Train: hidden{train}, Val: hidden{val}}, "subset": {Train: Subset(train, []int{3, 1, 5, 12, 18, 7, 9}), Test: val},
	} {
		all := pixelsOf(t, join(d.Train, d.Val))
		for _, k := range []int{2, 3, 5} {
			seen := map[string]int{}
			counts := make([][3]int, k)
			for fold := range k {
				one, err := d.Fold(context.Background(), fold, k, 7)
				if err != nil {
					t.Fatal(err)
				}
				if one.Test != d.Test {
					t.Errorf("%s: the test set was changed", name)
				}
				if n := one.Train.Len() + one.Val.Len(); n != len(all)/2 {
					t.Errorf("%s: fold %d of %d has %d images, want %d", name, fold, k, n, len(all)/2)
				}
				held := pixelsOf(t, one.Val)
				for pair := range slices.Chunk(held, 2) {
					seen[string(pair)]++
					counts[fold][pair[0]]++
				}
				rest := pixelsOf(t, one.Train)
				both := slices.Collect(slices.Chunk(slices.Concat(held, rest), 2))
				want := slices.Collect(slices.Chunk(all, 2))
				slices.SortFunc(both, bytes.Compare)
				slices.SortFunc(want, bytes.Compare)
				if !bytes.Equal(slices.Concat(both...), slices.Concat(want...)) {
					t.Errorf("%s: fold %d of %d and the rest are not all images", name, fold, k)
				}
			}
			total := 0
			for _, n := range seen {
				total += n
			}
			if total != len(all)/2 {
				t.Errorf("%s: %d images in %d folds, want %d", name, total, k, len(all)/2)
			}
			for class := range 3 {
				var n []int
				for fold := range k {
					n = append(n, counts[fold][class])
				}
				if slices.Max(n)-slices.Min(n) > 1 {
					t.Errorf("%s: class %d has %v images in the folds", name, class, n)
				}
			}
		}
	}
}

func TestFoldsDependOnTheSeed(t *testing.T) {
	d := &Dataset{Train: numbered(0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1)}
	fold := func(seed uint64) []byte {
		one, err := d.Fold(context.Background(), 0, 3, seed)
		if err != nil {
			t.Fatal(err)
		}
		return pixelsOf(t, one.Val)
	}
	if !bytes.Equal(fold(1), fold(1)) || bytes.Equal(fold(1), fold(2)) {
		t.Errorf("seed 1: %v and %v, seed 2: %v", fold(1), fold(1), fold(2))
	}
}

func TestMoreFoldsThanImages(t *testing.T) {
	d := &Dataset{Train: numbered(0, 1)}
	if _, err := d.Fold(context.Background(), 0, 3, 0); err == nil {
		t.Error("3 folds of 2 images")
	}
}

func TestJoinedKnowsItsFiles(t *testing.T) {
	a, b := numbered(0, 1), numbered(2, 0, 1)
	for name, set := range map[string]Set{"memory": join(a, b), "joined": join(a, Subset(b, []int{0, 1, 2}))} {
		file := fileOf(set, 3).Name
		if set.Len() != 5 || file != "b" {
			t.Errorf("%s: %d images, the fourth is file %q", name, set.Len(), file)
		}
		if labels, err := labelsOf(context.Background(), set); err != nil || !slices.Equal(labels, []int32{0, 1, 2, 0, 1}) {
			t.Errorf("%s: labels %v, %v", name, labels, err)
		}
	}
}

func TestNoTestKeepsAllImages(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "photos")
	writeClass(t, filepath.Join(dir, "a"), 5, 10)
	writeClass(t, filepath.Join(dir, "b"), 5, 110)
	if d := openFolderT(t, dir, Options{NoTest: true}); d.Test != nil || d.Train.Len() != 10 {
		t.Errorf("test %v, %d training images", d.Test, d.Train.Len())
	}
}
