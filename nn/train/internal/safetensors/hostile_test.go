package safetensors

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// withHeader returns a file with a header and n bytes of elements.
func withHeader(header string, n int) []byte {
	raw := append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...)
	return append(raw, make([]byte, n)...)
}

func TestHeadersAreChecked(t *testing.T) {
	many := make([]string, 0, maxTensors+1)
	for i := range maxTensors + 1 {
		many = append(many, `"`+string(rune('a'+i%26))+strings.Repeat("x", i%7)+strconv.Itoa(i)+`":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}`)
	}
	for name, c := range map[string]struct {
		header string
		n      int
		says   string
	}{
		"a list":        {`[]`, 0, "not a JSON object"},
		"null":          {`null`, 0, "not a JSON object"},
		"twice":         {`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 1, "two tensors"},
		"not closed":    {`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}`, 1, "not JSON"},
		"more":          {`{} {}`, 0, "ends with"},
		"deep":          {`{"a":` + strings.Repeat("[", 1_000_000), 0, "tensor"},
		"many tensors":  {"{" + strings.Join(many, ",") + "}", 0, "more than 131072 tensors"},
		"negative":      {`{"a":{"dtype":"F32","shape":[-2,-1],"data_offsets":[0,8]}}`, 8, "shape"},
		"overflow":      {`{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, 0, "shape"},
		"a long name":   {`{"` + strings.Repeat("module.", 1_000) + `":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 4, "name of 7000 bytes"},
		"a long shape":  {`{"a":{"dtype":"F32","shape":[1` + strings.Repeat(",1", 1_000) + `],"data_offsets":[0,4]}}`, 4, "1001 dimensions"},
		"control codes": {"{\"a\\u001b[31m\":3}", 0, `"a\x1b[31m"`},
	} {
		path := filepath.Join(t.TempDir(), "x")
		if err := os.WriteFile(path, withHeader(c.header, c.n), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Open(path)
		if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %.200v", name, err)
		}
	}
	if _, err := Open("/dev/zero"); err == nil || errors.Is(err, ErrDamaged) {
		t.Errorf("a device: %v", err)
	}
}

func TestTheWriterKeepsToTheLimits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	if err := save(t, path, nil, map[string]string{"a": strings.Repeat("x", maxHeader)}, nil); err == nil {
		t.Error("a header was written that can't be read")
	}
}

func FuzzOpen(f *testing.F) {
	path, _ := sample(f)
	raw, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	for _, header := range []string{
		`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"__metadata__":{"crc32c":"00000000"}}`,
		`{"a":{"dtype":"F32","shape":[9223372036854775807,9223372036854775807],"data_offsets":[-9223372036854775808,9223372036854775807]}}`,
		`{"a":{"dtype":"F32","shape":[0,-1],"data_offsets":[0,0]},"b":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`,
	} {
		f.Add(withHeader(header, 8))
	}
	path = filepath.Join(f.TempDir(), "x")
	f.Fuzz(func(t *testing.T, raw []byte) {
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(path)
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Fatalf("want ErrDamaged, got %v", err)
			}
			return
		}
		defer s.Close()
		total := int64(0)
		for _, tensor := range s.Tensors() {
			n, err := tensor.Bytes()
			if err != nil || n < 0 || n > int64(len(raw)) {
				t.Fatalf("%v has %d bytes, %v", tensor, n, err)
			}
			total += n
			if err := s.Read(tensor.Name, make([]byte, n)); err != nil {
				t.Fatal(err)
			}
		}
		if want := int64(len(raw)) - s.start; total != want {
			t.Fatalf("%d bytes of tensors, the file has %d", total, want)
		}
	})
}
