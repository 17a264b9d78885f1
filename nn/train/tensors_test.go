package train

import (
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// A file of another program, without a checksum, has the same numbers in every floating-point type.
func TestTensorsOfOtherTypesAreRead(t *testing.T) {
	le := binary.LittleEndian
	header := `{"bf":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]},"count":{"dtype":"I64","shape":[],"data_offsets":[4,12]},` +
		`"d":{"dtype":"F64","shape":[1],"data_offsets":[12,20]},"empty":{"dtype":"F32","shape":[0,3],"data_offsets":[20,20]},` +
		`"f":{"dtype":"F32","shape":[1],"data_offsets":[20,24]},"h":{"dtype":"F16","shape":[3,2],"data_offsets":[24,36]}}`
	raw := le.AppendUint64(nil, uint64(len(header)))
	raw = append(raw, header...)
	raw = le.AppendUint16(le.AppendUint16(raw, 0x3FC0), 0xC000) // 1.5, -2
	raw = le.AppendUint64(raw, 7)
	raw = le.AppendUint64(raw, math.Float64bits(0.1))
	raw = le.AppendUint32(raw, math.Float32bits(-3.25))
	for _, h := range []uint16{0x3C00, 0xC100, 0x7BFF, 0x0001, 0x8000, 0xFC00} {
		raw = le.AppendUint16(raw, h)
	}
	path := filepath.Join(t.TempDir(), "w.safetensors")
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	list, _, err := ReadTensors(path)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]float32{
		"bf": {1.5, -2}, "d": {0.1}, "empty": {}, "f": {-3.25},
		"h": {1, -2.5, 65504, 1.0 / (1 << 24), float32(math.Copysign(0, -1)), float32(math.Inf(-1))},
	}
	if len(list) != len(want) {
		t.Fatalf("%d tensors, want %d", len(list), len(want))
	}
	for _, v := range list {
		if !slices.Equal(v.Values, want[v.Name]) {
			t.Errorf("%s = %v, want %v", v.Name, v.Values, want[v.Name])
		}
	}
	if !math.Signbit(float64(list[len(list)-1].Values[4])) {
		t.Error("-0 in 16 bits lost its sign")
	}
	if err := os.WriteFile(path, raw[:len(raw)-1], 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ReadTensors(path); !errors.Is(err, ErrDamaged) {
		t.Errorf("a truncated file: %v", err)
	}
}
