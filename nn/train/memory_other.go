//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package train

// PeakMemory returns the most bytes that the process has had in memory at once. ok is false
// where the system doesn't tell, as here.
func PeakMemory() (bytes int64, ok bool) { return 0, false }
