package kernels

import "strings"

// Activation returns the kernels of the activation that a device.Function names; ok is false if there are none.
func Activation(name string) (forward, backward Family, ok bool) {
	name = entry(name)
	forward, backward = Family("activation_"+name+"_forward"), Family("activation_"+name+"_backward")
	return forward, backward, has(forward) && has(backward)
}

// BatchNormActivation returns the kernels of batch normalisation that apply an activation; ok is false if there are
// none.
func BatchNormActivation(name string) (normalize, sums, backward Family, ok bool) {
	suffix := Family("_" + entry(name))
	normalize, sums, backward = BatchNormNormalize+suffix, BatchNormSums+suffix, BatchNormBackward+suffix
	return normalize, sums, backward, has(normalize) && has(sums) && has(backward)
}

// BatchNormUnpool returns the kernels of the backward pass of batch normalisation with an activation, of those that
// BatchNormActivation has, behind a max pooling.
func BatchNormUnpool(name string) Family { return Family("batchnorm_unpool_" + entry(name)) }

// entry is a function's name as that of its kernels has it.
func entry(name string) string { return strings.ReplaceAll(name, "-", "_") }

// has reports whether a family has kernels.
func has(f Family) bool {
	_, _, ok := find(f.In(Float32))
	return ok
}
