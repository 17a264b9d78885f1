package device

import (
	"errors"
	"time"
)

// ErrAwaited is an error of a rank that has waited for others in vain: theirs say why.
var ErrAwaited = errors.New("the other ranks did not answer")

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
	// NewAllGather returns a plan of copies to all ranks.
	NewAllGather(AllGatherSpec) (AllGather, error)
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

// AllReduce is the plan of an AllReduceSpec. After Run, or Start and Wait, all ranks have the same bits. It allocates nothing.
//
// Between Start and Wait a sum is under way beside the device's work: package train starts the sums of a layer's gradients
// while the backward pass of the layers before is still running. A collective on the host copies the tensors in Start, and
// sends and adds in a goroutine. A GPU's (such as one over NCCL) queues its kernels on a stream of their own: Start makes that
// stream wait for what the device's queue holds so far, and Wait makes the queue wait for that stream, so that neither
// blocks the host.
type AllReduce interface {
	// Run is Start and Wait.
	Run() error
	// Start begins a sum of what the tensors hold when the work queued so far is done. Until Wait, the tensors must not be
	// used. Several plans may be under way at once; every rank starts and awaits them in the same order, and uses nothing
	// else of the Collective until the last one has been awaited.
	Start()
	// Wait ends the sum that was started: work queued later finds the sums in the tensors. A fault of work that was only
	// queued is returned as the device returns those of other work.
	Wait() error
	// Recordable reports whether Start and Wait only queue work of the device, so that a Capturer can record them in a step.
	Recordable() bool
}

// AllGatherSpec copies tensors to all ranks: Tensors[r] are those that rank r has, which all others receive in place.
type AllGatherSpec struct {
	Tensors [][]*Tensor // [ranks], of any type; of the same lengths on every rank
}

// AllGather is the plan of an AllGatherSpec. It allocates nothing.
type AllGather interface {
	Run() error
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
