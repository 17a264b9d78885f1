// Package reference computes every operation of package device from its formula, in float64 and in plain loops, with
// one file per operation. It is written to be read, not to be fast.
//
// It has two uses. Tests compare every device with it: together with each value, a reference gives a bound on the
// change by rounding to float32 (Sums), and package devicetest checks results against that bound. And it replaces
// operations that a device lacks: Operations makes plans from the loops, on any device that can copy to and from its
// memory.
//
// A reference shares no code with an implementation, so the two can't be wrong in the same way.
package reference
