package device

import (
	"slices"
	"strings"
)

// Kind is a kind of device, for programs that let a user choose the device. Each package of devices has a function Kind;
// a program puts the kinds that it offers in a list, the preferred ones first.
type Kind struct {
	Name     string // the name of its device, such as "cpu", or the part before the number, as in "cuda:1"
	Doc      string // what its devices are, such as "NVIDIA GPU"
	Numbered bool   // a machine may have several of its devices, numbered from 0

	Precisions []Precision // those that its devices may have; Auto is not among them
	// Refused has the flags of the program that ask for something that the kind's devices don't have, with the reason.
	Refused map[string]string

	// Open returns the device of a number, which is 0 if the kind isn't Numbered.
	Open func(index int, o Options) (Device, error)
	// Describe returns a line about the kind in this program and on this machine. It must be quick, and so doesn't open
	// a GPU.
	Describe func(o Options) (string, error)
	// Remedy returns what to do about an error of the kind's devices, as a clause such as "update the driver", or "" if
	// the error says it or nothing is known.
	Remedy func(err error) string
	// Advice says, as a clause, where to find out more if no device can be opened; "" if nowhere.
	Advice string
}

// Options are what a user may ask of a device. A kind takes those that mean something for its devices.
type Options struct {
	Threads       int       // of a device that computes in threads; 0 for its default
	Instructions  string    // name of an instruction set; "" for the best
	Precision     Precision // Auto for the device's choice
	Deterministic bool      // only algorithms that give the same bits every time
	Autotune      bool      // time the algorithms, and take the fastest
}

// Has reports whether the kind's devices may have a precision.
func (k Kind) Has(p Precision) bool { return slices.Contains(k.Precisions, p) }

// KindName returns the kind of the device with a name, such as "cuda" for "cuda:1".
func KindName(device string) string {
	name, _, _ := strings.Cut(device, ":")
	return name
}
