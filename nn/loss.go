package nn

import "trainer/nn/device"

// Loss is what training minimises.
type Loss interface {
	// Kind is the name that recipes use.
	Kind() string
	spec(n, classes int) (device.LossSpec, error)
}
