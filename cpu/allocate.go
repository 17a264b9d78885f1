package cpu

import (
	"math"
	"unsafe"

	"trainer/nn/device"
	"trainer/nn/memlimit"
)

// Go ends a program that the system refuses memory, and the system kills one that writes to more memory than there is.
// So memory is asked for before it is allocated: constructors, which are the only functions that allocate, return an
// error instead.

// cacheLine is the alignment of every buffer, in bytes: the size of an AVX-512 register.
const cacheLine = 64

// askedFrom is the size in bytes from which on allocations ask first. The smaller ones are counted by the next that does.
const askedFrom = 1 << 20

// shortage is a panic of aligned, which returnShortage turns into an error.
type shortage struct{ err *device.MemoryError }

// returnShortage makes a shortage of memory the error of a constructor, which defers it.
func returnShortage(err *error) {
	switch r := recover().(type) {
	case nil:
	case shortage:
		*err = &device.Error{Device: "cpu", Op: "allocating", Err: r.err}
	default:
		panic(r)
	}
}

// checkRoom panics with a shortage if there is no room for n elements of some bytes each.
func checkRoom(n, size int) {
	if n <= askedFrom/size {
		return
	}
	if n > math.MaxInt/2/size {
		free, _ := memlimit.Room()
		panic(shortage{&device.MemoryError{Wanted: math.MaxInt64, Free: free}})
	}
	if free, fits := memlimit.Check(int64(n) * int64(size)); !fits {
		panic(shortage{&device.MemoryError{Wanted: int64(n) * int64(size), Free: free}})
	}
}

// zeroed returns n zeros. It panics with a shortage if there is no room for them.
func zeroed[T any](n int) []T {
	var zero T
	checkRoom(n, int(unsafe.Sizeof(zero)))
	return make([]T, n)
}

// aligned returns n zero elements, the first at the beginning of a cache line. It panics with a shortage if there is no
// room for them.
func aligned[T device.Element](n int) []T {
	var zero T
	size := int(unsafe.Sizeof(zero))
	checkRoom(n, size)
	s := make([]T, n+cacheLine/size)
	off := 0
	if r := uintptr(unsafe.Pointer(unsafe.SliceData(s))) % cacheLine; r != 0 {
		off = int(cacheLine-r) / size
	}
	return s[off : off+n : off+n]
}
