//go:build !linux

package command

import "runtime"

// processors returns the number of processors that this process may use: the number of all is not known.
func processors() int { return runtime.NumCPU() }
