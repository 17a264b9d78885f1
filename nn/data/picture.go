package data

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	_ "image/gif" // registers the decoder, which decodes the first frame
	_ "image/jpeg"
	_ "image/png"
	"io"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/bep/imagemeta"
	_ "golang.org/x/image/bmp"
	"golang.org/x/image/draw"
	_ "golang.org/x/image/tiff"
	_ "golang.org/x/image/webp"

	"trainer/nn/bounded"
)

// Resize says how to resize a picture.
type Resize string

// The ways to resize. All of them leave a picture that already has the size unchanged.
const (
	// ResizeCrop scales the picture until it covers the size, and cuts off the excess equally on both sides.
	ResizeCrop Resize = "crop"
	// ResizePad scales the picture until it fits, and centres it on the background.
	ResizePad Resize = "pad"
	// ResizeStretch scales height and width separately, ignoring the proportions.
	ResizeStretch Resize = "stretch"
)

// Resizes returns the names of the ways to resize.
func Resizes() []Resize { return []Resize{ResizeCrop, ResizePad, ResizeStretch} }

// pictureReader turns picture files into pixels of one size.
type pictureReader struct {
	h, w, c           int
	resize            Resize
	background        color.NRGBA // behind transparent pixels, and around padded pictures
	ignoreOrientation bool
	inFull            bool // never decode at a scale
	decoding          pictureMemory
	scratch           sync.Pool // of *planeResizer
	jpegs             sync.Pool // of *scaledjpeg.Decoder
	pngs              sync.Pool // of *plainpng.Decoder
	contents          sync.Pool // of *[]byte, for small files
}

// pictureInfo is the information in a file's header.
type pictureInfo struct {
	h, w        int // upright
	gray        bool
	orientation int   // EXIF, 1 to 8: 1 is upright
	memory      int64 // bytes that decoding takes (decodeMemory)
	isJPEG      bool
}

// decoded is the information that only decoding gives.
type decoded struct {
	transparent bool // at least one pixel is not opaque
}

// readPictureInfo reads size, colour model and orientation. The content decides the format, not the name.
func (r *pictureReader) readPictureInfo(t opener, name string) (pictureInfo, error) {
	file, err := t.open(name)
	if err != nil {
		return pictureInfo{}, err
	}
	defer file.Close()
	config, format, err := image.DecodeConfig(file)
	if err != nil {
		return pictureInfo{}, err
	}
	if config.Width <= 0 || config.Height <= 0 || config.Height > maxPixels/config.Width {
		return pictureInfo{}, fmt.Errorf("want 1 to %d pixels, got %dx%d", maxPixels, config.Height, config.Width)
	}
	info := pictureInfo{gray: isGray(config.ColorModel), orientation: 1}
	segments := jpegSegments{hasEXIF: true}
	switch small, isInMemory := file.(contentFile); {
	case format == "png" && isInMemory:
		segments.hasEXIF = mayHaveEXIF(small.content)
	case format == "jpeg":
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return pictureInfo{}, err
		}
		segments, info.isJPEG = readSegments(file), true
	}
	if !r.ignoreOrientation && segments.hasEXIF {
		info.orientation = orientationOf(file, format)
	}
	info.memory = decodeMemory(config, format, segments.isProgressive, info.orientation > 1)
	info.h, info.w = uprightSize(config.Height, config.Width, info.orientation)
	return info, r.decoding.check(info, info.memory)
}

// orientationOf returns the EXIF orientation, 1 to 8, or 1 if it is missing or unreadable: a picture is never refused
// because of its metadata.
func orientationOf(file io.ReadSeeker, format string) int {
	kind, ok := map[string]imagemeta.ImageFormat{
		"jpeg": imagemeta.JPEG, "tiff": imagemeta.TIFF, "png": imagemeta.PNG, "webp": imagemeta.WebP,
	}[format]
	if !ok {
		return 1
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return 1
	}
	orientation := 1
	_, _ = imagemeta.Decode(imagemeta.Options{
		R: file, ImageFormat: kind, Sources: imagemeta.EXIF,
		ShouldHandleTag: func(t imagemeta.TagInfo) bool { return t.Tag == "Orientation" && t.Namespace == "IFD0" },
		HandleTag: func(t imagemeta.TagInfo) error {
			if v, ok := t.Value.(uint16); ok && v >= 1 && v <= 8 {
				orientation = int(v)
			}
			return imagemeta.ErrStopWalking
		},
	})
	return orientation
}

// isGray says whether images of the model have no colours: an RGB file of gray pixels counts
// as coloured.
func isGray(model color.Model) bool {
	palette, ok := model.(color.Palette)
	if !ok {
		return model == color.GrayModel || model == color.Gray16Model
	}
	for _, entry := range palette {
		c := color.NRGBAModel.Convert(entry).(color.NRGBA)
		if c.A > 0 && (c.R != c.G || c.G != c.B) {
			return false
		}
	}
	return true
}

// decode reads a picture file, lays it on the background, turns it upright, resizes it if necessary, and writes it to
// dst as HWC bytes. Resizing uses a triangle filter that is widened when shrinking: resizePlanes for gray pictures and those
// of luma and chroma, draw.BiLinear of golang.org/x/image for others. JPEG files that need resizing are decoded at a smaller
// scale (decodeScaled), small PNG files in memory that is used again (decodePNG).
func (r *pictureReader) decode(ctx context.Context, t opener, name string, info pictureInfo, dst []byte) (decoded, error) {
	memory := r.memory(info)
	if err := r.decoding.check(info, memory); err != nil {
		return decoded{}, err
	}
	file, err := t.open(name)
	if err != nil {
		return decoded{}, err
	}
	defer file.Close()
	if info.isJPEG && !r.inFull {
		if r.decodeScaled(ctx, file, info, dst) {
			return decoded{}, nil
		}
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return decoded{}, err
		}
	}
	done, err := r.decoding.take(ctx, memory)
	if err != nil {
		return decoded{}, err
	}
	defer done()
	if d, ok := r.decodePNG(file, info, dst); ok {
		return d, nil
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return decoded{}, err
	}
	im, _, err := image.Decode(bounded.Context(ctx, file))
	if err != nil {
		return decoded{}, err
	}
	return r.pixels(im, info.orientation, dst), nil
}

// pixels is decode for a picture that has been decoded.
func (r *pictureReader) pixels(im image.Image, orientation int, dst []byte) decoded {
	bounds := im.Bounds()
	if gray, ok := im.(*image.Gray); ok && r.c == 1 && orientation == 1 && bounds.Dx() == r.w && bounds.Dy() == r.h {
		for y := range r.h {
			copy(dst[y*r.w:(y+1)*r.w], gray.Pix[y*gray.Stride:])
		}
		return decoded{}
	}
	if planes := planesOf(im); planes != nil && !r.hasSize(bounds, orientation) {
		r.resizePlanes(planes, bounds, orientation, dst)
		return decoded{}
	}
	d := decoded{transparent: isTransparent(im)}
	if d.transparent {
		im = r.flatten(im)
	}
	canvas := r.fit(upright(im, orientation))
	for p := range r.h * r.w {
		rgba := canvas.Pix[4*p : 4*p+4]
		if r.c == 3 {
			copy(dst[3*p:3*p+3], rgba)
			continue
		}
		dst[p] = luma(rgba[0], rgba[1], rgba[2])
	}
	return d
}

// hasSize reports whether a stored picture has the reader's size once it is upright.
func (r *pictureReader) hasSize(stored image.Rectangle, orientation int) bool {
	if orientation >= 5 {
		return stored.Dx() == r.h && stored.Dy() == r.w
	}
	return stored.Dx() == r.w && stored.Dy() == r.h
}

// isTransparent reports whether a pixel is not opaque.
func isTransparent(im image.Image) bool {
	o, ok := im.(interface{ Opaque() bool })
	return ok && !o.Opaque()
}

// flatten lays the picture on the background: out = alpha*in + (1-alpha)*background.
func (r *pictureReader) flatten(im image.Image) image.Image {
	flat := image.NewRGBA(im.Bounds())
	draw.Draw(flat, flat.Bounds(), image.NewUniform(r.background), image.Point{}, draw.Src)
	draw.Draw(flat, flat.Bounds(), im, im.Bounds().Min, draw.Over)
	return flat
}

// upright turns and mirrors a picture as its EXIF orientation says.
func upright(im image.Image, orientation int) image.Image {
	if orientation <= 1 || orientation > 8 {
		return im
	}
	b := im.Bounds()
	h, w := b.Dy(), b.Dx()
	outH, outW := h, w
	if orientation >= 5 {
		outH, outW = w, h
	}
	out := image.NewRGBA(image.Rect(0, 0, outW, outH))
	for y := range outH {
		for x := range outW {
			sy, sx := storedAt(y, x, orientation, h, w)
			out.Set(x, y, im.At(b.Min.X+sx, b.Min.Y+sy))
		}
	}
	return out
}

// storedAt returns where the upright picture's pixel (y, x) is in the stored one of h x w pixels. The EXIF orientation
// (EXIF 2.32, tag 0x0112) says which sides of the scene the stored row 0 and column 0 show.
func storedAt(y, x, orientation, h, w int) (sy, sx int) {
	switch orientation {
	case 2: // mirrored left to right
		return y, w - 1 - x
	case 3: // upside down
		return h - 1 - y, w - 1 - x
	case 4: // mirrored top to bottom
		return h - 1 - y, x
	case 5: // transposed
		return x, y
	case 6: // turn clockwise
		return h - 1 - x, y
	case 7: // transposed along the other diagonal
		return h - 1 - x, w - 1 - y
	case 8: // turn counterclockwise
		return x, w - 1 - y
	}
	return y, x
}

// fit returns the picture in the reader's size, which may be im itself.
func (r *pictureReader) fit(im image.Image) *image.RGBA {
	if same, ok := im.(*image.RGBA); ok && same.Rect == image.Rect(0, 0, r.w, r.h) && same.Stride == 4*r.w {
		return same
	}
	canvas := image.NewRGBA(image.Rect(0, 0, r.w, r.h))
	b := im.Bounds()
	if b.Dx() == r.w && b.Dy() == r.h {
		draw.Draw(canvas, canvas.Bounds(), im, b.Min, draw.Src)
		return canvas
	}
	from, to := r.rectangles(b)
	if to != canvas.Bounds() {
		draw.Draw(canvas, canvas.Bounds(), image.NewUniform(r.background), image.Point{}, draw.Src)
	}
	draw.BiLinear.Scale(canvas, to, im, from, draw.Src, nil)
	return canvas
}

// rectangles returns which part of a picture is used, and the part of the image that it becomes; the rest is background.
func (r *pictureReader) rectangles(picture image.Rectangle) (from, to image.Rectangle) {
	from, to = picture, image.Rect(0, 0, r.w, r.h)
	switch r.resize {
	case ResizeCrop:
		from = centred(picture, r.w, r.h)
	case ResizePad:
		to = centred(to, picture.Dx(), picture.Dy())
	}
	return from, to
}

// centred returns the largest rectangle of the proportions w:h in the middle of r, at least one pixel in size.
func centred(r image.Rectangle, w, h int) image.Rectangle {
	width, height := r.Dx(), r.Dy()
	if width*h > height*w { // too wide
		width = max(1, (height*w+h/2)/h)
	} else {
		height = max(1, (width*h+w/2)/w)
	}
	x, y := r.Min.X+(r.Dx()-width)/2, r.Min.Y+(r.Dy()-height)/2
	return image.Rect(x, y, x+width, y+height)
}

// luma is the brightness of ITU-R BT.601, 0.299 r + 0.587 g + 0.114 b, as computed by image/color.
func luma(r, g, b byte) byte {
	return byte((19595*uint32(r) + 38470*uint32(g) + 7471*uint32(b) + 1<<15) >> 16)
}

// fileKind is the kind of a file in a class's folder.
type fileKind uint8

const (
	otherFile     fileKind = iota // not a picture: ignored
	pictureFile                   // a picture that can be read, or whose name says so
	foreignFormat                 // a picture in a format that can't be read
)

// signatures are the first bytes of the formats that can be read.
var signatures = [][]byte{
	[]byte("\x89PNG\r\n\x1a\n"), []byte("\xff\xd8\xff"), []byte("GIF87a"), []byte("GIF89a"), []byte("BM"),
	[]byte("II*\x00"), []byte("MM\x00*"),
}

// rawEndings are the endings of cameras' own formats, most of which begin like TIFF, and of other formats that can't be
// read.
var rawEndings = []string{
	".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dng", ".erf", ".kdc", ".mef", ".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf",
	".raw", ".rw2", ".sr2", ".srf", ".srw", ".x3f",
}

// foreignEndings are the endings of other picture formats that can't be read.
var foreignEndings = []string{
	".avif", ".dcm", ".exr", ".hdr", ".heic", ".heif", ".ico", ".jp2", ".jxl", ".pcx", ".pgm", ".ppm", ".psd", ".svg", ".tga", ".xcf",
}

// readableEndings are the endings of formats that can be read: a file with such a name that can't be read is reported.
var readableEndings = []string{".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}

// classify returns the kind of a file, judged by its first bytes and then by its name. kind names a format that can't
// be read.
func classify(t tree, name string) (what fileKind, kind string) {
	ending := strings.ToLower(path.Ext(name))
	for _, raw := range rawEndings {
		if ending == raw {
			return foreignFormat, "raw"
		}
	}
	head := firstBytes(t, name)
	if len(head) >= 12 && string(head[:4]) == "RIFF" && string(head[8:12]) == "WEBP" {
		return pictureFile, ""
	}
	for _, s := range signatures {
		if bytes.HasPrefix(head, s) {
			return pictureFile, ""
		}
	}
	if len(head) >= 12 && string(head[4:8]) == "ftyp" { // ISO base media: HEIF and AVIF name their brand
		switch brand := string(head[8:12]); brand {
		case "avif", "avis":
			return foreignFormat, "avif"
		case "heic", "heix", "heim", "heis", "hevc", "mif1", "msf1":
			return foreignFormat, "heic"
		}
	}
	for _, e := range foreignEndings {
		if ending == e {
			return foreignFormat, strings.TrimPrefix(e, ".")
		}
	}
	for _, e := range readableEndings {
		if ending == e {
			return pictureFile, ""
		}
	}
	return otherFile, ""
}

// hasPictureEnding reports whether the name alone says that a file is a picture, perhaps in a format that can't be read.
func hasPictureEnding(name string) bool {
	ending := strings.ToLower(path.Ext(name))
	return slices.Contains(readableEndings, ending) || slices.Contains(foreignEndings, ending) || slices.Contains(rawEndings, ending)
}

// firstBytes returns the beginning of a regular file, or nothing if the file can't be read.
func firstBytes(t tree, name string) []byte {
	file, err := t.open(name)
	if err != nil {
		return nil
	}
	defer file.Close()
	head := make([]byte, 16)
	n, _ := io.ReadFull(file, head)
	return head[:n]
}
