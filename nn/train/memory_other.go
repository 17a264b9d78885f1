//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package train

// PeakMemory returns the largest number of bytes that the process has had in memory at
// once. ok is false if the system doesn't report it, as on this one.
func PeakMemory() (bytes int64, ok bool) { return 0, false }
