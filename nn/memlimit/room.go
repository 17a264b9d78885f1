package memlimit

import (
	"runtime"
	"runtime/metrics"
)

// reserve returns what is left of free memory for the runtime, stacks, buffers on the host and everything else that
// doesn't ask.
func reserve(free int64) int64 { return 32<<20 + max(0, free)/16 }

// Room returns the number of bytes that Go's heap can still grow by. It counts memory that has been allocated but never
// written, which the system doesn't count yet. ok is false where Available's is.
func Room() (bytes int64, ok bool) {
	bytes, ok = room(heap())
	return max(0, bytes-reserve(bytes)), ok
}

// Check returns how much room there is and whether bytes fit. If they don't, it collects garbage and looks again. Where
// the system doesn't say, everything fits.
func Check(bytes int64) (free int64, fits bool) {
	free, ok := Room()
	if ok && bytes > free {
		runtime.GC()
		free, ok = Room()
	}
	return free, !ok || bytes <= free
}

// heap returns the bytes of the heap's objects, dead ones included.
func heap() int64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64())
}
