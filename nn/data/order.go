package data

import "trainer/nn/device"

// Order fills order with the order in which an epoch goes through a set of len(order) images: a
// permutation of 0 ... n-1 that depends only on (seed, epoch), so that a run can be resumed at
// any batch without any state.
//
// It is the Fisher-Yates shuffle in Durstenfeld's form (Algorithm 235, CACM 1964):
//
//	for i = n-1 ... 1:  swap order[i], order[j],  j = Below(RandomWord(seed, StreamShuffle, epoch, i), i+1)
func Order(order []int32, seed uint64, epoch int) {
	permute(order, seed, device.StreamShuffle, uint32(epoch))
}

func permute(order []int32, seed uint64, stream device.Stream, step uint32) {
	for i := range order {
		order[i] = int32(i)
	}
	var words [4]uint32 // the words of block i/4
	for i := len(order) - 1; i > 0; i-- {
		if i%4 == 3 || i == len(order)-1 {
			words[0], words[1], words[2], words[3] = device.Random(seed, stream, step, uint64(i/4))
		}
		j := device.Below(words[i%4], i+1)
		order[i], order[j] = order[j], order[i]
	}
}
