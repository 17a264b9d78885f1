package devicetest

import (
	"math"

	"trainer/nn/device"
)

// reflect continues [0, n) by reflection without repeating the edge: -1 is 1, n is n-2.
func reflect(i, n int) int {
	if i < 0 {
		return -i
	}
	if i >= n {
		return 2*(n-1) - i
	}
	return i
}

// change is what the augmentation does to one image.
type change struct {
	dy, dx    int
	mirror    bool
	top, left int // of the cutout square
	cutout    int // its side
}

// refChange draws the change of image id in an epoch, as AugmentSpec defines it.
func refChange(s device.AugmentSpec, id, epoch int32) change {
	word0, word1, word2, _ := device.Random(s.Seed, device.StreamAugment, uint32(epoch), 2*uint64(id))
	top, left, _, _ := device.Random(s.Seed, device.StreamAugment, uint32(epoch), 2*uint64(id)+1)
	once, _, _, _ := device.Random(s.Seed, device.StreamAugment, 0, 2*uint64(id))
	c := change{
		dy:     device.Below(word1, 2*s.Crop+1) - s.Crop,
		dx:     device.Below(word2, 2*s.Crop+1) - s.Crop,
		top:    device.Below(top, s.H-s.Cutout+1),
		left:   device.Below(left, s.W-s.Cutout+1),
		cutout: s.Cutout,
	}
	switch s.Flip {
	case device.FlipRandom:
		c.mirror = word0>>31 == 1
	case device.FlipAlternating:
		c.mirror = (once>>31+uint32(epoch))%2 == 1
	}
	return c
}

// refAugment writes image x [H,W,C], changed and normalised, to y from element at on.
func refAugment(s device.AugmentSpec, y sums, at int, x []uint8, c change) {
	for i := 0; i < s.H; i++ {
		for j := 0; j < s.W; j++ {
			row, col := reflect(i+c.dy, s.H), reflect(j+c.dx, s.W)
			if c.mirror {
				col = s.W - 1 - col
			}
			cut := i >= c.top && i < c.top+c.cutout && j >= c.left && j < c.left+c.cutout
			for k := 0; k < s.C; k++ {
				to := at + (i*s.W+j)*s.C + k
				if cut {
					y.set(to, 0, 0)
					continue
				}
				pixel := float64(x[(row*s.W+col)*s.C+k]) / 255
				mean, std := float64(s.Mean[k]), float64(s.Std[k])
				y.set(to, (pixel-mean)/std, (pixel+math.Abs(mean))/std)
			}
		}
	}
}
