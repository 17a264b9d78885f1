package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func save(t testing.TB, path string, tensors []Tensor, metadata map[string]string, contents [][]byte) error {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return Write(f, tensors, metadata, func(i int) ([]byte, error) { return contents[i], nil })
}

func sample(t testing.TB) (path string, contents [][]byte) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "w.safetensors")
	contents = [][]byte{{1, 2, 3, 4, 5, 6, 7, 8}, {}, {9}, {10, 11, 12, 13}}
	err := save(t, path, []Tensor{
		{"b.weight", "F32", []int{2, 1}}, {"empty", "F32", []int{0, 3}}, {"a", "U8", []int{1}}, {"scalar", "I32", nil},
	}, map[string]string{"data": "mnist", "quote": "\"<é>\""}, contents)
	if err != nil {
		t.Fatal(err)
	}
	return path, contents
}

func TestRoundTrip(t *testing.T) {
	path, contents := sample(t)
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got := f.Metadata(); len(got) != 2 || got["data"] != "mnist" || got["quote"] != "\"<é>\"" {
		t.Errorf("metadata %v", got)
	}
	want := []Tensor{{"a", "U8", []int{1}}, {"b.weight", "F32", []int{2, 1}}, {"empty", "F32", []int{0, 3}}, {"scalar", "I32", []int{}}}
	if got := f.Tensors(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("tensors %v, want %v", got, want)
	}
	for i, name := range []string{"b.weight", "empty", "a", "scalar"} {
		got := make([]byte, len(contents[i]))
		if err := f.Read(name, got); err != nil || !slices.Equal(got, contents[i]) {
			t.Errorf("%s = %v, %v, want %v", name, got, err, contents[i])
		}
	}
	if err := f.Read("a", make([]byte, 2)); err == nil {
		t.Error("a tensor of another size was read")
	}
	if err := f.Read("c", nil); err == nil {
		t.Error("a tensor that isn't there was read")
	}
}

// TestForeignFile reads a file laid out by hand, as other programs write it: without a
// checksum, keys in any order, the header not padded.
func TestForeignFile(t *testing.T) {
	header := `{"y":{"dtype":"F32","shape":[1],"data_offsets":[2,6]},"x":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}`
	raw := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	raw = append(append(raw, header...), 1, 2, 3, 4, 5, 6)
	path := filepath.Join(t.TempDir(), "w")
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got := make([]byte, 4)
	if err := f.Read("y", got); err != nil || !slices.Equal(got, []byte{3, 4, 5, 6}) {
		t.Errorf("y = %v, %v", got, err)
	}
}

// TestDamage cuts the file at every length and flips a bit in every byte.
func TestDamage(t *testing.T) {
	path, _ := sample(t)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(t.TempDir(), "broken")
	open := func(raw []byte) error {
		if err := os.WriteFile(broken, raw, 0o644); err != nil {
			t.Fatal(err)
		}
		f, err := Open(broken)
		if err == nil {
			f.Close()
		}
		return err
	}
	for n := range whole {
		if err := open(whole[:n]); !errors.Is(err, ErrDamaged) {
			t.Fatalf("cut to %d of %d bytes: error %v, want ErrDamaged", n, len(whole), err)
		}
	}
	if err := open(append(slices.Clone(whole), 0)); !errors.Is(err, ErrDamaged) {
		t.Errorf("one byte too many: error %v, want ErrDamaged", err)
	}
	key := bytes.Index(whole, []byte(checksumKey))
	for i := range whole {
		if i >= key && i < key+len(checksumKey) {
			continue // without the key it's a sound file of another program's
		}
		raw := slices.Clone(whole)
		raw[i] ^= 1
		if err := open(raw); !errors.Is(err, ErrDamaged) {
			t.Errorf("bit flipped in byte %d: error %v, want ErrDamaged", i, err)
		}
	}
}

func TestBadHeaders(t *testing.T) {
	for _, header := range []string{
		`{`, `[]`, `{"x":1}`, `{"x":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}}`,
		`{"x":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}`,
		`{"x":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4]}}`,
		`{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`,
		`{"x":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`,
		`{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"y":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`,
		`{"__metadata__":{"crc32c":"xyz"},"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`,
		`{"__metadata__":3,"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`,
	} {
		path := filepath.Join(t.TempDir(), "w")
		raw := append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...)
		if err := os.WriteFile(path, append(raw, 0, 0, 0, 0), 0o644); err != nil {
			t.Fatal(err)
		}
		if f, err := Open(path); !errors.Is(err, ErrDamaged) {
			if err == nil {
				f.Close()
			}
			t.Errorf("%s: error %v, want ErrDamaged", header, err)
		}
	}
	path := filepath.Join(t.TempDir(), "w")
	if err := os.WriteFile(path, []byte{255, 255, 255, 255, 255, 255, 255, 255, 0}, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); !errors.Is(err, ErrDamaged) {
		t.Errorf("a header of 2^64-1 bytes: error %v, want ErrDamaged", err)
	}
}

func TestWriteRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w")
	one := [][]byte{{1}, {2}}
	if save(t, path, []Tensor{{"x", "U8", []int{1}}, {"x", "U8", []int{1}}}, nil, one) == nil {
		t.Error("two tensors of one name were written")
	}
	if save(t, path, []Tensor{{"x", "U8", []int{2}}}, nil, one) == nil {
		t.Error("a tensor of the wrong length was written")
	}
	if save(t, path, []Tensor{{"x", "U8", []int{1}}}, map[string]string{"crc32c": ""}, one) == nil {
		t.Error("the checksum's key was given away")
	}
}
