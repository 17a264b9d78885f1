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
