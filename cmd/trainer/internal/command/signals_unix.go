//go:build unix

package command

import (
	"os"
	"os/signal"
	"syscall"
)

// stopSignals are the signals that ask to stop cleanly. The end of a terminal is one of them, except for a program that was
// started to survive it, with nohup.
func stopSignals() []os.Signal {
	list := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		list = append(list, syscall.SIGHUP)
	}
	return list
}

// survivePipes lets a write to a closed pipe return an error, where otherwise it ends the program if the pipe is stdout or
// stderr. restore undoes it.
func survivePipes() (restore func()) {
	nobody := make(chan os.Signal, 1)
	signal.Notify(nobody, syscall.SIGPIPE)
	return func() { signal.Stop(nobody) }
}
