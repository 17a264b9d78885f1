package device

import (
	"context"
	"slices"
	"strings"
)

// Kind is a kind of device, for programs that let a user choose the device. Each package that implements devices has a
// function Kind; a program lists the kinds that it offers, preferred kinds first.
type Kind struct {
	Name     string // the name of the device, such as "cpu", or the part of the name before the number: "cuda" for "cuda:1"
	Doc      string // a description of its devices, such as "NVIDIA GPU"
	Numbered bool   // a machine may have several of its devices, numbered from 0

	Precisions []Precision // the precisions that its devices may support, without Auto
	// Refused maps each program flag that the kind's devices don't support to the reason.
	Refused map[string]string

	// Open returns the device with the given number, which is 0 if the kind isn't Numbered.
	Open func(index int, o Options) (Device, error)
	// Count returns the number of devices of a kind that is Numbered. It is nil for other kinds.
	Count func() (int, error)
	// Connect connects a device of this kind with those of other ranks, which call it together; messages connects the ranks
	// already. The sums of tensors are then the devices' own. If ctx is cancelled, the connections end, and with them what waits for
	// another rank; the device then has a fault, with the cause of ctx as its error. It is nil for a kind whose tensors are summed on the host
	// (package nn/ranks).
	Connect func(ctx context.Context, dev Device, messages Collective, o ConnectOptions) (Collective, error)
	// Describe returns a line about the kind in this program and on this machine. It must be quick, and so doesn't open
	// a GPU.
	Describe func(o Options) (string, error)
	// Remedy returns what to do about an error of the kind's devices, as a clause such as "update the driver", or "" if
	// the error already says so or no remedy is known.
	Remedy func(err error) string
	// Advice says, as a clause, where to find out more if no device can be opened, or is "".
	Advice string
}

// Options are a user's choices for a device. A kind ignores options that don't apply to its devices.
type Options struct {
	Threads       int       // number of threads on the CPU; 0 for the default
	Instructions  string    // name of an instruction set; "" for the best available
	Precision     Precision // Auto for the device's choice
	Deterministic bool      // only algorithms that give the same bits every time
	Autotune      bool      // time the available algorithms and use the fastest
}

// Has reports whether the kind's devices may support a precision.
func (k Kind) Has(p Precision) bool { return slices.Contains(k.Precisions, p) }

// KindName returns the name of the kind of a named device, such as "cuda" for "cuda:1".
func KindName(device string) string {
	name, _, _ := strings.Cut(device, ":")
	return name
}
