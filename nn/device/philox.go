package device

import "math/bits"

// Philox4x32 is the counter-based generator Philox4x32-10 of Salmon, Moraes, Dror
// and Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011: four random
// words from a 64-bit key and a 128-bit counter, without any state.
//
// One round multiplies two of the counter's words and mixes in the key:
//
//	(hi0, lo0) = 0xD2511F53 * c0      (hi1, lo1) = 0xCD9E8D57 * c2
//	c0, c1, c2, c3 = hi1^c1^k0, lo1, hi0^c3^k1, lo0
//
// and between rounds the key advances by the Weyl constants 0x9E3779B9, 0xBB67AE85.
func Philox4x32(k0, k1, c0, c1, c2, c3 uint32) (uint32, uint32, uint32, uint32) {
	for round := 0; round < 10; round++ {
		hi0, lo0 := bits.Mul32(0xD2511F53, c0)
		hi1, lo1 := bits.Mul32(0xCD9E8D57, c2)
		c0, c1, c2, c3 = hi1^c1^k0, lo1, hi0^c3^k1, lo0
		k0 += 0x9E3779B9
		k1 += 0xBB67AE85
	}
	return c0, c1, c2, c3
}

// Stream separates the uses of one seed.
type Stream uint32

// The streams. A layer or parameter adds its own index in the upper 24 bits; see
// Stream.Sub.
const (
	StreamInit    Stream = 1 // initial weights
	StreamShuffle Stream = 2 // order of the images
	StreamAugment Stream = 3 // augmentation; the transforms of a list have Sub(1), Sub(2) and so on
	StreamDropout Stream = 4 // dropout masks
	StreamSplit   Stream = 5 // images held out of the training set
	StreamSearch  Stream = 6 // settings that a search tries
)

// Sub returns the i-th stream of its kind, 0 <= i < 1<<24.
func (s Stream) Sub(i int) Stream { return s | Stream(i)<<8 }

// Random returns the four words of (seed, stream, step, block): the counter is (block,
// step, stream, block's upper half). Element i of a sequence of words is word i%4 of block
// i/4. This definition holds on every device.
func Random(seed uint64, stream Stream, step uint32, block uint64) (uint32, uint32, uint32, uint32) {
	return Philox4x32(uint32(seed), uint32(seed>>32), uint32(block), step, uint32(stream), uint32(block>>32))
}

// RandomWord returns word i of (seed, stream, step).
func RandomWord(seed uint64, stream Stream, step uint32, i uint64) uint32 {
	a, b, c, d := Random(seed, stream, step, i/4)
	switch i % 4 {
	case 0:
		return a
	case 1:
		return b
	case 2:
		return c
	}
	return d
}

// Uniform maps a random word to [0, 1): its upper 24 bits times 2^-24, exact in
// float32.
func Uniform(word uint32) float32 { return float32(word>>8) * (1.0 / (1 << 24)) }

// Below maps a random word to an integer in [0, n) by taking the upper half of
// word*n (Lemire 2016, without the rejection step: the bias is below n * 2^-32).
func Below(word uint32, n int) int { return int(uint64(word) * uint64(n) >> 32) }
