package main

import (
	"strconv"

	"trainer/nn/data"
)

// classes is the number of classes of synthetic images.
const classes = 10

// synthetic returns n images of noise, the same as synthetic.py's: byte i is the highest of
// a mixed i, and image i has the label i mod 10.
func synthetic(n, h, w, c int) *data.InMemory {
	s := &data.InMemory{
		Name: "synthetic", H: h, W: w, C: c, ClassNames: make([]string, classes),
		Images: make([]byte, n*h*w*c), Labels: make([]int32, n),
	}
	for i := range s.ClassNames {
		s.ClassNames[i] = strconv.Itoa(i)
	}
	for i := range s.Images {
		s.Images[i] = noise(uint32(i))
	}
	for i := range s.Labels {
		s.Labels[i] = int32(i % classes)
	}
	return s
}

// noise mixes the bits of x, by the finaliser of MurmurHash3, and returns the highest eight.
func noise(x uint32) byte {
	x ^= x >> 16
	x *= 0x85ebca6b
	x ^= x >> 13
	x *= 0xc2b2ae35
	x ^= x >> 16
	return byte(x >> 24)
}
