//go:build !(cuda && linux && cgo)

package cudasim

import "errors"

// A build without the tag cuda loads no CUDA library into its own process, so these functions
// have nothing to control. For processes that a test starts, use Environment.

// Findings returns nothing in this build.
func Findings() []string { return nil }

// Clear does nothing in this build.
func Clear() {}

// Configure fails in this build.
func Configure(string) error {
	return errors.New("this build loads no CUDA library: settings go to other processes, through Environment")
}

// Disarm does nothing in this build.
func Disarm() {}

// Reset does nothing in this build.
func Reset() {}

// Record does nothing in this build.
func Record(string) {}

// Records returns nothing in this build.
func Records() []string { return nil }

// Calls returns 0 in this build.
func Calls(string) uint64 { return 0 }

// KeepJournal does nothing in this build.
func KeepJournal() {}

// Journal returns nothing in this build.
func Journal() []Work { return nil }
