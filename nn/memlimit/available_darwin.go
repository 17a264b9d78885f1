package memlimit

import (
	"math"

	"golang.org/x/sys/unix"
)

// available returns the machine's memory: macOS compresses and swaps, and reports nothing better without cgo.
func available() (int64, bool) {
	n, err := unix.SysctlUint64("hw.memsize")
	return int64(min(n, math.MaxInt64)), err == nil
}

func room(heap int64) (int64, bool) {
	all, ok := available()
	return all - heap, ok
}
