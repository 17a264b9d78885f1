package data

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/color"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// age makes all files of a folder old enough for an index.
func age(t *testing.T, dir string) {
	t.Helper()
	old := time.Now().Add(-time.Hour)
	err := filepath.Walk(dir, func(p string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		return os.Chtimes(p, old, old)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// indexed makes a folder of two classes with a picture that is cut off, and returns the options that keep an index.
func indexed(t *testing.T) (dir string, opt Options) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "photos")
	writeClass(t, filepath.Join(dir, "a"), 5, 10)
	writeClass(t, filepath.Join(dir, "b"), 5, 110)
	whole, err := os.ReadFile(filepath.Join(dir, "a", "03.png"))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "a", "03.png"), whole[:len(whole)-20])
	age(t, dir)
	return dir, Options{Index: filepath.Join(t.TempDir(), "index"), NoTest: true, Workers: 1}
}

// onlyIndex returns the one file of an index of a kind, files or images.
func onlyIndex(t *testing.T, opt Options, kind string) string {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(opt.Index, "*-"+kind+".jsonl"))
	if len(files) != 1 {
		t.Fatalf("%d indexes, want 1", len(files))
	}
	return files[0]
}

// pixelsOf returns the pixels and labels of a set.
func pixelsOf(t *testing.T, set Set) []byte {
	t.Helper()
	h, w, c := set.ImageShape()
	var all []byte
	for i := range set.Len() {
		one := make([]byte, h*w*c)
		label, err := set.Read(i, one)
		if err != nil {
			t.Fatal(err)
		}
		all = append(append(all, byte(label)), one...)
	}
	return all
}

func TestIndexGivesTheSameSet(t *testing.T) {
	for _, memory := range []int64{0, 1} {
		dir, opt := indexed(t)
		opt.MaxMemory = memory
		plain := opt
		plain.Index = ""
		want := openFolderT(t, dir, plain)
		for start := range 3 {
			got := openFolderT(t, dir, opt)
			if !bytes.Equal(pixelsOf(t, got.Train), pixelsOf(t, want.Train)) {
				t.Errorf("memory %d, start %d: other pixels", memory, start)
			}
			if !slices.Equal(got.Skipped, want.Skipped) || len(want.Skipped) != 1 || !strings.Contains(want.Skipped[0], "03.png") {
				t.Errorf("start %d: skipped %q, want %q", start, got.Skipped, want.Skipped)
			}
			onlyIndex(t, opt, "files")
		}
	}
}

// What the index says of a file of any format is what its header says at the next start.
func TestIndexOfEveryFormat(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "photos")
	for _, class := range []string{"a", "b"} {
		if err := os.CopyFS(filepath.Join(dir, class), os.DirFS("testdata/decoding")); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(dir, class, "pixels.txt")); err != nil {
			t.Fatal(err)
		}
	}
	age(t, dir)
	opt := Options{Index: filepath.Join(t.TempDir(), "index"), NoTest: true, ImageSize: [2]int{16, 16}, Warn: func(err error) { t.Error(err) }}
	cold := pixelsOf(t, openFolderT(t, dir, opt).Train)
	onlyIndex(t, opt, "files")
	if warm := pixelsOf(t, openFolderT(t, dir, opt).Train); !bytes.Equal(warm, cold) {
		t.Error("the second start has other pixels")
	}
	onlyIndex(t, opt, "files")
}

// With an index, a folder too large for memory is opened without opening a picture.
func TestIndexSavesChecking(t *testing.T) {
	dir, opt := indexed(t)
	opt.MaxMemory = 1
	openFolderT(t, dir, opt)
	file := onlyIndex(t, opt, "files")
	before, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	// The bytes change, and size and time don't: whoever opens the file sees that it is no picture.
	for _, name := range []string{"a/00.png", "a/01.png", "b/00.png"} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, path, make([]byte, info.Size()))
		if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
			t.Fatal(err)
		}
	}
	got := openFolderT(t, dir, opt)
	if got.Train.Len() != 9 || len(got.Skipped) != 1 {
		t.Errorf("%d images, skipped %q", got.Train.Len(), got.Skipped)
	}
	if after, err := os.Stat(file); err != nil || !os.SameFile(before, after) {
		t.Errorf("the unchanged index was written again: %v", err)
	}
	dst := make([]byte, 4*6*3)
	if _, err := got.Train.Read(0, dst); err == nil {
		t.Error("a file that is no picture was read")
	}
}

func TestIndexNoticesChangedFiles(t *testing.T) {
	dir, opt := indexed(t)
	openFolderT(t, dir, opt)
	writeImage(t, filepath.Join(dir, "a", "03.png"), solid(4, 6, color.NRGBA{200, 50, 60, 255}))
	writeImage(t, filepath.Join(dir, "a", "04.png"), solid(4, 6, color.NRGBA{7, 50, 60, 255}))
	if err := os.Remove(filepath.Join(dir, "b", "00.png")); err != nil {
		t.Fatal(err)
	}
	got := openFolderT(t, dir, opt)
	if want := map[int32][]byte{0: {10, 11, 12, 200, 7}, 1: {111, 112, 113, 114}}; fmt.Sprint(reds(t, got.Train)) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", reds(t, got.Train), want)
	}
	if len(got.Skipped) != 0 {
		t.Errorf("skipped %q", got.Skipped)
	}
	// Files that were changed a moment ago are not believed to be unchanged.
	raw, err := os.ReadFile(onlyIndex(t, opt, "files"))
	if err != nil || bytes.Contains(raw, []byte("a/04.png")) {
		t.Errorf("the index has a file that may still change: %v\n%s", err, raw)
	}
}

// changeIndex changes a text in a file of an index, and puts the checksum right if isResealed is set.
func changeIndex(t *testing.T, file, old, new string, isResealed bool) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	wrong := strings.ReplaceAll(string(raw), old, new)
	if wrong == string(raw) {
		t.Fatalf("%s has no %s", file, old)
	}
	if isResealed {
		_, rest, _ := strings.Cut(wrong, "\n")
		_, before, _ := strings.Cut(string(raw), "\n")
		wrong = strings.Replace(wrong, sumOf([]byte(before)), sumOf([]byte(rest)), 1)
	}
	writeFile(t, file, []byte(wrong))
}

// Whatever a stranger wrote: the pixels are those of the files, or the index is found to be wrong when they are read.
func TestWrongIndexChangesNoPixel(t *testing.T) {
	for _, change := range [][3]string{
		{"files", `"w":6`, `"w":5`}, {"files", `"orientation":1`, `"orientation":6`}, {"files", `"h":4,`, `"h":4,"gray":true,`},
		{"files", `"w":6`, `"w":-6`}, {"files", `"trainer_index":2`, `"trainer_index":1`}, {"files", `"files":10`, `"files":9`},
		{"files", `"a/00.png"`, `"a/01.png"`}, {"files", `{"name"`, `["name"`}, {"files", `"decoded"`, `"sum":"00","decoded"`},
		{"files", `"memory":`, `"memory":9`}, {"files", `"size":`, `"size":-`}, {"files", `"settings":"files: decoding `, `"settings":"files: decoding 1`},
		{"images", `"sum":[2`, `"sum":[3`}, {"images", `"sum":[2`, `"sum":[99992`}, {"images", `"sum":[2`, `"sum":[1,2`},
		{"images", `"squares":[`, `"squares":[-`}, {"images", `"size":`, `"size":1`},
	} {
		for _, isResealed := range []bool{false, true} {
			dir, opt := indexed(t)
			first := openFolderT(t, dir, opt)
			want := pixelsOf(t, first.Train)
			mean, std := meanStd(t, first.Train)
			file := onlyIndex(t, opt, change[0])
			changeIndex(t, file, change[1], change[2], isResealed)
			got, err := Open(context.Background(), dir, opt)
			if err != nil {
				t.Errorf("%v: %v", change, err)
				continue
			}
			h, w, c := got.Train.ImageShape()
			var pixels []byte
			for i := 0; i < got.Train.Len() && err == nil; i++ {
				dst := make([]byte, h*w*c)
				var label int32
				if label, err = got.Train.Read(i, dst); err == nil {
					pixels = append(append(pixels, byte(label)), dst...)
				}
			}
			if _, statErr := os.Stat(file); errors.Is(err, errIndexWrong) && isResealed && statErr != nil {
				continue
			}
			m, s := meanStd(t, got.Train)
			if err != nil || !bytes.Equal(pixels, want) || !slices.Equal(m, mean) || !slices.Equal(s, std) {
				t.Errorf("%v, resealed %t: other pixels or statistics, %v", change, isResealed, err)
			}
		}
	}
}

func meanStd(t *testing.T, set Set) (mean, std []float32) {
	t.Helper()
	mean, std, err := MeanStd(set)
	if err != nil {
		t.Fatal(err)
	}
	return mean, std
}

// The second start decodes nothing until an image is read, and has the same images, divisions, mean and standard
// deviation, to the bit.
func TestSecondStartDecodesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "photos")
	writeClass(t, filepath.Join(dir, "a"), 20, 10)
	writeClass(t, filepath.Join(dir, "b"), 20, 110)
	age(t, dir)
	for name, divide := range map[string]func(d *Dataset) (*Dataset, error){
		"whole":    func(d *Dataset) (*Dataset, error) { return d, nil },
		"held out": func(d *Dataset) (*Dataset, error) { return d, d.HoldOut(t.Context(), 0.3, 1) },
		"fold":     func(d *Dataset) (*Dataset, error) { return d.Fold(t.Context(), 1, 3, 1) },
	} {
		opt := Options{Index: filepath.Join(t.TempDir(), "index"), Cache: 10 * 4 * 6 * 3}
		for _, cache := range []int64{0, 10 * 4 * 6 * 3, -1} { // all pixels are kept, or ten images, or none
			opt.Cache = cache
			var all [2]*Dataset
			for start := range all {
				d, err := divide(openFolderT(t, dir, opt))
				if err != nil {
					t.Fatal(err)
				}
				all[start] = d
			}
			if set, isLazy := all[1].Test.(*folderSet); !isLazy || set.states[0].Load() != notRead {
				t.Errorf("%s: %T was decoded", name, all[1].Test)
			}
			for part, sets := range map[string][2]Set{"train": {all[0].Train, all[1].Train}, "val": {all[0].Val, all[1].Val}, "test": {all[0].Test, all[1].Test}} {
				if sets[0] == nil {
					continue
				}
				m0, s0 := meanStd(t, sets[0])
				m1, s1 := meanStd(t, sets[1])
				if !slices.Equal(m0, m1) || !slices.Equal(s0, s1) {
					t.Errorf("%s, %s: mean and standard deviation %v, %v; the second time %v, %v", name, part, m0, s0, m1, s1)
				}
				n0, _ := ClassCounts(sets[0])
				if n1, err := ClassCounts(sets[1]); err != nil || !slices.Equal(n0, n1) {
					t.Errorf("%s, %s: %v images per class, then %v, %v", name, part, n0, n1, err)
				}
				for range 2 { // decoded, and kept
					if !bytes.Equal(pixelsOf(t, sets[0]), pixelsOf(t, sets[1])) {
						t.Errorf("%s, %s: other pixels", name, part)
					}
				}
			}
		}
	}
}

// The sums of an index are those of one size: images of another one are decoded again.
func TestStatisticsOfAnotherSize(t *testing.T) {
	dir, opt := indexed(t)
	openFolderT(t, dir, opt)
	opt.ImageSize = [2]int{3, 3}
	plain := opt
	plain.Index = ""
	want, wantStd := meanStd(t, openFolderT(t, dir, plain).Train)
	for range 2 {
		got, gotStd := meanStd(t, openFolderT(t, dir, opt).Train)
		if !slices.Equal(got, want) || !slices.Equal(gotStd, wantStd) {
			t.Errorf("%v, %v, want %v, %v", got, gotStd, want, wantStd)
		}
	}
}

// Opening the images of an earlier run keeps what is known of the other files.
func TestIndexKeepsFilesOfNoPart(t *testing.T) {
	dir, opt := indexed(t)
	opt.NoTest = false
	like, err := openFolderT(t, dir, opt).Fingerprint(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	like.Train.Files = like.Train.Files[1:]
	before, err := os.ReadFile(onlyIndex(t, opt, "files"))
	if err != nil {
		t.Fatal(err)
	}
	part := opt
	part.Like = like
	openFolderT(t, dir, part)
	if after, err := os.ReadFile(onlyIndex(t, opt, "files")); err != nil || !bytes.Equal(after, before) {
		t.Errorf("%v, the index is now\n%s", err, after)
	}
}

// A picture that can't be read any more is named, and another one of its class takes its place.
func TestUnreadablePictureIsReplaced(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "photos")
	writeClass(t, filepath.Join(dir, "a"), 20, 10)
	writeClass(t, filepath.Join(dir, "b"), 20, 110)
	age(t, dir)
	var warnings []string
	opt := Options{Index: filepath.Join(t.TempDir(), "index"), NoTest: true, Workers: 1}
	openFolderT(t, dir, opt)
	opt.Warn = func(err error) { warnings = append(warnings, err.Error()) }
	set := openFolderT(t, dir, opt).Train
	for _, name := range []string{"a/03.png", "a/04.png", "a/19.png", "b/00.png"} {
		if err := os.Remove(filepath.Join(dir, filepath.FromSlash(name))); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		got := pixelsOf(t, set)
		const size = 1 + 4*6*3
		for i, want := range map[int][2]byte{3: {0, 15}, 4: {0, 15}, 5: {0, 15}, 19: {0, 10}, 20: {1, 111}, 21: {1, 111}} {
			if g := [2]byte(got[i*size : i*size+2]); g != want {
				t.Errorf("image %d is %v, want %v", i, g, want)
			}
		}
	}
	if len(warnings) != 4 || !strings.Contains(warnings[0], "03.png") {
		t.Errorf("warnings %q", warnings)
	}
	// A folder that is gone is an error, and so is one picture if nobody is warned.
	gone := openFolderT(t, dir, opt).Train
	silent := opt
	silent.Warn = nil
	strict := openFolderT(t, dir, silent).Train
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	dst := make([]byte, 4*6*3)
	if _, err := gone.Read(0, dst); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if _, err := strict.Read(0, dst); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// A file that changed behind the index's back has its own pixels, and is named once.
func TestChangeWithoutTraceIsFound(t *testing.T) {
	dir, opt := indexed(t)
	openFolderT(t, dir, opt)
	path := filepath.Join(dir, "a", "00.png")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	writeImage(t, path, solid(4, 6, color.NRGBA{77, 50, 60, 255}))
	if now, err := os.Stat(path); err != nil || now.Size() != info.Size() {
		t.Fatalf("%d bytes instead of %d, %v", now.Size(), info.Size(), err)
	}
	if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	var warnings []error
	opt.Warn = func(err error) { warnings = append(warnings, err) }
	set := openFolderT(t, dir, opt)
	if got := reds(t, set.Train)[0][0]; got != 77 {
		t.Errorf("red %d, want that of the file", got)
	}
	if len(warnings) != 1 || !errors.Is(warnings[0], errIndexWrong) || !strings.Contains(warnings[0].Error(), "00.png") {
		t.Errorf("warnings %v", warnings)
	}
	if files, _ := filepath.Glob(filepath.Join(opt.Index, "*")); len(files) > 0 {
		t.Errorf("the wrong index is still there: %v", files)
	}
}

func TestIndexDependsOnTheReader(t *testing.T) {
	dir, opt := indexed(t)
	openFolderT(t, dir, opt)
	opt.ImageSize = [2]int{8, 8}
	openFolderT(t, dir, opt)
	if files, _ := filepath.Glob(filepath.Join(opt.Index, "*-images.jsonl")); len(files) != 2 {
		t.Errorf("%d indexes of images, want one for each size", len(files))
	}
	onlyIndex(t, opt, "files")
	opt.IgnoreOrientation = true
	openFolderT(t, dir, opt)
	if files, _ := filepath.Glob(filepath.Join(opt.Index, "*-files.jsonl")); len(files) != 2 {
		t.Errorf("%d indexes of files, want one for each orientation", len(files))
	}
}

func TestOldIndexesAreRemoved(t *testing.T) {
	dir, opt := indexed(t)
	for i := range maxIndexes + 5 {
		writeFile(t, filepath.Join(opt.Index, fmt.Sprintf("%03d.jsonl", i)), nil)
	}
	age(t, opt.Index)
	openFolderT(t, dir, opt)
	if files, _ := filepath.Glob(filepath.Join(opt.Index, "*.jsonl")); len(files) != maxIndexes {
		t.Errorf("%d indexes, want %d", len(files), maxIndexes)
	}
}

func FuzzIndex(f *testing.F) {
	head := indexHead{Version: indexVersion, Folder: "/photos", Settings: "none"}
	seal := func(lines string) []byte {
		return fmt.Appendf(nil, `{"trainer_index":2,"folder":"/photos","settings":"none","files":1,"sum":"%s"}`+"\n%s", sumOf([]byte(lines)), lines)
	}
	for _, lines := range []string{
		`{"name":"a/1.png","size":80,"time":1,"h":4,"w":6,"orientation":1,"memory":288,"decoded":true}`,
		`{"name":"a/1.png","size":80,"time":1,"reason":"unexpected EOF"}`,
		`{"name":"a/1.png","size":80,"time":1,"h":4000000000,"w":4000000000,"orientation":9,"memory":-1}`,
		`{"name":"a/1.png","size":80,"time":1,"sum":[240,1,2],"squares":[2400,7,8]}`,
	} {
		f.Add(seal(lines), true)
		f.Add([]byte(lines), false)
	}
	f.Fuzz(func(t *testing.T, raw []byte, isWhole bool) {
		if !isWhole {
			raw = seal(string(raw))
		}
		if lines, err := parseIndexLines[fileLine](raw, head); err == nil {
			checkFileLines(t, lines)
		}
		lines, err := parseIndexLines[imageLine](raw, head)
		if err != nil {
			return
		}
		const n, c = 4 * 6, 3
		if all, err := parseImageLines(lines, n, c); err == nil {
			for name, l := range all {
				if name == "" || len(l.Sum) != c || len(l.Squares) != c || slices.Max(l.Sum) > n*255 || slices.Max(l.Squares) > n*255*255 {
					t.Fatalf("%q: %+v", name, l)
				}
			}
		}
	})
}

func checkFileLines(t *testing.T, lines []fileLine) {
	t.Helper()
	all, err := parseFileLines(lines)
	if err != nil {
		return
	}
	for name, c := range all {
		i := c.info
		if name == "" || c.reason == "" && (i.h < 1 || i.w < 1 || i.h > maxPixels/i.w || i.orientation < 1 || i.orientation > 8 || i.memory < int64(i.h*i.w)) || len(c.reason) > maxReason {
			t.Fatalf("%q: %+v", name, c)
		}
	}
}

func TestOpeningTellsItsProgress(t *testing.T) {
	dir, opt := indexed(t)
	for start := range 2 { // the second one knows all files
		last := map[OpeningStage][2]int{}
		opt.Opening = func(stage OpeningStage, done, total int) { last[stage] = [2]int{done, total} }
		openFolderT(t, dir, opt)
		want := map[OpeningStage][2]int{FindingPictures: {10, 0}, ReadingSizes: {10, 10}, CheckingPictures: {10 - start, 10}}
		if fmt.Sprint(last) != fmt.Sprint(want) {
			t.Errorf("start %d: %v, want %v", start, last, want)
		}
	}
}
