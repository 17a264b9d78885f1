package data

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fingerprintOf opens a folder and returns its fingerprint.
func fingerprintOf(t *testing.T, root string, opt Options, allBytes bool) *Fingerprint {
	t.Helper()
	set, err := Open(t.Context(), root, opt)
	if err != nil {
		t.Fatal(err)
	}
	f, err := set.Fingerprint(t.Context(), allBytes)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// grayFolder makes a folder of classes a and b with 5 images each.
func grayFolder(t *testing.T) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "pics")
	for _, class := range []string{"a", "b"} {
		for i := range 5 {
			writeImage(t, filepath.Join(root, class, string(rune('0'+i))+".png"), solidGray(4, 4, byte(10*i)+class[0]))
		}
	}
	return root
}

func TestFingerprintNamesTheFirstDifference(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(root string) error
		want   string // "" for no difference
	}{
		{"nothing", func(string) error { return nil }, ""},
		{"class renamed", func(root string) error { return os.Rename(filepath.Join(root, "a"), filepath.Join(root, "sky")) }, `class "a" is missing, and "sky" is new`},
		{"file removed", func(root string) error { return os.Remove(filepath.Join(root, "b", "3.png")) }, "file b/3.png is missing"},
		{"file renamed", func(root string) error {
			return os.Rename(filepath.Join(root, "a", "1.png"), filepath.Join(root, "a", "9.png"))
		}, "file a/1.png is missing"},
		{"files swapped between classes", func(root string) error {
			one, two := filepath.Join(root, "a", "1.png"), filepath.Join(root, "b", "1.png")
			a, err := os.ReadFile(one)
			if err != nil {
				return err
			}
			if err := os.Rename(two, one); err != nil {
				return err
			}
			return os.WriteFile(two, a, 0o644)
		}, "has other contents"},
		{"file added", func(root string) error {
			text, err := os.ReadFile(filepath.Join(root, "a", "1.png"))
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(root, "a", "7.png"), text, 0o644)
		}, "file a/7.png is new"},
		{"file changed", func(root string) error {
			f, err := os.OpenFile(filepath.Join(root, "b", "0.png"), os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			if _, err := f.WriteString("x"); err != nil {
				return err
			}
			return f.Close()
		}, "file b/0.png has "},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := grayFolder(t)
			before := fingerprintOf(t, root, Options{}, false)
			if err := c.change(root); err != nil {
				t.Fatal(err)
			}
			now := fingerprintOf(t, root, Options{}, false)
			got := now.Difference(before)
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("difference %q, want %q", got, c.want)
			}
			if same := now.Hash() == before.Hash(); same != (c.want == "") {
				t.Errorf("the hashes are the same: %v", same)
			}
		})
	}
}

// TestFingerprintSurvivesMovingAndJSON: it names no folder, and what is read back is the same.
func TestFingerprintSurvivesMovingAndJSON(t *testing.T) {
	root := grayFolder(t)
	if err := os.Rename(filepath.Join(root, "a"), filepath.Join(root, "a\xff")); err != nil {
		t.Skip(err) // a file system that refuses the name
	}
	for _, maxMemory := range []int64{0, 1} { // in memory, and read when needed
		before := fingerprintOf(t, root, Options{MaxMemory: maxMemory}, false)
		text, err := json.Marshal(before)
		if err != nil {
			t.Fatal(err)
		}
		var read Fingerprint
		if err := json.Unmarshal(text, &read); err != nil {
			t.Fatal(err)
		}
		moved := root + "2"
		if err := os.Rename(root, moved); err != nil {
			t.Fatal(err)
		}
		now := fingerprintOf(t, moved, Options{}, false)
		if d := now.Difference(&read); d != "" || now.Hash() != read.Hash() {
			t.Errorf("after moving: %q, %s and %s", d, now.Hash(), read.Hash())
		}
		if err := os.Rename(moved, root); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSampleAndAllBytes: a change in the middle of a large file is seen if all bytes are read.
func TestSampleAndAllBytes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	content := make([]byte, 10*sampledFromFile)
	sums := map[bool][2]string{}
	for k, middle := range []byte{0, 1} {
		content[len(content)/2] = middle
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
		for _, all := range []bool{false, true} {
			size, sum, err := ImageFile{Name: "f", Path: path}.sum(all)
			if err != nil || size != int64(len(content)) {
				t.Fatal(size, err)
			}
			pair := sums[all]
			pair[k] = sum
			sums[all] = pair
		}
	}
	if sums[false][0] != sums[false][1] || sums[true][0] == sums[true][1] {
		t.Errorf("sums %v", sums)
	}
}

// TestFingerprintOfAnySet: a set without files is sampled through Read; a single pixel of a small set counts.
func TestFingerprintOfAnySet(t *testing.T) {
	set := &InMemory{H: 2, W: 2, C: 1, ClassNames: []string{"a", "b"}, Images: make([]byte, 40), Labels: make([]int32, 10)}
	whole := &Dataset{Train: onlySet{set}}
	hash := func() string {
		f, err := whole.Fingerprint(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		return f.Hash()
	}
	before := hash()
	set.Images[17] = 1
	pixel := hash()
	set.Labels[3] = 1
	if label := hash(); before == pixel || pixel == label {
		t.Errorf("hashes %s, %s, %s", before, pixel, label)
	}
}

// A part of a set has the same fingerprint whether its images are in memory or are read from the whole set, as those of a
// folder are from its second start on.
func TestFingerprintOfAPart(t *testing.T) {
	set := &InMemory{H: 2, W: 2, C: 1, ClassNames: []string{"a", "b"}, Images: make([]byte, 40), Labels: []int32{0, 1, 1, 0, 0, 0, 1, 0, 1, 1}}
	some, others := []int{1, 4, 5, 9}, []int{0, 2}
	hash := func(part Set) string {
		f, err := (&Dataset{Train: part}).Fingerprint(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		if f.Train.Labels == "" {
			t.Error("the labels are not known")
		}
		return f.Hash()
	}
	if copied, read := hash(pick(set, some)), hash(Subset(set, some)); copied != read {
		t.Errorf("hashes %s and %s", copied, read)
	}
	if joinedUp := hash(&joined{Set: Subset(set, some), second: Subset(set, others)}); joinedUp != hash(pick(set, append(some, others...))) {
		t.Error("two joined parts have another hash")
	}
	// Older versions didn't know the labels of a part that is read.
	now, err := (&Dataset{Train: Subset(set, some)}).Fingerprint(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	before := *now
	before.Train.Labels = ""
	if d := now.Difference(&before); d != "" {
		t.Error(d)
	}
	before.Train.Labels = "others"
	if d := now.Difference(&before); d != "the labels of the training images are others" {
		t.Errorf("difference %q", d)
	}
}

// onlySet hides everything but the methods of Set.
type onlySet struct{ Set }

// TestLikeKeepsTheSplit: files that were added since don't move others to another part.
func TestLikeKeepsTheSplit(t *testing.T) {
	root := grayFolder(t)
	set, err := Open(t.Context(), root, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := set.HoldOut(t.Context(), 0.3, 1); err != nil {
		t.Fatal(err)
	}
	before, err := set.Fingerprint(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 9 {
		writeImage(t, filepath.Join(root, "a", "n"+string(rune('0'+i))+".png"), solidGray(4, 4, 1))
	}
	writeImage(t, filepath.Join(root, "aa", "0.png"), solidGray(4, 4, 1))
	now := fingerprintOf(t, root, Options{Like: before}, false)
	if d := now.Difference(before); d != "" {
		t.Error(d)
	}
	if err := os.Remove(filepath.Join(root, "a", "0.png")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), root, Options{Like: before}); err == nil || !strings.Contains(err.Error(), "0.png") {
		t.Errorf("error %v, want the missing file", err)
	}
}
