//go:build cuda && linux && cgo && (amd64 || arm64)

package cuda

/*
#include "calls.h"

// The configuration of a communicator whose calls never block: the ways to end a call that another rank never answers are
// to ask for the state, and to abort.
static ncclResult_t shim_communicator(ncclComm_t *comm, int ranks, const char *id, int rank) {
	const int undefined = (int)0x80000000;
	ncclConfig_t config = {sizeof config, 0xcafebeef, 21800, 0, undefined, undefined, undefined, NULL, undefined};
	ncclUniqueId unique;
	for (int i = 0; i < NCCL_UNIQUE_ID_BYTES; i++)
		unique.internal[i] = id[i];
	return ncclCommInitRankConfig(comm, ranks, unique, rank, &config);
}

// shim_sum sums tensors over the ranks, in place, in the order that NCCL chooses.
static ncclResult_t shim_sum(ncclComm_t comm, const address *tensors, const size_t *lengths, int count, CUstream stream) {
	ncclResult_t first = ncclGroupStart(), r;
	for (int i = 0; i < count && first == ncclSuccess; i++) {
		r = ncclAllReduce((void *)tensors[i], (void *)tensors[i], lengths[i], ncclFloat32, ncclSum, comm, stream);
		if (r != ncclSuccess && r != ncclInProgress)
			first = r;
	}
	r = ncclGroupEnd();
	return first != ncclSuccess ? first : r;
}

// shim_exchange sends part p of from, which has so many numbers per part, to rank p, and stores what rank p sends in part p
// of to; nothing is sent to this rank.
static ncclResult_t shim_exchange(ncclComm_t comm, int rank, int ranks, address from, address to, size_t part, CUstream stream) {
	ncclResult_t first = ncclGroupStart(), r;
	for (int p = 0; p < ranks && first == ncclSuccess; p++) {
		if (p == rank)
			continue;
		r = ncclSend((void *)(from + p * part * sizeof(float)), part, ncclFloat32, p, comm, stream);
		if (r == ncclSuccess || r == ncclInProgress)
			r = ncclRecv((void *)(to + p * part * sizeof(float)), part, ncclFloat32, p, comm, stream);
		if (r != ncclSuccess && r != ncclInProgress)
			first = r;
	}
	r = ncclGroupEnd();
	return first != ncclSuccess ? first : r;
}

// shim_broadcast copies each tensor from the rank that has it to all.
static ncclResult_t shim_broadcast(ncclComm_t comm, const address *tensors, const size_t *bytes, const int *roots, int count, CUstream stream) {
	ncclResult_t first = ncclGroupStart(), r;
	for (int i = 0; i < count && first == ncclSuccess; i++) {
		r = ncclBroadcast((void *)tensors[i], (void *)tensors[i], bytes[i], ncclUint8, roots[i], comm, stream);
		if (r != ncclSuccess && r != ncclInProgress)
			first = r;
	}
	r = ncclGroupEnd();
	return first != ncclSuccess ? first : r;
}

static ncclResult_t shim_gather(ncclComm_t comm, address from, address to, size_t part, CUstream stream) {
	return ncclAllGather((void *)from, (void *)to, part, ncclFloat32, comm, stream);
}
*/
import "C"

import (
	"sync"
	"unsafe"

	"gorgonia.org/cu"
)

// UniqueIDBytes is the length of the identifier by which ranks find each other.
const UniqueIDBytes = C.NCCL_UNIQUE_ID_BYTES

// NeedNCCL loads NCCL if it isn't loaded, and returns a *LoadError if it can't be.
func NeedNCCL() error { return nccl.need() }

// NewUniqueID loads NCCL if it isn't loaded, and returns the identifier of a new communicator, which rank 0 gives to all. NCCL
// listens for the ranks from then on, until they are connected.
func NewUniqueID() ([]byte, error) {
	if err := nccl.need(); err != nil {
		return nil, err
	}
	var id C.ncclUniqueId
	if err := ncclError("starting NCCL", nil, C.ncclGetUniqueId(&id)); err != nil {
		return nil, err
	}
	return C.GoBytes(unsafe.Pointer(&id), UniqueIDBytes), nil
}

// Communicator is a rank's connection to the others, on the GPU of the current context. Its calls don't block: State tells
// when what they began is done. All methods except Abort are called by one goroutine at a time.
type Communicator struct {
	rank, size int

	mutex   sync.Mutex // of what follows; Abort may be called by any goroutine
	comm    C.ncclComm_t
	aborted bool
}

// NewCommunicator loads NCCL if it isn't loaded, and begins to connect this rank with the others: State tells when it is.
func NewCommunicator(id []byte, rank, size int) (*Communicator, error) {
	if err := nccl.need(); err != nil {
		return nil, err
	}
	const doing = "connecting the GPUs"
	c := &Communicator{rank: rank, size: size}
	if len(id) != UniqueIDBytes {
		return nil, newError(NCCL, "", doing, int(C.ncclInvalidArgument), "the identifier has another length")
	}
	status := C.shim_communicator(&c.comm, C.int(size), (*C.char)(unsafe.Pointer(unsafe.SliceData(id))), C.int(rank))
	if err := c.begun(doing, status); err != nil {
		return nil, err
	}
	return c, nil
}

// begun returns the error of a call, unless it has begun something or has done it.
func (c *Communicator) begun(doing string, status C.ncclResult_t) error {
	if status == C.ncclInProgress {
		return nil
	}
	return ncclError(doing, c.comm, status)
}

// call makes a call that begins something, unless the communicator is gone.
func (c *Communicator) call(doing string, f func() C.ncclResult_t) error {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.aborted {
		return newError(NCCL, "", doing, int(C.ncclRemoteError), "the ranks were disconnected")
	}
	return c.begun(doing, f())
}

// State returns whether what was begun is done, or the error that a rank or the network had meanwhile. Work that is done
// has been queued on its stream.
func (c *Communicator) State() (done bool, err error) {
	const doing = "asking for the state of the ranks"
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.aborted {
		return true, newError(NCCL, "", doing, int(C.ncclRemoteError), "the ranks were disconnected")
	}
	var state C.ncclResult_t
	if err := ncclError(doing, c.comm, C.ncclCommGetAsyncError(c.comm, &state)); err != nil {
		return true, err
	}
	if state == C.ncclInProgress {
		return false, nil
	}
	return true, ncclError("connecting the GPUs", c.comm, state)
}

// Sum begins to replace each tensor by its sum over the ranks, in an order that NCCL chooses. The tensors are given by the
// addresses and numbers of their float32 elements.
func (c *Communicator) Sum(tensors []uintptr, lengths []uint, s cu.Stream) error {
	if len(tensors) == 0 {
		return nil
	}
	return c.call("summing over the ranks", func() C.ncclResult_t {
		return C.shim_sum(c.comm, (*C.address)(unsafe.Pointer(unsafe.SliceData(tensors))),
			(*C.size_t)(unsafe.Pointer(unsafe.SliceData(lengths))), C.int(len(tensors)), streamHandle(s))
	})
}

// Exchange begins to send part p of from to every other rank p, and to store what it sends in part p of to. A part has so
// many float32 elements.
func (c *Communicator) Exchange(to, from cu.DevicePtr, part int, s cu.Stream) error {
	return c.call("exchanging data between the ranks", func() C.ncclResult_t {
		return C.shim_exchange(c.comm, C.int(c.rank), C.int(c.size), C.address(from), C.address(to), C.size_t(part), streamHandle(s))
	})
}

// Gather begins to collect a part of every rank, in their order, in to. from may be this rank's place in to.
func (c *Communicator) Gather(to, from cu.DevicePtr, part int, s cu.Stream) error {
	return c.call("collecting data of the ranks", func() C.ncclResult_t {
		return C.shim_gather(c.comm, C.address(from), C.address(to), C.size_t(part), streamHandle(s))
	})
}

// Broadcast begins to copy each tensor, of so many bytes, from the rank that has it to the same tensor of all others.
func (c *Communicator) Broadcast(tensors []uintptr, bytes []uint, roots []int32, s cu.Stream) error {
	if len(tensors) == 0 {
		return nil
	}
	return c.call("copying to all ranks", func() C.ncclResult_t {
		return C.shim_broadcast(c.comm, (*C.address)(unsafe.Pointer(unsafe.SliceData(tensors))), (*C.size_t)(unsafe.Pointer(unsafe.SliceData(bytes))),
			(*C.int)(unsafe.Pointer(unsafe.SliceData(roots))), C.int(len(tensors)), streamHandle(s))
	})
}

// Finalize begins to end the connections, once what was begun is done on all ranks: State tells when.
func (c *Communicator) Finalize() error {
	return c.call("leaving the ranks", func() C.ncclResult_t { return C.ncclCommFinalize(c.comm) })
}

// Destroy frees the communicator, after Finalize. It does nothing after Abort.
func (c *Communicator) Destroy() error {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.aborted {
		return nil
	}
	c.aborted = true
	return ncclError("leaving the ranks", nil, C.ncclCommDestroy(c.comm))
}

// Abort ends the connections at once, and what is in progress on the GPU with them, whose results are then undefined. It
// frees the communicator. It may be called while another goroutine waits for the stream.
func (c *Communicator) Abort() error {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.aborted {
		return nil
	}
	c.aborted = true
	return ncclError("disconnecting the ranks", nil, C.ncclCommAbort(c.comm))
}

// Aborted reports whether the communicator is gone.
func (c *Communicator) Aborted() bool {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.aborted
}

// ncclError returns nil for success, and otherwise an *Error with what NCCL says about it.
func ncclError(doing string, comm C.ncclComm_t, status C.ncclResult_t) error {
	if status == C.ncclSuccess {
		return nil
	}
	err := lastFailure(doing, nccl, int(status))
	if e, ok := err.(*Error); ok && e.Detail == "" {
		if text := C.ncclGetLastError(comm); text != nil {
			e.Detail = oneLine(C.GoString(text))
		}
	}
	return err
}
