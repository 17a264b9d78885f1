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

func indexFile(t *testing.T, opt Options) string {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(opt.Index, "*.jsonl"))
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
			indexFile(t, opt)
		}
	}
}

// With an index, a folder too large for memory is opened without opening a picture.
func TestIndexSavesChecking(t *testing.T) {
	dir, opt := indexed(t)
	opt.MaxMemory = 1
	openFolderT(t, dir, opt)
	file := indexFile(t, opt)
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
	raw, err := os.ReadFile(indexFile(t, opt))
	if err != nil || bytes.Contains(raw, []byte("a/04.png")) {
		t.Errorf("the index has a file that may still change: %v\n%s", err, raw)
	}
}

// Whatever a stranger wrote: the pixels are those of the files.
func TestWrongIndexChangesNoPixel(t *testing.T) {
	for _, change := range [][2]string{
		{`"w":6`, `"w":5`}, {`"orientation":1`, `"orientation":6`}, {`"h":4,`, `"h":4,"gray":true,`},
		{`"w":6`, `"w":-6`}, {`"trainer_index":1`, `"trainer_index":2`}, {`"files":10`, `"files":9`}, {`"a/00.png"`, `"a/01.png"`},
		{`{"name"`, `["name"`}, {`"spread"`, `"sum":"00","spread"`}, {`"memory":`, `"memory":9`}, {`"size":`, `"size":-`},
	} {
		dir, opt := indexed(t)
		want := pixelsOf(t, openFolderT(t, dir, opt).Train)
		file := indexFile(t, opt)
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		wrong := strings.ReplaceAll(string(raw), change[0], change[1])
		writeFile(t, file, []byte(wrong))
		got, err := Open(context.Background(), dir, opt)
		if err != nil {
			t.Errorf("%v: %v", change, err)
			continue
		}
		if !bytes.Equal(pixelsOf(t, got.Train), want) {
			t.Errorf("%v: other pixels", change)
		}
	}
}

func TestWrongIndexOfALargeFolderIsAnError(t *testing.T) {
	dir, opt := indexed(t)
	opt.MaxMemory = 1
	openFolderT(t, dir, opt)
	file := indexFile(t, opt)
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, file, bytes.ReplaceAll(raw, []byte(`"orientation":1`), []byte(`"orientation":6`)))
	set := openFolderT(t, dir, opt)
	h, w, c := set.Train.ImageShape()
	if _, err := set.Train.Read(0, make([]byte, h*w*c)); !errors.Is(err, errIndexWrong) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("the wrong index is still there")
	}
}

func TestIndexDependsOnTheReader(t *testing.T) {
	dir, opt := indexed(t)
	openFolderT(t, dir, opt)
	opt.ImageSize = [2]int{8, 8}
	openFolderT(t, dir, opt)
	if files, _ := filepath.Glob(filepath.Join(opt.Index, "*.jsonl")); len(files) != 2 {
		t.Errorf("%d indexes, want one for each size", len(files))
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
	head := indexHead{indexVersion, "/photos", "none", 0}
	first := `{"trainer_index":1,"folder":"/photos","settings":"none","files":1}` + "\n"
	f.Add([]byte(first + `{"name":"a/1.png","size":80,"time":1,"h":4,"w":6,"orientation":1,"memory":288,"decoded":true,"spread":2.5}`))
	f.Add([]byte(first + `{"name":"a/1.png","size":80,"time":1,"reason":"unexpected EOF"}`))
	f.Add([]byte(first + `{"name":"a/1.png","size":80,"time":1,"h":4000000000,"w":4000000000,"orientation":9,"memory":-1}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		all, err := parseIndex(raw, head)
		if err != nil {
			return
		}
		for name, c := range all {
			i := c.info
			if name == "" || c.reason == "" && (i.h < 1 || i.w < 1 || i.h > maxPixels/i.w || i.orientation < 1 || i.orientation > 8 || i.memory < int64(i.h*i.w)) || len(c.reason) > maxReason {
				t.Fatalf("%q: %+v", name, c)
			}
		}
	})
}
