package data

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
)

// pixel returns image i's bytes at row y and column x.
func pixel(t *testing.T, set Set, i, y, x int) []byte {
	t.Helper()
	h, w, c := set.ImageShape()
	all := make([]byte, h*w*c)
	if _, err := set.Read(i, all); err != nil {
		t.Fatal(err)
	}
	return all[(y*w+x)*c:][:c]
}

// alone opens a folder with one training image of class a and returns it as a set; class b is a white image.
func alone(t *testing.T, opt Options, write func(path string)) *Dataset {
	t.Helper()
	dir := t.TempDir()
	write(filepath.Join(dir, "train", "a", "1"))
	writeImage(t, filepath.Join(dir, "train", "b", "1.png"), solid(4, 6, color.White))
	writeImage(t, filepath.Join(dir, "test", "b", "1.png"), solid(4, 6, color.White))
	return openFolderT(t, dir, opt)
}

// Black strokes on transparent pixels, which all decode to zeros, are laid on a background from which they differ.
func TestTransparentPicturesAreLaidOnTheBackground(t *testing.T) {
	stroke := image.NewNRGBA(image.Rect(0, 0, 6, 4))
	for x := range 6 {
		stroke.Set(x, 2, color.NRGBA{0, 0, 0, 255})
	}
	stroke.Set(0, 0, color.NRGBA{255, 0, 0, 51}) // a fifth
	palette := image.NewPaletted(image.Rect(0, 0, 6, 4), color.Palette{color.NRGBA{}, color.NRGBA{0, 0, 0, 255}})
	for x := range 6 {
		palette.SetColorIndex(x, 2, 1)
	}
	for _, c := range []struct {
		name       string
		im         image.Image
		background color.NRGBA
		y, x       int
		want       []byte
	}{
		{"white is the default", stroke, color.NRGBA{}, 3, 3, []byte{255, 255, 255}},
		{"the stroke stays", stroke, color.NRGBA{}, 2, 3, []byte{0, 0, 0}},
		{"a fifth of red over white", stroke, color.NRGBA{}, 0, 0, []byte{255, 204, 204}},
		{"another background", stroke, color.NRGBA{10, 20, 30, 255}, 3, 3, []byte{10, 20, 30}},
		{"a palette with a transparent entry", palette, color.NRGBA{}, 3, 3, []byte{255, 255, 255}},
	} {
		for _, memory := range []int64{0, 1} {
			set := alone(t, Options{Background: c.background, MaxMemory: memory}, func(path string) { writeImage(t, path+".png", c.im) })
			got := pixel(t, set.Train, 0, c.y, c.x)
			if len(got) == 1 { // the palette is gray
				got = bytes.Repeat(got, 3)
			}
			if !near(got, c.want) {
				t.Errorf("%s: %v, want %v", c.name, got, c.want)
			}
			if set.Pictures.Transparent != 1 {
				t.Errorf("%s: %d transparent pictures, want 1", c.name, set.Pictures.Transparent)
			}
		}
	}
}

// The content of a file decides its kind, not its name.
func TestFormats(t *testing.T) {
	red := solid(4, 6, color.NRGBA{200, 40, 90, 255})
	var b bytes.Buffer
	write := func(path string, encode func() error) {
		t.Helper()
		b.Reset()
		if err := encode(); err != nil {
			t.Fatal(err)
		}
		writeFile(t, path, b.Bytes())
	}
	for name, encode := range map[string]func() error{
		".png":             func() error { return png.Encode(&b, red) },
		".jfif":            func() error { return jpeg.Encode(&b, red, &jpeg.Options{Quality: 100}) },
		".bmp":             func() error { return bmp.Encode(&b, red) },
		".tif":             func() error { return tiff.Encode(&b, red, nil) },
		"-named.png":       func() error { return tiff.Encode(&b, red, nil) },
		"-without-ending":  func() error { return png.Encode(&b, red) },
		"-lossless.webp":   func() error { return fromTestdata(&b, "red.webp") },
		"-still.gif":       func() error { return gif.Encode(&b, red, nil) },
		"-animated.gif":    func() error { return animation(&b, red) },
		"-upper-case.JPEG": func() error { return jpeg.Encode(&b, red, &jpeg.Options{Quality: 100}) },
	} {
		set := alone(t, Options{}, func(path string) { write(path+name, encode) })
		got := pixel(t, set.Train, 0, 1, 1)
		if d := int(got[0]) - 200; d < -25 || d > 25 { // a GIF has few colours
			t.Errorf("%s: %v, want about {200 40 90}", name, got)
		}
	}
	set := alone(t, Options{}, func(path string) {
		writeImage(t, path+".png", red)
		writeFile(t, path+".heic", []byte("\x00\x00\x00\x18ftypheic and more"))
		writeFile(t, path+"-by-content", []byte("\x00\x00\x00\x18ftypavif and more"))
		writeFile(t, path+".CR2", []byte("II*\x00\x10\x00\x00\x00CR"))
		writeFile(t, path+".txt", []byte("II is no picture"))
	})
	if got := fmt.Sprint(set.Pictures.Unsupported); set.Train.Len() != 2 || got != "map[avif:1 heic:1 raw:1]" {
		t.Errorf("%d images, unsupported %s", set.Train.Len(), got)
	}
}

// fromTestdata copies a file of testdata.
func fromTestdata(b *bytes.Buffer, name string) error {
	content, err := os.ReadFile(filepath.Join("testdata", name))
	b.Write(content)
	return err
}

// animation writes two frames; the second is black.
func animation(b *bytes.Buffer, first image.Image) error {
	frames := &gif.GIF{}
	for _, im := range []image.Image{first, solid(4, 6, color.Black)} {
		frame := image.NewPaletted(im.Bounds(), color.Palette{color.NRGBA{200, 40, 90, 255}, color.Black})
		for y := range 4 {
			for x := range 6 {
				frame.Set(x, y, im.At(x, y))
			}
		}
		frames.Image, frames.Delay = append(frames.Image, frame), append(frames.Delay, 1)
	}
	return gif.EncodeAll(b, frames)
}

// withOrientation puts an EXIF block with the orientation behind a JPEG's first marker.
func withOrientation(jpg []byte, orientation byte) []byte {
	exif := []byte("\xff\xe1\x00\x22Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00")
	exif[4+6+8+2+9] = orientation
	return slices.Concat(jpg[:2], exif, jpg[2:])
}

// Each orientation is the stored form of one scene: red at the top left, green at the top right, blue at the bottom left.
func TestPicturesAreTurnedUpright(t *testing.T) {
	const h, w = 16, 24
	scene := func(y, x int) color.NRGBA {
		switch {
		case y < h/2 && x < w/2:
			return color.NRGBA{255, 0, 0, 255}
		case y < h/2:
			return color.NRGBA{0, 255, 0, 255}
		case x < w/2:
			return color.NRGBA{0, 0, 255, 255}
		}
		return color.NRGBA{255, 255, 255, 255}
	}
	// stored returns the row and column of the stored picture for a row and column of the scene, following the wording
	// of the standard.
	stored := map[byte]func(y, x int) (int, int){
		1: func(y, x int) (int, int) { return y, x },                 // row 0 is the top, column 0 the left
		2: func(y, x int) (int, int) { return y, w - 1 - x },         // top, right
		3: func(y, x int) (int, int) { return h - 1 - y, w - 1 - x }, // bottom, right
		4: func(y, x int) (int, int) { return h - 1 - y, x },         // bottom, left
		5: func(y, x int) (int, int) { return x, y },                 // row 0 is the left, column 0 the top
		6: func(y, x int) (int, int) { return w - 1 - x, y },         // row 0 is the right, column 0 the top
		7: func(y, x int) (int, int) { return w - 1 - x, h - 1 - y }, // right, bottom
		8: func(y, x int) (int, int) { return x, h - 1 - y },         // left, bottom
	}
	for orientation, at := range stored {
		sh, sw := h, w
		if orientation >= 5 {
			sh, sw = w, h
		}
		im := image.NewNRGBA(image.Rect(0, 0, sw, sh))
		for y := range h {
			for x := range w {
				sy, sx := at(y, x)
				im.Set(sx, sy, scene(y, x))
			}
		}
		var b bytes.Buffer
		if err := jpeg.Encode(&b, im, &jpeg.Options{Quality: 100}); err != nil {
			t.Fatal(err)
		}
		file := withOrientation(b.Bytes(), orientation)
		set := alone(t, Options{}, func(path string) { writeFile(t, path+".jpg", file) })
		if gh, gw, _ := set.Train.ImageShape(); gh != h || gw != w {
			t.Fatalf("orientation %d: %dx%d, want %dx%d", orientation, gh, gw, h, w)
		}
		for _, p := range [][2]int{{2, 2}, {2, 20}, {13, 2}, {13, 20}} {
			want := scene(p[0], p[1])
			got := pixel(t, set.Train, 0, p[0], p[1])
			for k, v := range []byte{want.R, want.G, want.B} {
				if d := int(got[k]) - int(v); d < -40 || d > 40 {
					t.Errorf("orientation %d: pixel %v is %v, want about %v", orientation, p, got, want)
					break
				}
			}
		}
		if want := min(1, int(orientation)-1); set.Pictures.Turned != want {
			t.Errorf("orientation %d: %d turned, want %d", orientation, set.Pictures.Turned, want)
		}
		ignored := alone(t, Options{IgnoreOrientation: true}, func(path string) { writeFile(t, path+".jpg", file) })
		if gh, gw, _ := ignored.Train.ImageShape(); gh != sh || gw != sw || ignored.Pictures.Turned != 0 {
			t.Errorf("orientation %d ignored: %dx%d, want %dx%d", orientation, gh, gw, sh, sw)
		}
	}
}

// A picture of three vertical bands, 12 wide and 4 high, is resized to 4x4.
func TestResize(t *testing.T) {
	bands := image.NewNRGBA(image.Rect(0, 0, 12, 4))
	for y := range 4 {
		for x := range 12 {
			bands.Set(x, y, []color.NRGBA{{255, 0, 0, 255}, {0, 255, 0, 255}, {0, 0, 255, 255}}[x/4])
		}
	}
	for way, want := range map[Resize][3][]byte{ // at (0,0), (2,1), (2,2)
		ResizeCrop:    {{0, 255, 0}, {0, 255, 0}, {0, 255, 0}},
		ResizePad:     {{255, 255, 255}, nil, nil},
		ResizeStretch: {nil, nil, nil},
	} {
		set := alone(t, Options{ImageSize: [2]int{4, 4}, Resize: way}, func(path string) { writeImage(t, path+".png", bands) })
		for k, at := range [][2]int{{0, 0}, {2, 1}, {2, 2}} {
			if got := pixel(t, set.Train, 0, at[0], at[1]); want[k] != nil && !near(got, want[k]) {
				t.Errorf("%s: pixel %v is %v, want %v", way, at, got, want[k])
			}
		}
		if set.Pictures.Resized != 3 || set.Pictures.Resize != way {
			t.Errorf("%s: %d resized by %q", way, set.Pictures.Resized, set.Pictures.Resize)
		}
	}
	stretched := alone(t, Options{ImageSize: [2]int{4, 4}}, func(path string) { writeImage(t, path+".png", bands) })
	if left, right := pixel(t, stretched.Train, 0, 2, 0), pixel(t, stretched.Train, 0, 2, 3); left[0] < 150 || right[2] < 150 {
		t.Errorf("stretched: left %v, right %v; want mostly red and mostly blue", left, right)
	}
	if _, err := Open(context.Background(), t.TempDir(), Options{Resize: "squash"}); err == nil || !strings.Contains(err.Error(), "crop") {
		t.Errorf("an unknown way to resize: %v", err)
	}
}

// Pictures below a class's folder count, however deep; links are followed once, and never in circles.
func TestNestedFolders(t *testing.T) {
	dir := t.TempDir()
	cats := filepath.Join(dir, "cats")
	writeClass(t, cats, 2, 0)
	writeClass(t, filepath.Join(cats, "indoor"), 3, 10)
	writeClass(t, filepath.Join(cats, "outdoor", "garden"), 4, 20)
	writeClass(t, filepath.Join(dir, "dogs"), 9, 100)
	elsewhere := t.TempDir()
	writeClass(t, elsewhere, 5, 30)
	link(t, elsewhere, filepath.Join(cats, "linked"))
	link(t, elsewhere, filepath.Join(cats, "linked again"))
	set := openFolderT(t, dir, Options{})
	if n := set.Train.Len() + set.Test.Len(); n != 2+3+4+5+9 {
		t.Errorf("%d pictures, want 23", n)
	}
	link(t, cats, filepath.Join(cats, "outdoor", "back"))
	_, err := Open(context.Background(), dir, Options{})
	wantFormatError(t, err, filepath.Join(cats, "outdoor", "back"), -1, "link back")
}

func link(t *testing.T, to, at string) {
	t.Helper()
	if err := os.Symlink(to, at); err != nil {
		t.Skip(err)
	}
}

// Files and folders that other programs, and this one, leave beside the class folders are not classes.
func TestFoldersThatAreNoClasses(t *testing.T) {
	dir := t.TempDir()
	writeClass(t, filepath.Join(dir, "red"), 5, 0)
	writeClass(t, filepath.Join(dir, "blue"), 5, 100)
	writeFile(t, filepath.Join(dir, "__MACOSX", "red", "._00.jpg"), []byte("no picture"))
	for _, name := range []string{"config.toml", "metrics.jsonl"} {
		writeFile(t, filepath.Join(dir, "runs", "2026-01-31-red-mnist", name), nil)
	}
	if got := openFolderT(t, dir, Options{}).Train.Classes(); !slices.Equal(got, []string{"blue", "red"}) {
		t.Errorf("classes %v", got)
	}
}

func TestNumbersSortAsNumbers(t *testing.T) {
	dir := t.TempDir()
	for _, class := range []string{"10", "9", "007", "abc", "100"} {
		writeClass(t, filepath.Join(dir, class), 2, 0)
	}
	if got := openFolderT(t, dir, Options{}).Train.Classes(); !slices.Equal(got, []string{"007", "9", "10", "100", "abc"}) {
		t.Errorf("classes %v", got)
	}
}

// "train" may be a part of the data or a class, and parts have many names.
func TestLayouts(t *testing.T) {
	class := t.TempDir()
	for _, name := range []string{"bus", "car", "train"} {
		writeClass(t, filepath.Join(class, name), 5, 0)
	}
	if got := openFolderT(t, class, Options{}).Train.Classes(); !slices.Equal(got, []string{"bus", "car", "train"}) {
		t.Errorf("classes %v", got)
	}
	dir := t.TempDir()
	for part, n := range map[string]int{"Training": 6, "Valid": 3, "TESTING": 2} {
		writeClass(t, filepath.Join(dir, part, "a"), n, 0)
		writeClass(t, filepath.Join(dir, part, "b"), n, 100)
	}
	set := openFolderT(t, dir, Options{})
	if set.Train.Len() != 12 || set.Val == nil || set.Val.Len() != 6 || set.Test.Len() != 4 {
		t.Errorf("train %v, val %v, test %v", set.Train.Len(), set.Val, set.Test.Len())
	}
}

func TestOneClassIsRefused(t *testing.T) {
	dir := t.TempDir()
	writeClass(t, filepath.Join(dir, "cat"), 12, 0)
	_, err := Open(context.Background(), dir, Options{})
	wantFormatError(t, err, dir, -1, "two classes", `"cat"`)
}

// Reading must not wait for a pipe.
func TestPipesAreRefused(t *testing.T) {
	dir := t.TempDir()
	writeClass(t, filepath.Join(dir, "a"), 5, 0)
	writeClass(t, filepath.Join(dir, "b"), 5, 100)
	if err := mkfifo(filepath.Join(dir, "a", "pipe.png")); err != nil {
		t.Skip(err)
	}
	set := openFolderT(t, dir, Options{})
	if set.Train.Len()+set.Test.Len() != 10 || len(set.Skipped) != 1 || !strings.Contains(set.Skipped[0], "not a regular file") {
		t.Errorf("%d + %d images, skipped %q", set.Train.Len(), set.Test.Len(), set.Skipped)
	}
}

// BenchmarkPicture decodes and resizes a photograph's worth of JPEG: 500x375, 4:2:0.
func BenchmarkPicture(b *testing.B) {
	im := randomYCbCr(rand.New(rand.NewPCG(1, 2)), image.Point{}, 375, 500, image.YCbCrSubsampleRatio420)
	for i := range im.Y { // smooth, with some noise
		im.Y[i] = byte(128 + 60*math.Sin(float64(i%im.YStride)/40) + float64(im.Y[i])/16)
	}
	for i := range im.Cb {
		im.Cb[i], im.Cr[i] = byte(128+i%im.CStride/8), byte(128+i/im.CStride/8)
	}
	var file bytes.Buffer
	if err := jpeg.Encode(&file, im, &jpeg.Options{Quality: 92}); err != nil {
		b.Fatal(err)
	}
	for _, size := range []int{64, 224} {
		r := &pictureReader{h: size, w: size, c: 3, resize: ResizeStretch}
		dst := make([]byte, 3*size*size)
		b.Run(fmt.Sprintf("decode-%d", size), func(b *testing.B) {
			for b.Loop() {
				decoded, _, err := image.Decode(bytes.NewReader(file.Bytes()))
				if err != nil {
					b.Fatal(err)
				}
				r.pixels(decoded, 1, dst)
			}
		})
		b.Run(fmt.Sprintf("resize-%d", size), func(b *testing.B) {
			for b.Loop() {
				r.pixels(im, 1, dst)
			}
		})
	}
}
