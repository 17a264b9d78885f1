// Package device is the boundary between the network code (package nn) and the machines
// that compute: it holds data types, tensors, the operations that a device offers as plans,
// and the errors that they return. It computes nothing itself except the counter-based
// random generator, which every device must reproduce bit for bit.
//
// # Layout
//
// Activations are NHWC: [n, h, w, c]. Convolution filters are
// [outC, kH, kW, inC/groups]. Dense weights are [in, out]. Labels are int32
// [n]. There is no broadcasting and there are no strides: a tensor is a shape,
// a dtype and a buffer.
//
// # Plans
//
// dev.NewConv2D(spec) checks the geometry once, chooses an algorithm, owns its workspace,
// and returns an object whose methods run the operation. The spec's N is the largest batch;
// the tensors given to a method may have any leading dimension from 1 to N (see
// Tensor.SetRows), the same for all of them. Methods take the destination first and
// allocate nothing. Unless a method says otherwise, destinations are overwritten
// completely, and must not overlap the sources.
//
// Methods are called from one goroutine at a time per device.
//
// # Errors
//
// A programmer's mistake (shapes that don't match, an invalid spec) panics with the operation and the shapes. A failure
// of the environment is an error. If the work is done during the call, the call returns the error; otherwise the next
// Sync or Download and every later call return it.
package device
