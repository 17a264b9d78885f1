package data

import (
	"fmt"
	"slices"
	"strings"
)

// findClasses adds what the names and the numbers of images of the classes show.
func (e *Examination) findClasses() {
	train := e.Parts[0].PerClass
	for class, n := range train {
		if n < fewImages {
			e.addClass(SmallClass, "class %q has %d training images", e.Classes[class], n)
		}
	}
	smallest, largest := slices.Min(train), slices.Max(train)
	if smallest > 0 && largest > imbalance*smallest {
		e.addClass(Imbalanced, "the largest class has %d training images, the smallest %d: data.balance or class-weights = \"balanced\" in [loss] makes up for it", largest, smallest)
	}
	for _, part := range e.Parts {
		if part.Name != "test" {
			continue
		}
		for class, n := range part.PerClass {
			if n == 0 {
				e.addClass(UntestedClass, "class %q has no test images", e.Classes[class])
			}
		}
	}
	byName := map[string]string{}
	for _, class := range e.Classes {
		plain := plainName(class)
		if before, isKnown := byName[plain]; isKnown {
			e.addClass(SimilarNames, "the classes %q and %q differ only in case, spaces, hyphens or underscores", before, class)
		}
		byName[plain] = class
	}
}

func (e *Examination) addClass(kind FindingKind, format string, args ...any) {
	e.Findings = append(e.Findings, Finding{Kind: kind, Text: fmt.Sprintf(format, args...)})
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
