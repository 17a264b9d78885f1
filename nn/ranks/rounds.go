package ranks

import "trainer/nn/device"

// What is sent is packed, which takes as much memory again. Sums and copies of large tensors are therefore made in rounds, in each of
// which a rank packs at most roundElements: memory that does not grow with the network. It needs a device whose tensors can be cut
// (device.Slicer); of any other, everything is packed at once.

// roundElements is the largest number of elements that a rank owns in a round: 4 MiB, long enough for the time of a message to be
// that of its bytes.
const roundElements = 1 << 20

// cut divides tensors, one after the other, into lists of at most so many elements. The cuts depend on the tensors' lengths alone, so
// they are the same on all ranks.
func cut(memory device.Memory, tensors []*device.Tensor, most int) (rounds [][]*device.Tensor) {
	slicer, ok := memory.(device.Slicer)
	if !ok {
		return [][]*device.Tensor{tensors}
	}
	most = max(most/device.SliceAlignment, 1) * device.SliceAlignment
	var round []*device.Tensor
	room := most
	for _, t := range tensors {
		for from := 0; from < t.Len(); {
			n := min(room, t.Len()-from)
			if from+n < t.Len() { // the next slice begins there
				n = n / device.SliceAlignment * device.SliceAlignment
			}
			if n > 0 {
				round = append(round, sliceOf(slicer, t, from, n))
				room -= n
				from += n
			}
			if from < t.Len() {
				rounds, round, room = append(rounds, round), nil, most
			}
		}
	}
	if len(round) > 0 || len(rounds) == 0 {
		rounds = append(rounds, round)
	}
	return rounds
}

// sliceOf returns a part of a tensor, or the tensor if the part is all of it.
func sliceOf(s device.Slicer, t *device.Tensor, from, n int) *device.Tensor {
	if n == t.Len() {
		return t
	}
	return s.Slice(t, from, n)
}

// lengthOf returns the number of elements of all tensors.
func lengthOf(tensors []*device.Tensor) (n int) {
	for _, t := range tensors {
		n += t.Len()
	}
	return n
}

// packed calls f for each tensor with its place in x.
func packed(tensors []*device.Tensor, x []byte, f func(t *device.Tensor, x []byte) error) error {
	at := 0
	for _, t := range tensors {
		n := t.Len() * t.DType().Size()
		if err := f(t, x[at:at+n]); err != nil {
			return err
		}
		at += n
	}
	return nil
}
