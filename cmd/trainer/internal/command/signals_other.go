//go:build !unix

package command

import "os"

// stopSignals are the signals that ask to stop cleanly.
func stopSignals() []os.Signal { return []os.Signal{os.Interrupt} }

// survivePipes does nothing: a write to a closed pipe returns an error here.
func survivePipes() (restore func()) { return func() {} }
