// Package guard gives tests memory that ends, or begins, exactly where nothing may be read
// or written: assembly that goes one element too far faults instead of passing unnoticed.
package guard

import (
	"testing"
	"unsafe"
)

// Region is memory between two pages that fault when they are touched. On systems
// other than Linux the pages are ordinary ones.
type Region struct{ data []byte }

// New returns a region of at least this many bytes, which is released at the end of the
// test.
func New(t testing.TB, bytes int) *Region {
	t.Helper()
	return &Region{data: between(t, bytes)}
}

// Element is a type of elements that a region can hold.
type Element interface {
	float32 | float64 | uint16 | uint8 | int32
}

// AtEnd returns the last n elements of the region.
func AtEnd[T Element](r *Region, n int) []T {
	var zero T
	if n == 0 {
		return nil
	}
	size := n * int(unsafe.Sizeof(zero))
	return unsafe.Slice((*T)(unsafe.Pointer(&r.data[len(r.data)-size:][0])), n)
}

// AtStart returns the first n elements of the region.
func AtStart[T Element](r *Region, n int) []T {
	var zero T
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&r.data[:n*int(unsafe.Sizeof(zero))][0])), n)
}

// canary is the value of every byte around a slice.
const canary = 0xA5

// Fill sets all of the region to the canary.
func (r *Region) Fill() {
	for i := range r.data {
		r.data[i] = canary
	}
}

// Untouched reports whether all bytes outside the slice, which AtEnd (end) or AtStart
// returned, are as Fill left them.
func Untouched[T Element](r *Region, s []T, end bool) bool {
	var zero T
	size := len(s) * int(unsafe.Sizeof(zero))
	rest := r.data[size:]
	if end {
		rest = r.data[:len(r.data)-size]
	}
	for _, b := range rest {
		if b != canary {
			return false
		}
	}
	return true
}
