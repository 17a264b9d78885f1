// Package reference computes every operation of package device by its formula, in float64 and in plain loops:
// one file per operation. It is written to be read, not to be fast.
//
// It has two uses. Tests compare every device with it: beside a value, a reference gives the bound of what rounding to float32 may
// change (Sums), and package devicetest checks against it. And it stands in for what a device lacks: Operations makes a plan of
// each loop, on any device that can copy to and from its memory.
//
// A reference shares nothing with an implementation, so that the two can't be wrong in the same way.
package reference
