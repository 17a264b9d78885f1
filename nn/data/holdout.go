package data

import (
	"context"
	"fmt"
	"slices"
)

// valStream makes the choice of validation images independent of the choice of test images.
const valStream = 1 << 20

// HoldOut moves round(fraction * n) images of each class of d.Train to d.Val, at least one and at most n-1, so that
// epochs are scored on images that are neither trained on nor in the test set. A shuffle of (seed, device.StreamSplit,
// class) selects them; the order of the others is unchanged. d must not have a validation set, and 0 < fraction < 1.
// The error is ctx's, or says which image can't be read.
func (d *Dataset) HoldOut(ctx context.Context, fraction float64, seed uint64) error {
	if d.Val != nil || !(fraction > 0 && fraction < 1) {
		panic(fmt.Sprintf("data: HoldOut of %v: want 0 to 1, both excluded, and a data set without a validation set", fraction))
	}
	labels, err := labelsOf(ctx, d.Train)
	if err != nil {
		return err
	}
	train, val := stratify(labels, len(d.Train.Classes()), fraction, seed, valStream)
	d.Train, d.Val = pick(d.Train, train), pick(d.Train, val)
	return nil
}

// stratify chooses round(fraction * n) images of each class, at least one and at most n-1: a shuffle of (seed,
// device.StreamSplit, stream + class) decides which. It returns the indices of the others and of the chosen ones, both
// in order.
func stratify(labels []int32, classes int, fraction float64, seed uint64, stream uint32) (rest, held []int) {
	byClass := make([][]int, classes)
	for i, label := range labels {
		byClass[label] = append(byClass[label], i)
	}
	for class, images := range byClass {
		if len(images) == 0 {
			continue
		}
		isHeld := heldOut(len(images), fraction, seed, stream+uint32(class))
		for k, i := range images {
			if isHeld[k] {
				held = append(held, i)
			} else {
				rest = append(rest, i)
			}
		}
	}
	slices.Sort(rest)
	slices.Sort(held)
	return rest, held
}

// labeled is a set that knows its labels without reading the images.
type labeled interface{ labels() []int32 }

func (s *InMemory) labels() []int32 { return s.Labels }

func (s *folderSet) labels() []int32 {
	all := make([]int32, len(s.images))
	for i := range s.images {
		all[i] = s.images[i].label
	}
	return all
}

// knownLabels returns the label of every image if the set knows them without reading images.
func knownLabels(set Set) ([]int32, bool) {
	switch s := set.(type) {
	case labeled:
		return s.labels(), true
	case *subset:
		base, ok := knownLabels(s.Set)
		if !ok {
			return nil, false
		}
		all := make([]int32, len(s.indices))
		for k, i := range s.indices {
			all[k] = base[i]
		}
		return all, true
	case *joined:
		first, ok := knownLabels(s.Set)
		second, isKnown := knownLabels(s.second)
		return slices.Concat(first, second), ok && isKnown
	}
	return nil, false
}

// labelsOf returns the label of every image. It reads the images only if the set doesn't know the labels.
func labelsOf(ctx context.Context, set Set) ([]int32, error) {
	if known, ok := knownLabels(set); ok {
		return known, nil
	}
	h, w, c := set.ImageShape()
	pixels := make([]byte, h*w*c)
	all := make([]int32, set.Len())
	for i := range all {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		label, err := set.Read(i, pixels)
		if err != nil {
			return nil, fmt.Errorf("image %d: %w", i, err)
		}
		all[i] = label
	}
	return all, nil
}

// pick returns the chosen images of a set. From an InMemory it returns an InMemory.
func pick(set Set, indices []int) Set {
	m, ok := set.(*InMemory)
	if !ok {
		return Subset(set, indices)
	}
	size := m.H * m.W * m.C
	part := *m
	part.Images, part.Labels, part.Files = make([]byte, 0, len(indices)*size), make([]int32, 0, len(indices)), nil
	for _, i := range indices {
		part.Images = append(part.Images, m.Images[i*size:(i+1)*size]...)
		part.Labels = append(part.Labels, m.Labels[i])
		if m.Files != nil {
			part.Files = append(part.Files, m.Files[i])
		}
	}
	return &part
}
