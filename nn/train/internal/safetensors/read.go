package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"
	"strconv"

	"trainer/nn/bounded"
)

// File is an open file whose header is valid and whose elements are complete.
type File struct {
	f        *os.File
	metadata map[string]string
	summed   bool // it has a checksum
	entries  map[string]entry
	start    int64 // offset of the elements
}

// Open opens a regular file and checks all of it: header, length, and checksum if there is one. If
// a check fails, the error is ErrDamaged.
func Open(path string) (*File, error) {
	f, err := bounded.Open(path)
	if err != nil {
		return nil, err
	}
	return New(f, path)
}

// New is Open for an open file, which belongs to the File from then on; path is its name in errors.
func New(f *os.File, path string) (*File, error) {
	s := &File{f: f, entries: map[string]entry{}}
	if err := s.check(); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// Close closes the file.
func (s *File) Close() error { return s.f.Close() }

// HasChecksum reports whether the file has a checksum, as all files that Write wrote have.
func (s *File) HasChecksum() bool { return s.summed }

// Metadata returns the strings that were passed to Write.
func (s *File) Metadata() map[string]string { return s.metadata }

// Tensors returns the tensors in the file, sorted by name.
func (s *File) Tensors() []Tensor {
	list := make([]Tensor, 0, len(s.entries))
	for name, e := range s.entries {
		list = append(list, Tensor{name, e.DType, e.Shape})
	}
	slices.SortFunc(list, func(a, b Tensor) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return list
}

// Read reads a tensor's elements to dst, which must have the tensor's size in bytes.
func (s *File) Read(name string, dst []byte) error {
	e, ok := s.entries[name]
	if !ok {
		return fmt.Errorf("no tensor %s", name)
	}
	if n := e.Offsets[1] - e.Offsets[0]; int64(len(dst)) != n {
		return fmt.Errorf("tensor %s has %d bytes, not %d", name, n, len(dst))
	}
	if _, err := s.f.ReadAt(dst, s.start+e.Offsets[0]); err != nil {
		return fmt.Errorf("tensor %s: %w", name, err)
	}
	return nil
}

func (s *File) check() error {
	info, err := s.f.Stat()
	if err != nil {
		return err
	}
	var length [8]byte
	if _, err := io.ReadFull(s.f, length[:]); err != nil {
		return damaged("it has %d bytes, too few for a safetensors file", info.Size())
	}
	n := binary.LittleEndian.Uint64(length[:])
	if n > maxHeader {
		return damaged("it does not begin like a safetensors file")
	}
	if int64(n) > info.Size()-8 {
		return damaged("its header should have %d bytes, the file has %d", n, info.Size())
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(s.f, text); err != nil {
		return err
	}
	s.start = 8 + int64(n)
	if err := s.parse(text); err != nil {
		return err
	}
	size, err := s.checkOffsets()
	if err != nil {
		return err
	}
	if got := info.Size() - s.start; got != size {
		return damaged("it should have %d bytes of tensors, and has %d", size, got)
	}
	return s.checkSum(append(length[:], text...))
}

// parse reads the header, one name after the other, so that what it takes is proportional to its length.
func (s *File) parse(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return damaged("its header is not a JSON object")
	}
	for d.More() {
		if err := s.parseEntry(d); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return damaged("its header is not JSON: %v", err)
	}
	if rest := bytes.TrimSpace(text[d.InputOffset():]); len(rest) > 0 {
		return damaged("its header ends with %.20q", rest)
	}
	return nil
}

// parseEntry reads a name and its value.
func (s *File) parseEntry(d *json.Decoder) error {
	token, err := d.Token()
	if err != nil {
		return damaged("its header is not JSON: %v", err)
	}
	name := token.(string) // a key of an object
	if name == metadataKey {
		if err := d.Decode(&s.metadata); err != nil {
			return damaged("its metadata: %v", err)
		}
		return nil
	}
	if _, twice := s.entries[name]; twice {
		return damaged("two tensors have the name %q", name)
	}
	if len(s.entries) == maxTensors {
		return damaged("it has more than %d tensors", maxTensors)
	}
	var e entry
	if err := d.Decode(&e); err != nil {
		return damaged("tensor %q: %v", name, err)
	}
	s.entries[name] = e
	return nil
}

// checkOffsets makes sure that the tensors lie one after the other, each with the length
// that its shape requires, and returns their total length.
func (s *File) checkOffsets() (int64, error) {
	list := s.Tensors()
	slices.SortStableFunc(list, func(a, b Tensor) int {
		ea, eb := s.entries[a.Name], s.entries[b.Name]
		if ea.Offsets[0] != eb.Offsets[0] {
			return int(min(1, max(-1, ea.Offsets[0]-eb.Offsets[0])))
		}
		return int(min(1, max(-1, ea.Offsets[1]-eb.Offsets[1])))
	})
	end := int64(0)
	for _, t := range list {
		size, err := t.Bytes()
		if err != nil {
			return 0, damaged("%v", err)
		}
		e := s.entries[t.Name]
		if e.Offsets[0] != end || e.Offsets[1]-e.Offsets[0] != size {
			return 0, damaged("tensor %s %v is at bytes %d to %d, should begin at %d and have %d", t.Name, t.Shape, e.Offsets[0], e.Offsets[1], end, size)
		}
		end = e.Offsets[1]
	}
	return end, nil
}

// checkSum compares the checksum with the CRC-32C of the header, with zeros in place of the
// checksum, and of the elements. The file must be positioned at the first element.
func (s *File) checkSum(header []byte) error {
	text, ok := s.metadata[checksumKey]
	if !ok {
		return nil
	}
	s.summed = true
	delete(s.metadata, checksumKey)
	want, err := strconv.ParseUint(text, 16, 32)
	if err != nil {
		return damaged("its checksum is %q", text)
	}
	key := []byte(`"` + checksumKey + `":"`)
	if at := bytes.Index(header, key); at >= 0 {
		copy(header[at+len(key):], "00000000")
	}
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	sum.Write(header)
	if _, err := io.Copy(sum, s.f); err != nil {
		return err
	}
	if sum.Sum32() != uint32(want) {
		return damaged("its checksum is %08x, should be %08x", sum.Sum32(), want)
	}
	return nil
}
