package kernels_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"trainer/kernels"
)

// The Go types of rows have the layouts of the C++ structures.
func TestTables(t *testing.T) {
	int32s := func(numbers ...int32) (b []byte) {
		for _, n := range numbers {
			b = binary.LittleEndian.AppendUint32(b, uint32(n))
		}
		return b
	}
	slot := kernels.Table([]kernels.Slot{{Value: 1, Grad: 2, State1: 3, State2: 4, Copy: 5, Group: 6, BFloat16: 1}})
	var want []byte
	for i := range uint64(5) {
		want = binary.LittleEndian.AppendUint64(want, i+1)
	}
	if want = append(want, int32s(6, 1)...); !bytes.Equal(slot, want) {
		t.Errorf("a slot is %v, want %v", slot, want)
	}
	if got := kernels.Table([]kernels.Pair{{Dst: 1, Src: 2}}); !bytes.Equal(got, want[:16]) {
		t.Errorf("a pair is %v, want %v", got, want[:16])
	}
	if got, want := kernels.Table([]kernels.Chunk{{Tensor: 1, From: 2, To: 3}}), int32s(1, 2, 3); !bytes.Equal(got, want) {
		t.Errorf("a chunk is %v, want %v", got, want)
	}
}
