package winograd

import "unsafe"

// alignedTo64 returns s from the first element that begins a cache line.
func alignedTo64(s []float32) []float32 {
	for uintptr(unsafe.Pointer(&s[0]))%64 != 0 {
		s = s[1:]
	}
	return s
}
