package guard

import (
	"runtime"
	"runtime/debug"
	"testing"
	"unsafe"
)

// Reading one byte beyond either edge faults.
func TestEdgesFault(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("no guard pages on this system")
	}
	r := New(t, 100)
	end, start := AtEnd[uint8](r, 10), AtStart[uint8](r, 10)
	for name, p := range map[string]*uint8{
		"after":  (*uint8)(unsafe.Add(unsafe.Pointer(&end[9]), 1)),
		"before": (*uint8)(unsafe.Add(unsafe.Pointer(&start[0]), -1)),
	} {
		if !faults(p) {
			t.Errorf("the byte %s the region can be read", name)
		}
	}
	if faults(&end[9]) || faults(&start[0]) {
		t.Error("the region itself can't be read")
	}
}

var sink uint8

func faults(p *uint8) (faulted bool) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() { faulted = recover() != nil }()
	sink += *p
	return false
}

func TestUntouched(t *testing.T) {
	r := New(t, 100)
	r.Fill()
	s := AtEnd[float32](r, 3)
	s[0] = 1
	if !Untouched(r, s, true) {
		t.Error("writing to the slice counts as writing beside it")
	}
	if Untouched(r, s[1:], true) {
		t.Error("writing beside the slice is not seen")
	}
}
