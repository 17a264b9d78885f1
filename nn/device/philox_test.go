package device_test

import (
	"math"
	"testing"

	"trainer/nn/device"
)

// TestPhiloxKnownAnswers checks against the vectors for philox4x32-10 that Random123, the
// authors' library, publishes in tests/kat_vectors.
func TestPhiloxKnownAnswers(t *testing.T) {
	const ones = 0xFFFFFFFF
	for _, c := range []struct {
		key     [2]uint32
		counter [4]uint32
		want    [4]uint32
	}{
		{
			[2]uint32{0, 0}, [4]uint32{0, 0, 0, 0},
			[4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
		},
		{
			[2]uint32{ones, ones}, [4]uint32{ones, ones, ones, ones},
			[4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
		},
		{
			[2]uint32{0xa4093822, 0x299f31d0}, [4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
			[4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1},
		},
	} {
		a, b, d, e := device.Philox4x32(c.key[0], c.key[1], c.counter[0], c.counter[1], c.counter[2], c.counter[3])
		if got := [4]uint32{a, b, d, e}; got != c.want {
			t.Errorf("Philox4x32(%x, %x) is %08x, want %08x", c.key, c.counter, got, c.want)
		}
	}
}

func TestRandomPlacesItsArguments(t *testing.T) {
	const seed, stream, step, block = 0x299f31d0a4093822, 0x13198a2e, 0x85a308d3, 0x03707344243f6a88
	want := [4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}
	a, b, c, d := device.Random(seed, stream, step, block)
	if got := [4]uint32{a, b, c, d}; got != want {
		t.Errorf("Random is %08x, want %08x", got, want)
	}
}

func TestRandomWordCountsThroughBlocks(t *testing.T) {
	for block := uint64(0); block < 3; block++ {
		a, b, c, d := device.Random(5, device.StreamInit, 9, block)
		for i, want := range []uint32{a, b, c, d} {
			if got := device.RandomWord(5, device.StreamInit, 9, 4*block+uint64(i)); got != want {
				t.Errorf("word %d is %08x, want %08x", 4*block+uint64(i), got, want)
			}
		}
	}
}

func TestSubStreamsDiffer(t *testing.T) {
	seen := map[device.Stream]bool{}
	for _, s := range []device.Stream{device.StreamInit, device.StreamShuffle, device.StreamAugment, device.StreamDropout, device.StreamSplit} {
		for _, i := range []int{0, 1, 255, 256, 1<<24 - 1} {
			if sub := s.Sub(i); seen[sub] {
				t.Errorf("stream %d.Sub(%d) is used twice", s, i)
			}
			seen[s.Sub(i)] = true
		}
	}
}

func TestUniform(t *testing.T) {
	for word, want := range map[uint32]float32{0: 0, 0xFF: 0, 0x100: 0x1p-24, 0x80000000: 0.5, 0xFFFFFFFF: 1 - 0x1p-24} {
		if got := device.Uniform(word); got != want {
			t.Errorf("Uniform(%#x) is %v, want %v", word, got, want)
		}
	}
	const n = 100000
	sum := 0.0
	for i := uint64(0); i < n; i++ {
		sum += float64(device.Uniform(device.RandomWord(1, device.StreamInit, 0, i)))
	}
	// The mean of n uniform numbers has the standard deviation 1/sqrt(12 n).
	if mean := sum / n; math.Abs(mean-0.5) > 5/math.Sqrt(12*n) {
		t.Errorf("the mean of %d numbers is %v", n, mean)
	}
}

func TestBelow(t *testing.T) {
	for _, c := range []struct {
		word    uint32
		n, want int
	}{
		{0, 1, 0}, {0xFFFFFFFF, 1, 0}, {0, 10, 0}, {0xFFFFFFFF, 10, 9}, {0x7FFFFFFF, 2, 0}, {0x80000000, 2, 1},
		{0xFFFFFFFF, math.MaxInt32, math.MaxInt32 - 1},
	} {
		if got := device.Below(c.word, c.n); got != c.want {
			t.Errorf("Below(%#x, %d) is %d, want %d", c.word, c.n, got, c.want)
		}
	}
	const n, bins = 70000, 7
	var counts [bins]int
	for i := uint64(0); i < n; i++ {
		counts[device.Below(device.RandomWord(2, device.StreamShuffle, 0, i), bins)]++
	}
	chi2 := 0.0
	for _, c := range counts {
		d := float64(c) - n/bins
		chi2 += d * d / (n / bins)
	}
	// With 6 degrees of freedom, 22.5 is exceeded with probability 1/1000.
	if chi2 > 22.5 {
		t.Errorf("chi squared is %v for the counts %v", chi2, counts)
	}
}
