package augment

import "trainer/nn/device"

// Random yields the random numbers for one image, one epoch and one transform, and holds what else the transform may
// need to know about the image. Its words are those of device.Random for (seed, StreamAugment.Sub(place+1), epoch,
// block*2^32 + number), as many as needed, without any state from one image to the next.
type Random struct {
	H, W  int    // size of the images, in pixels
	Epoch uint32 // from 0

	seed   uint64
	stream device.Stream
	number uint32 // index of the image in the data set
	block  uint32 // the next one
	words  [4]uint32
	used   int
}

// begin sets r to the random numbers for a transform, given by its place in the list, and an image.
func (r *Random) begin(place int, epoch, number uint32) {
	r.stream = device.StreamAugment.Sub(place + 1)
	r.Epoch, r.number = epoch, number
	r.block, r.used = 0, len(r.words)
}

// Word returns the next 32 random bits.
func (r *Random) Word() uint32 {
	if r.used == len(r.words) {
		r.words[0], r.words[1], r.words[2], r.words[3] = device.Random(r.seed, r.stream, r.Epoch, uint64(r.block)<<32|uint64(r.number))
		r.block++
		r.used = 0
	}
	r.used++
	return r.words[r.used-1]
}

// Constant returns a word that is the same in every epoch.
func (r *Random) Constant() uint32 {
	const block = 1<<32 - 1 // a block that Word doesn't reach
	word, _, _, _ := device.Random(r.seed, r.stream, 0, block<<32|uint64(r.number))
	return word
}

// Uniform returns a number in [low, high).
func (r *Random) Uniform(low, high float64) float64 {
	return low + (high-low)*float64(device.Uniform(r.Word()))
}

// Below returns an integer in [0, n).
func (r *Random) Below(n int) int { return device.Below(r.Word(), n) }

// Between returns an integer in [low, high].
func (r *Random) Between(low, high int) int { return low + r.Below(high-low+1) }
