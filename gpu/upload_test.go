//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"bytes"
	"testing"

	"trainer/gpu/cudasim"
	"trainer/nn/device"
)

// Small uploads wait for each other and go in one launch, in the order in which they came: of two to one tensor, the second
// counts. Large ones, and those whose bytes are no words, are copies of their own. (The launches are counted on the
// software emulation.)
func TestSmallUploadsGoTogether(t *testing.T) {
	emulate(t, "")
	d := open(t)
	lengths := []int{4, 1024, smallUpload + 4, 12, 7, 20}
	var tensors []*device.Tensor
	for _, n := range lengths {
		x, err := d.NewTensor(device.Uint8, n)
		if err != nil {
			t.Fatal(err)
		}
		tensors = append(tensors, x)
	}
	filled := func(n int, b byte) []byte { return bytes.Repeat([]byte{b}, n) }
	for name, c := range map[string]struct {
		uploads  []int // tensors, in order
		launches uint64
	}{
		"one": {[]int{0}, 0}, "three": {[]int{0, 1, 3}, 1}, "one-tensor-twice": {[]int{0, 1, 0, 3}, 2}, "five": {[]int{0, 1, 3, 5, 1}, 1},
		"a-large-one-between": {[]int{0, 1, 2, 3, 5}, 2}, "bytes-between": {[]int{1, 3, 4, 0}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			before := cudasim.Calls("upload")
			want := map[int][]byte{}
			for i, k := range c.uploads {
				content := filled(lengths[k], byte(10*i+1))
				want[k] = bytes.Clone(content)
				if err := d.Upload(tensors[k], content); err != nil {
					t.Fatal(err)
				}
				clear(content) // which may be used again at once
			}
			for k, w := range want {
				got := make([]byte, lengths[k])
				if err := d.Download(got, tensors[k]); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got, w) {
					t.Errorf("tensor %d begins with %d, want %d", k, got[0], w[0])
				}
			}
			if got := cudasim.Calls("upload") - before; got != c.launches {
				t.Errorf("%d launches, want %d", got, c.launches)
			}
		})
	}
}
