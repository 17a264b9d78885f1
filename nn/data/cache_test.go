package data

import (
	"bytes"
	"image/color"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// TestCache keeps as many images as the cache has room for, training images first: those are read after their files are
// gone, and give the same pixels as decoding.
func TestCache(t *testing.T) {
	dir := t.TempDir()
	for k, part := range []string{"train/a", "train/b", "test/a", "test/b"} {
		for i := range 3 {
			writeImage(t, filepath.Join(dir, part, strconv.Itoa(i)+".png"), solid(4, 6, color.Gray{uint8(10*k + i)}))
		}
	}
	const size = 4 * 6 * 3
	whole := openFolderT(t, dir, Options{})
	all := allPixels(t, whole.Train)
	var sets []*Dataset
	limits := map[int64]int{-1: 0, size - 1: 0, 2*size + 1: 2, 6 * size: 6, 8 * size: 8, 12 * size: 12, 1 << 20: 12}
	var want []int
	for cache, images := range limits {
		d := openFolderT(t, dir, Options{Cache: cache})
		if got := allPixels(t, d.Train); !bytes.Equal(got, all) {
			t.Errorf("cache of %d bytes: other pixels", cache)
		}
		sets, want = append(sets, d), append(want, images)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	for k, d := range sets {
		got := 0
		for _, set := range []Set{d.Train, d.Test} {
			for i := range set.Len() {
				if _, err := set.Read(i, make([]byte, size)); err == nil {
					got++
				}
			}
		}
		if got != want[k] {
			t.Errorf("%d images in memory, want %d", got, want[k])
		}
	}
}

// allPixels returns all images of a set.
func allPixels(t *testing.T, set Set) []byte {
	t.Helper()
	h, w, c := set.ImageShape()
	all := make([]byte, set.Len()*h*w*c)
	for i := range set.Len() {
		if _, err := set.Read(i, all[i*h*w*c:][:h*w*c]); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func TestAutoSize(t *testing.T) {
	for _, tt := range []struct {
		sides [][2]int // of pictures
		want  int
	}{
		{[][2]int{{10, 10}}, 64}, {[][2]int{{64, 900}}, 64}, {[][2]int{{95, 95}}, 64}, {[][2]int{{96, 200}}, 96},
		{[][2]int{{5000, 4000}}, 224}, {[][2]int{{3, 3}, {130, 130}, {5000, 5000}}, 128},
	} {
		p := &parts{}
		for _, s := range tt.sides {
			p.train = append(p.train, folderImage{info: pictureInfo{h: s[0], w: s[1]}})
		}
		if got := sizeFor(p); got != [2]int{tt.want, tt.want} {
			t.Errorf("pictures of %v: %v, want %d", tt.sides, got, tt.want)
		}
	}
	d := alone(t, Options{AutoSize: true}, func(path string) { writeImage(t, path+".png", solid(100, 130, color.Black)) })
	if h, w, _ := d.Train.ImageShape(); h != 64 || w != 64 { // two of the three pictures are 4x6
		t.Errorf("%dx%d", h, w)
	}
}
