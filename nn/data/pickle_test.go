package data

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// python2 is a batch as Python 2 wrote it, in protocol 2, with NumPy's old module: the official files of CIFAR.
func python2(planes []byte, labels map[string][]byte) []byte {
	var b bytes.Buffer
	text := func(s string) { fmt.Fprintf(&b, "U%c%s", len(s), s) }
	b.WriteString("\x80\x02}q\x01(")
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		text(key)
		b.WriteString("]q\x04(")
		for _, l := range labels[key] {
			b.Write([]byte{'K', l})
		}
		b.WriteString("e")
	}
	text("data")
	n := len(planes) / cifarPixels
	b.WriteString("cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\x00\x85q\tU\x01bq\n\x87q\x0bRq\x0c(K\x01")
	fmt.Fprintf(&b, "K%cM\x00\x0c\x86q\x0d", n)
	b.WriteString("cnumpy\ndtype\nq\x0eU\x02u1q\x0fK\x00K\x01\x87q\x10Rq\x11(K\x03U\x01|q\x12NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x13b\x89T")
	b.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(planes))))
	b.Write(planes)
	b.WriteString("q\x14tq\x15bu.")
	return b.Bytes()
}

// names is a pickle of a dictionary of lists of texts.
func pickledNames(lists map[string][]string) []byte {
	var b bytes.Buffer
	b.WriteString("\x80\x02}(")
	for key, names := range lists {
		fmt.Fprintf(&b, "U%c%s](", len(key), key)
		for _, n := range names {
			fmt.Fprintf(&b, "U%c%s", len(n), n)
		}
		b.WriteString("e")
	}
	b.WriteString("u.")
	return b.Bytes()
}

// planes returns the planes of records made by cifarImages.
func planes(records []byte) (pixels, labels []byte) {
	for r := range slices.Chunk(records, cifarRecord) {
		labels = append(labels, r[0])
		pixels = append(pixels, r[1:]...)
	}
	return pixels, labels
}

func TestCIFAR10ForPython(t *testing.T) {
	files := map[string][]byte{}
	for name, raw := range tinyCIFAR() {
		pixels, labels := planes(raw)
		files["cifar-10-batches-py/"+strings.TrimSuffix(name, ".bin")] = python2(pixels, map[string][]byte{"labels": labels})
	}
	files["cifar-10-batches-py/batches.meta"] = pickledNames(map[string][]string{"label_names": cifarClasses()})
	dir := writeFiles(t, files)
	for _, at := range []struct{ name, dir string }{{"cifar10", dir}, {dir, ""}} {
		set, err := Open(context.Background(), at.name, Options{Dir: at.dir})
		if err != nil {
			t.Fatal(err)
		}
		checkTinyCIFAR(t, set)
	}
	files["cifar-10-batches-py/data_batch_2"] = []byte("\x80\x02cos\nsystem\n.")
	_, err := Open(context.Background(), writeFiles(t, files), Options{})
	if err == nil || !strings.Contains(err.Error(), `"os.system"`) {
		t.Errorf("a call of a program: %v", err)
	}
}

// The files of testdata/numpy were written by Python 3 and NumPy 2 with pickle.dump of two images.
func TestPicklesOfPython3(t *testing.T) {
	want, _ := planes(cifarImages(0, 2))
	for _, protocol := range []int{2, 5} {
		name := fmt.Sprintf("testdata/numpy/batch-protocol%d.pkl", protocol)
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		part, err := cifarPickle(name, raw, "")
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(part.raw, want) || !slices.Equal(part.labels, []int64{0, 1}) {
			t.Errorf("protocol %d: labels %v", protocol, part.labels)
		}
	}
	if v, err := unpickle("p", []byte("\x80\x02c__builtin__\nbytes\n)R.")); err != nil || len(v.(sharedText)) != 0 { // b""
		t.Errorf("no bytes: %v, %v", v, err)
	}
}

func TestCIFAR100(t *testing.T) {
	names := func(n int, of string) (list []string) {
		for i := range n {
			list = append(list, fmt.Sprintf("%s%d", of, i))
		}
		return list
	}
	binaryFiles, python := map[string][]byte{}, map[string][]byte{}
	for part, n := range map[string]int{"train": 6, "test": 3} {
		pixels, labels := planes(cifarImages(0, n))
		var raw []byte
		for i, l := range labels {
			raw = append(append(raw, l+10, l+80), pixels[i*cifarPixels:][:cifarPixels]...)
		}
		binaryFiles[part+".bin"] = raw
		python[part] = python2(pixels, map[string][]byte{"fine_labels": add(labels, 80), "coarse_labels": add(labels, 10)})
	}
	binaryFiles["fine_label_names.txt"] = []byte(strings.Join(names(100, "f"), "\n"))
	binaryFiles["coarse_label_names.txt"] = []byte(strings.Join(names(20, "c"), "\n"))
	python["meta"] = pickledNames(map[string][]string{"fine_label_names": names(100, "f"), "coarse_label_names": names(20, "c")})
	for form, files := range map[string]map[string][]byte{"binary": binaryFiles, "python": python} {
		dir := writeFiles(t, files)
		for label, want := range map[string]string{"": "f85", "fine": "f85", "coarse": "c15"} {
			for _, at := range []struct{ name, dir string }{{"cifar100", dir}, {dir, ""}} {
				set, err := Open(context.Background(), at.name, Options{Dir: at.dir, Labels: label})
				if err != nil {
					t.Fatal(form, err)
				}
				train := set.Train.(*InMemory)
				if got := train.ClassNames[train.Labels[5]]; got != want || set.Test.Len() != 3 || train.Images[4] != 101 {
					t.Errorf("%s, %q: image 5 is of %s, want %s", form, label, got, want)
				}
			}
		}
		if _, err := Open(context.Background(), dir, Options{Labels: "middle"}); err == nil || !strings.Contains(err.Error(), "coarse") {
			t.Errorf("%s: an unknown label: %v", form, err)
		}
	}
	binaryFiles["test.bin"][1] = 100
	dir := writeFiles(t, binaryFiles)
	_, err := Open(context.Background(), dir, Options{})
	wantFormatError(t, err, filepath.Join(dir, "test.bin"), 1, "a label from 0 to 99")
}

func add(labels []byte, n byte) []byte {
	sum := slices.Clone(labels)
	for i := range sum {
		sum[i] += n
	}
	return sum
}

func TestPicklesThatAreRefused(t *testing.T) {
	for name, c := range map[string]struct{ raw, says string }{
		"a function":        {"\x80\x02cbuiltins\neval\nU\x011\x85R.", `"builtins.eval"`},
		"by the stack":      {"\x80\x04\x8c\x02os\x8c\x06system\x93.", `"os.system"`},
		"a new object":      {"\x80\x02cnumpy\nndarray\n)\x81.", "0x81"},
		"nothing":           {"", "end of file"},
		"no end":            {"\x80\x02K", "end of file"},
		"an empty stack":    {"R.", "stack"},
		"a text too long":   {"\x80\x02T\xff\xff\xff\x7fabc.", "end of file"},
		"no mark":           {"\x80\x02K\x01t.", "stack"},
		"an unknown memo":   {"\x80\x02h\x05.", "stack"},
		"an array too long": {string(bytes.Replace(python2(make([]byte, cifarPixels), nil), []byte("K\x01M\x00\x0c"), []byte("K\x02M\x00\x0c"), 1)), "bytes for an array"},
		"a persistent id":   {"\x80\x02Pid\n.", "0x50"},
	} {
		_, err := unpickle("p", []byte(c.raw))
		onlyFormatErrors(t, err)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// 100 MiB of copies of a text, and of empty dictionaries, from a short file.
	bomb := "\x80\x02X\x00\x00\x10\x00" + strings.Repeat("a", 1<<20) + "q\x00" + strings.Repeat("c_codecs\nencode\nh\x00U\x06latin1\x86R", 100) + "."
	for _, raw := range []string{bomb, "\x80\x02" + strings.Repeat("}", 2<<20) + "."} {
		if _, err := unpickle("p", []byte(raw)); err == nil || !strings.Contains(err.Error(), "more data than") {
			t.Errorf("a bomb: %v", err)
		}
	}
}

func FuzzUnpickle(f *testing.F) {
	f.Add(python2(make([]byte, cifarPixels), map[string][]byte{"labels": {1}}))
	f.Add(pickledNames(map[string][]string{"label_names": {"a", "b"}}))
	for _, protocol := range []int{0, 2, 5} {
		raw, err := os.ReadFile(fmt.Sprintf("testdata/numpy/batch-protocol%d.pkl", protocol))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		_, err := cifarPickle("p", raw, "")
		onlyFormatErrors(t, err)
	})
}
