package devicetest

import (
	"hash/fnv"

	"trainer/nn/device"
)

// source yields the suite's inputs: Philox keyed by the hash of a name, so that a case has
// the same data on every device, whatever runs before it.
type source struct {
	seed  uint64
	next  uint64
	block [4]uint32 // of next, once its first word was taken
}

func newSource(name string) *source {
	h := fnv.New64a()
	h.Write([]byte(name))
	return &source{seed: h.Sum64()}
}

func (s *source) word() uint32 {
	i := s.next % 4
	if i == 0 {
		s.block[0], s.block[1], s.block[2], s.block[3] = device.Random(s.seed, 0, 0, s.next/4)
	}
	s.next++
	return s.block[i]
}

// values returns n numbers in [-1, 1).
func (s *source) values(n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = 2*device.Uniform(s.word()) - 1
	}
	return v
}

// between returns n numbers in [low, high).
func (s *source) between(n int, low, high float32) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = low + (high-low)*device.Uniform(s.word())
	}
	return v
}

// coarse returns n multiples of 1/2 in [-1, 1], among which many are equal.
func (s *source) coarse(n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(s.below(5)-2) / 2
	}
	return v
}

// below returns an integer in [0, n).
func (s *source) below(n int) int { return device.Below(s.word(), n) }

// labels returns n integers in [0, classes).
func (s *source) labels(n, classes int) []int32 {
	v := make([]int32, n)
	for i := range v {
		v[i] = int32(s.below(classes))
	}
	return v
}

// pixels returns n bytes.
func (s *source) pixels(n int) []uint8 {
	v := make([]uint8, n)
	for i := range v {
		v[i] = uint8(s.below(256))
	}
	return v
}
