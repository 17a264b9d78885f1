package data

import "slices"

// autoSizes are the sizes among which Options.AutoSize chooses; all can be halved five times.
var autoSizes = []int{64, 96, 128, 160, 192, MaxAutoSize}

// MaxAutoSize is the largest size that Options.AutoSize chooses.
const MaxAutoSize = 224

// sizeFor returns the largest of the sizes that at least half of the pictures have without being enlarged, or the smallest:
// it compares with the median of their shorter sides, which a few very large or small pictures don't change.
func sizeFor(p *parts) [2]int {
	var sides []int
	for _, images := range p.all() {
		for _, im := range *images {
			sides = append(sides, min(im.info.h, im.info.w))
		}
	}
	slices.Sort(sides)
	median := sides[len(sides)/2]
	size := autoSizes[0]
	for _, s := range autoSizes {
		if s <= median {
			size = s
		}
	}
	return [2]int{size, size}
}
