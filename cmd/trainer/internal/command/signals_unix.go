//go:build unix

package command

import (
	"os"
	"syscall"
)

// stopSignals are the signals that ask to stop cleanly.
func stopSignals() []os.Signal { return []os.Signal{os.Interrupt, syscall.SIGTERM} }
