package data

import (
	"context"
	"fmt"
	"slices"

	"trainer/nn/device"
)

// foldStream makes the choice of folds independent of the other choices of images.
const foldStream = 3 << 20

// Fold returns the data set of one of k trainings of a k-fold cross-validation, fold being 0 to k-1: the images for
// training and for validation are divided into k folds; Val is the chosen one and Train are the others, in the order that
// they had. Test is d's. Every class is dealt out to the folds in the order of a shuffle of (seed, device.StreamSplit,
// class), so that the folds have equally many images of a class, but for one, and of all classes. The error is ctx's, says
// which image can't be read, or says that there are fewer images than folds.
func (d *Dataset) Fold(ctx context.Context, fold, k int, seed uint64) (*Dataset, error) {
	if k < 2 || fold < 0 || fold >= k {
		panic(fmt.Sprintf("data: Fold %d of %d: want 0 to k-1, and at least 2", fold, k))
	}
	all := join(d.Train, d.Val)
	if all.Len() < k {
		return nil, &FormatError{d.Source, -1, fmt.Sprintf("at least %d images for %d folds", k, k), fmt.Sprint(all.Len())}
	}
	labels, err := labelsOf(ctx, all)
	if err != nil {
		return nil, err
	}
	rest, held := dealt(labels, len(all.Classes()), fold, k, seed)
	one := *d
	one.Train, one.Val = pick(all, rest), pick(all, held)
	return &one, nil
}

// dealt returns the indices of the images outside and inside a fold, both in order. Each class goes on with the fold
// where the class before ended.
func dealt(labels []int32, classes, fold, k int, seed uint64) (rest, held []int) {
	byClass := make([][]int, classes)
	for i, label := range labels {
		byClass[label] = append(byClass[label], i)
	}
	next := 0
	for class, images := range byClass {
		order := make([]int32, len(images))
		permute(order, seed, device.StreamSplit, foldStream+uint32(class))
		for _, at := range order {
			if next == fold {
				held = append(held, images[at])
			} else {
				rest = append(rest, images[at])
			}
			next = (next + 1) % k
		}
	}
	slices.Sort(rest)
	slices.Sort(held)
	return rest, held
}

// joined holds the images of two sets of one size, one after the other.
type joined struct {
	Set
	second Set
}

// join returns the images of a and b. b may be nil.
func join(a, b Set) Set {
	if b == nil || b.Len() == 0 {
		return a
	}
	x, isA := a.(*InMemory)
	y, isB := b.(*InMemory)
	if !isA || !isB || (x.Files == nil) != (y.Files == nil) {
		return &joined{a, b}
	}
	both := *x
	both.Images = slices.Concat(x.Images, y.Images)
	both.Labels = slices.Concat(x.Labels, y.Labels)
	both.Files = slices.Concat(x.Files, y.Files)
	return &both
}

func (j *joined) Len() int { return j.Set.Len() + j.second.Len() }

// at returns the set that image i is in, and its index there.
func (j *joined) at(i int) (Set, int) {
	if n := j.Set.Len(); i >= n {
		return j.second, i - n
	}
	return j.Set, i
}

func (j *joined) Read(i int, dst []byte) (int32, error) {
	set, k := j.at(i)
	return set.Read(k, dst)
}
