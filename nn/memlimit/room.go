package memlimit

import (
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// reserve returns what is left of free memory for the runtime, stacks, buffers on the host and everything else that
// doesn't ask.
func reserve(free int64) int64 { return 32<<20 + max(0, free)/16 }

// Room returns the number of bytes that Go's heap can still grow by. It counts memory that has been allocated but never
// written, which the system doesn't count yet, and the limit in the environment variable GOMEMLIMIT, if there is one. ok is
// false if neither the system nor the variable sets a limit.
func Room() (bytes int64, ok bool) {
	used := heap()
	bytes, ok = room(used)
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 && (!ok || limit-used < bytes) {
		bytes, ok = limit-used, true
	}
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
