package data

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// ClassFindings returns what the names and the numbers of images of the classes show, without reading images if the labels
// are known otherwise.
func (d *Dataset) ClassFindings(ctx context.Context) ([]Finding, error) {
	var parts []ExaminedSet
	for k, set := range []Set{d.Train, d.Val, d.Test} {
		if set == nil || set.Len() == 0 {
			continue
		}
		labels, err := labelsOf(ctx, set)
		if err != nil {
			return nil, err
		}
		counts := make([]int, len(set.Classes()))
		for _, label := range labels {
			counts[label]++
		}
		parts = append(parts, ExaminedSet{[]string{"train", "val", "test"}[k], len(labels), counts})
	}
	return classFindings(d.Train.Classes(), parts), nil
}

// classFindings returns the findings about classes, whose images parts counts, that of the training images first.
func classFindings(classes []string, parts []ExaminedSet) []Finding {
	var found []Finding
	add := func(kind FindingKind, format string, args ...any) {
		found = append(found, Finding{Kind: kind, Text: fmt.Sprintf(format, args...)})
	}
	train := parts[0].PerClass
	for class, n := range train {
		if n < fewImages {
			add(SmallClass, "class %q has %d training images", classes[class], n)
		}
	}
	smallest, largest := slices.Min(train), slices.Max(train)
	if smallest > 0 && largest > imbalance*smallest {
		add(Imbalanced, "the largest class has %d training images, the smallest %d: data.balance or class-weights = \"balanced\" in [loss] makes up for it", largest, smallest)
	}
	for _, part := range parts {
		if part.Name != "test" {
			continue
		}
		for class, n := range part.PerClass {
			if n == 0 {
				add(UntestedClass, "class %q has no test images", classes[class])
			}
		}
	}
	byName := map[string]string{}
	for _, class := range classes {
		plain := plainName(class)
		if before, isKnown := byName[plain]; isKnown {
			add(SimilarNames, "the classes %q and %q differ only in case, spaces, hyphens or underscores", before, class)
		}
		byName[plain] = class
	}
	return found
}

// plainName returns a name without what people mistype: case, spaces, hyphens and underscores.
func plainName(name string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(" -_\t\u00a0", r) {
			return -1
		}
		return r
	}, strings.ToLower(name))
}
