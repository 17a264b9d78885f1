package data

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The files of testdata/numpy were written by NumPy: x is np.arange(30).reshape(5, 3, 2) in bytes.
//
//	np.savez_compressed("set.npz", x_train=x, y_train=[0, 1, 2, 1, 0], x_test=x[:2], y_test=[[2], [0]], names=["a", "b"])
//	np.save("images.npy", (x / 29).astype(">f4")); np.save("labels.npy", np.array([3, 4, 3, 4, 4], np.int16))
//	np.save("fortran.npy", np.asfortranarray(x))
func TestNumPyArrays(t *testing.T) {
	set, err := Open(context.Background(), "testdata/numpy/set.npz", Options{})
	if err != nil {
		t.Fatal(err)
	}
	train, test := set.Train.(*InMemory), set.Test.(*InMemory)
	if train.H != 3 || train.W != 2 || train.Images[29] != 29 || !slices.Equal(train.Labels, []int32{0, 1, 2, 1, 0}) || !slices.Equal(test.Labels, []int32{2, 0}) {
		t.Errorf("%dx%d, %v, %v, %v", train.H, train.W, train.Images, train.Labels, test.Labels)
	}
	files := map[string][]byte{}
	for _, name := range []string{"images.npy", "labels.npy"} {
		if files[name], err = os.ReadFile("testdata/numpy/" + name); err != nil {
			t.Fatal(err)
		}
	}
	dir := writeFiles(t, files)
	for _, at := range []string{dir, filepath.Join(dir, "images.npy")} {
		set, err := Open(context.Background(), at, Options{})
		if err != nil {
			t.Fatal(err)
		}
		train, test := set.Train.(*InMemory), set.Test.(*InMemory)
		if train.Len() != 3 || test.Len() != 2 || !slices.Equal(train.ClassNames, []string{"3", "4"}) || slices.Max(slices.Concat(train.Images, test.Images)) != 255 {
			t.Errorf("%s: %d and %d images, classes %v", at, train.Len(), test.Len(), train.ClassNames)
		}
	}
}

// npy is a file of an array of bytes.
func npy(header string, content []byte) []byte {
	raw := append([]byte(npyMagic+"\x01\x00"), byte(len(header)), byte(len(header)>>8))
	return append(append(raw, header...), content...)
}

func TestOneHotLabels(t *testing.T) {
	a, err := parseNPY("a", npy("{'descr': '|u1', 'fortran_order': False, 'shape': (3, 4), }", []byte{0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1}))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := a.labels(); err != nil || !slices.Equal(got, []int64{2, 0, 3}) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestNumPyRefuses(t *testing.T) {
	fortran, err := os.ReadFile("testdata/numpy/fortran.npy")
	if err != nil {
		t.Fatal(err)
	}
	const shape = "'fortran_order': False, 'shape': (2, 2)"
	for name, c := range map[string]struct {
		raw  []byte
		says string
	}{
		"stored by columns": {fortran, "fortran_order: True"},
		"objects":           {npy("{'descr': '|O', "+shape+"}", nil), "want an array of numbers"},
		"half precision":    {npy("{'descr': '<f2', "+shape+"}", nil), "f2"},
		"too short":         {npy("{'descr': '|u1', "+shape+"}", []byte{1, 2, 3}), "got 3 bytes"},
		"too long":          {npy("{'descr': '|u1', "+shape+"}", []byte{1, 2, 3, 4, 5}), "got 5 bytes"},
		"huge":              {npy("{'descr': '<f8', 'fortran_order': False, 'shape': (2147483647, 2147483647, 2147483647)}", nil), "elements of 8 bytes"},
		"long header":       {append([]byte(npyMagic+"\x02\x00\xff\xff\xff\xff"), make([]byte, 20)...), "a header of at most"},
		"nothing":           {nil, "numpy.save"},
	} {
		if _, err := parseNPY("a.npy", c.raw); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	w.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) })
	member, err := w.Create("x_train.npy")
	if err != nil {
		t.Fatal(err)
	}
	const n = 50 << 20 // 250 KB in the archive
	member.Write(npy(fmt.Sprintf("{'descr': '|u1', 'fortran_order': False, 'shape': (%d, 1, 1)}", n), make([]byte, n)))
	w.Close()
	dir := writeFiles(t, map[string][]byte{"bomb.npz": b.Bytes()})
	_, err = Open(context.Background(), dir, Options{})
	wantFormatError(t, err, filepath.Join(dir, "bomb.npz")+":x_train.npy", -1, "at most 48 MiB")
}

func FuzzNumPy(f *testing.F) {
	for _, name := range []string{"set.npz", "images.npy", "fortran.npy"} {
		raw, err := os.ReadFile("testdata/numpy/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		_, err := parseNPY("a", raw)
		onlyFormatErrors(t, err)
		_, err = parseNPZ(context.Background(), "a", raw)
		onlyFormatErrors(t, err)
	})
}
