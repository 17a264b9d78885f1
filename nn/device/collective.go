package device

import "time"

// Collective connects processes that train one network together, the ranks: each has a device of its own, and they are
// numbered from 0. It is optional: whoever trains with several ranks passes one to package train. Every rank must make
// the same calls in the same order; a call returns when this rank's part is done, and waits for the other ranks where it
// needs their data. An error of a call is final.
//
// Package nn/ranks has one for any device whose tensors can be copied to the host; package devicetest says what an
// implementation must satisfy.
type Collective interface {
	// Rank returns the number of this process, and Size the number of all.
	Rank() int
	Size() int
	// NewAllReduce returns a plan of sums over all ranks.
	NewAllReduce(AllReduceSpec) (AllReduce, error)
	// Broadcast copies data of the rank root to data of all others, which has the same length.
	Broadcast(data []byte, root int) error
	// Gather returns the data of every rank, in the order of the ranks. Each may have another length.
	Gather(data []byte) ([][]byte, error)
	// Barrier returns when all ranks have called it.
	Barrier() error
}

// AllReduceSpec is a sum over the ranks of each element of some tensors, in place:
//
//	x = sum_r x_r
//
// Floating-point addition is not associative, so that the order is fixed: neighbours are added in pairs, the results
// again, and so on; a last one without a neighbour goes up as it is. For five ranks:
//
//	((x_0 + x_1) + (x_2 + x_3)) + x_4
//
// If each rank has computed its own x_r as such a sum over the same power of two of terms, the result therefore has the
// same bits at any number of ranks.
type AllReduceSpec struct {
	Tensors []*Tensor // float32; of the same lengths on every rank
}

// AllReduce is the plan of an AllReduceSpec. After Run all ranks have the same bits. It allocates nothing.
type AllReduce interface {
	Run() error
}

// OverlappedAllReduce is an AllReduce of a device that can sum while it does other work: Start begins the sums when what is queued
// so far is done, and what is queued after Finish begins when the sums are done. In between nothing may use the tensors. Start and
// Finish are called in pairs; both can be part of a recorded step, together.
type OverlappedAllReduce interface {
	AllReduce
	Start() error
	Finish() error
}

// ConnectOptions say how connected devices watch each other.
type ConnectOptions struct {
	// Patience is how long this process may wait for its device while a sum over the ranks is in progress, before Stuck is told; 0 for
	// ever.
	Patience time.Duration
	// Stuck is called by another goroutine, at most once.
	Stuck func(Stuck)
}

// Stuck says what is known of a sum over the ranks that doesn't end.
type Stuck struct {
	Sums    uint64 // over the ranks that this process has queued
	Reached bool   // the device has done what was queued before the last sum
}
