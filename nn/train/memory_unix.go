//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package train

import (
	"runtime"
	"syscall"
)

// PeakMemory returns the largest number of bytes that the process has had in memory at
// once. ok is false if the system doesn't report it.
func PeakMemory() (bytes int64, ok bool) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0, false
	}
	if runtime.GOOS == "darwin" {
		return int64(usage.Maxrss), true
	}
	return int64(usage.Maxrss) * 1024, true
}
