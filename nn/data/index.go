package data

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
	"unicode/utf8"

	"trainer/nn/bounded"
)

// The index of a folder of pictures, an archive or Parquet files remembers what checking the pictures found, so that the next
// start needn't open them. It is two files in Options.Index. One is about the files, and is the same for all ways to read
// pictures but for their orientation: sizes, gray or not, which files can't be decoded and why, and the checksums that an
// examination took.
//
//	{"trainer_index":2,"folder":"/home/ann/photos","settings":"...","files":2,"sum":"..."}
//	{"name":"cat/1.jpg","size":12345,"time":1700000000000000000,"h":480,"w":640,...}
//	{"name":"cat/2.jpg",...,"reason":"invalid JPEG format: short Huffman data"}
//
// The other is about the images that the pictures become in one size (statistics).
//
//	{"name":"cat/1.jpg","size":12345,"time":1700000000000000000,"sum":[812345,...],"squares":[...]}
//
// A line counts only while the file has the same size and time of change; for a picture in an archive, these are the
// archive's. A file of the index whose checksum is wrong counts as missing. Anybody may have written the index: its size and
// all values are bounded, and an index with one wrong line counts as missing. No pixel depends on it: before a picture is
// decoded, its header is read from the file, its pixels are compared with the statistics, and a difference ends the use of
// the index (errIndexWrong).

// decodingVersion is part of every index. Raise it with each change after which a picture file becomes other pixels, is
// refused for another reason, or takes another amount of memory (pictureInfo): in the decoders, in picture*.go, or in
// triangle.go. TestDecodingVersion fails if the pixels of some files have changed and this number has not.
const decodingVersion = 3

const (
	indexVersion  = 2
	maxIndexBytes = 256 << 20
	maxIndexLine  = 16 << 10
	maxReason     = 1 << 10 // bytes of the text that says why a file can't be read
	maxIndexes    = 128     // files in the folder of indexes; the oldest are removed
)

// racyTime is the age below which a file's time of change says little: a change that follows within the resolution of
// the file system's clock leaves it the same.
const racyTime = 2 * time.Second

// errIndexWrong is a file that is not as the index says.
var errIndexWrong = errors.New("the file has changed and its size and time of change have not, so the index of its folder or archive has been removed")

// stamp is what tells a changed file.
type stamp struct{ size, time int64 }

// checked is what is known of a picture file.
type checked struct {
	stamp
	hasStamp  bool // it is a file of its own that the index can hold
	fromIndex bool // and was found there, so that its header has not been read in this process

	info        pictureInfo
	isDecoded   bool // it was decoded once
	transparent bool
	statistics  statistics // of its image; zero if they are not known
	reason      string     // why it can't be read, if that is because of its content
	format      string     // "jpeg", ...; "" before an examination
	sum         string     // SHA-256 of the file in hexadecimal; "" before an examination
}

// indexHead is the first line of a file of an index.
type indexHead struct {
	Version  int    `json:"trainer_index"`
	Folder   string `json:"folder"`
	Settings string `json:"settings"`
	Files    int    `json:"files"`
	Sum      string `json:"sum"` // SHA-256 of the other lines
}

// fileLine is a line about a file.
type fileLine struct {
	Name        string `json:"name"`
	Size        int64  `json:"size"`
	Time        int64  `json:"time"` // of change, in nanoseconds since 1970
	H           int    `json:"h,omitempty"`
	W           int    `json:"w,omitempty"`
	Gray        bool   `json:"gray,omitempty"`
	Orientation int    `json:"orientation,omitempty"`
	JPEG        bool   `json:"jpeg,omitempty"`
	Memory      int64  `json:"memory,omitempty"`
	Decoded     bool   `json:"decoded,omitempty"`
	Transparent bool   `json:"transparent,omitempty"`
	Reason      string `json:"reason,omitempty"`
	Format      string `json:"format,omitempty"`
	Sum         string `json:"sum,omitempty"`
}

// index is the index of a tree. A nil *index holds nothing.
type index struct {
	tree stampedTree

	files   indexFile
	before  map[string]*checked // as read
	isStale atomic.Bool         // something was found that the file doesn't have

	images        indexFile // of the size that describe was told; no name before
	imagesBefore  map[string]*imageLine
	imagesAreOld  atomic.Bool
	imageChannels int
}

// stampedTree is a tree whose files have a size and a time of change.
type stampedTree interface {
	tree
	// place returns the absolute path of the folder, without links.
	place() (string, error)
	// stamp returns the stamp of a regular file.
	stamp(name string) (stamp, bool)
}

// IndexFolder returns the usual value of Options.Index: "trainer/index" in the user's cache folder.
func IndexFolder() (string, error) {
	var opt Options
	return opt.cacheFolder("index")
}

// openIndex returns the index of a tree, which is empty if there is no valid file, or nil if the tree's files have no
// stamps or indexes are not wanted.
func openIndex(ctx context.Context, t tree, opt Options) *index {
	stamped, ok := t.(stampedTree)
	if !ok || opt.Index == "" {
		return nil
	}
	place, err := stamped.place()
	if err != nil || !utf8.ValidString(place) {
		return nil // reading the folder will report it
	}
	x := &index{tree: stamped, files: newIndexFile(opt.Index, place, "files", decodingSettings(opt))}
	var lines []fileLine
	if lines, err = readIndexLines[fileLine](ctx, x.files); err == nil {
		x.before, _ = parseFileLines(lines)
	}
	return x
}

// decodingSettings names everything that changes what is known of a picture file.
func decodingSettings(opt Options) string {
	return fmt.Sprintf("decoding %d, %s on %s, orientation %t", decodingVersion, runtime.Version(), runtime.GOARCH, !opt.IgnoreOrientation)
}

// parseFileLines returns what the lines say, by name.
func parseFileLines(lines []fileLine) (map[string]*checked, error) {
	all := make(map[string]*checked, len(lines))
	for i := range lines {
		l := &lines[i]
		c, err := l.checked()
		if err != nil {
			return nil, fmt.Errorf("%q: %w", l.Name, err)
		}
		if all[l.Name] != nil {
			return nil, fmt.Errorf("%q: named twice", l.Name)
		}
		all[l.Name] = c
	}
	return all, nil
}

// checked returns a line's contents, or an error if a value is impossible.
func (l *fileLine) checked() (*checked, error) {
	isReadable := l.Reason == ""
	switch {
	case l.Name == "" || l.Size < 0:
		return nil, errors.New("no file")
	case len(l.Reason) > maxReason:
		return nil, errors.New("a long reason")
	case isReadable && (l.H < 1 || l.W < 1 || l.H > maxPixels/l.W || l.Orientation < 1 || l.Orientation > 8):
		return nil, errors.New("impossible size")
	case isReadable && (l.Memory < int64(l.H)*int64(l.W) || l.Memory > 256*int64(l.H)*int64(l.W)):
		return nil, errors.New("impossible memory")
	case l.Format != "" && !slices.Contains(formats(), l.Format):
		return nil, errors.New("unknown format")
	case l.Sum != "" && !isSum(l.Sum):
		return nil, errors.New("impossible checksum")
	}
	return &checked{
		stamp: stamp{l.Size, l.Time}, hasStamp: true, fromIndex: true,
		info:      pictureInfo{h: l.H, w: l.W, gray: l.Gray, orientation: l.Orientation, memory: l.Memory, isJPEG: l.JPEG},
		isDecoded: l.Decoded, transparent: l.Transparent, reason: l.Reason, format: l.Format, sum: l.Sum,
	}, nil
}

func isSum(s string) bool {
	raw, err := hex.DecodeString(s)
	return err == nil && len(raw) == sha256.Size
}

// find returns what is known of a file that is unchanged since then, or else the stamp alone.
func (x *index) find(name string) checked {
	if x == nil {
		return checked{}
	}
	now, ok := x.tree.stamp(name)
	if !ok {
		return checked{}
	}
	if c := x.before[name]; c != nil && c.stamp == now {
		return *c
	}
	x.isStale.Store(true)
	return checked{stamp: now, hasStamp: time.Since(time.Unix(0, now.time)) > racyTime && utf8.ValidString(name)}
}

// knows reports whether a file is a picture, without opening it; false means that it is not known.
func (x *index) knows(name string) bool {
	return x != nil && x.before[name] != nil && x.find(name).fromIndex
}

// stale notes that something was found that the index doesn't have.
func (x *index) stale() {
	if x != nil {
		x.isStale.Store(true)
	}
}

// save writes the files of the index that have changed. What is known of files that were not listed, because the parts of
// an earlier run were opened, is kept. An index that can't be written is only missing.
func (x *index) save(images []folderImage) {
	if x == nil {
		return
	}
	listed := make(map[string]bool, len(images))
	var files []fileLine
	var all []imageLine
	for i := range images {
		if im := &images[i]; im.known.hasStamp {
			listed[im.name] = true
			files = append(files, im.fileLine())
			if im.known.statistics.isKnown {
				all = append(all, im.imageLine(x.imageChannels))
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(x.before)) {
		now, ok := stamp{}, false
		if !listed[name] {
			now, ok = x.tree.stamp(name)
		}
		c := x.before[name]
		if !ok || now != c.stamp {
			continue
		}
		files = append(files, (&folderImage{name: name, known: *c}).fileLine())
		if l := x.imagesBefore[name]; l != nil && now == (stamp{l.Size, l.Time}) {
			all = append(all, *l)
		}
	}
	if x.isStale.Load() || len(files) != len(x.before) {
		if writeIndexLines(x.files, files) == nil {
			x.isStale.Store(false)
		}
	}
	if x.images.name != "" && (x.imagesAreOld.Load() || len(all) != len(x.imagesBefore)) {
		if writeIndexLines(x.images, all) == nil {
			x.imagesAreOld.Store(false)
		}
	}
}

// fileLine returns the line about the file.
func (im *folderImage) fileLine() fileLine {
	k := &im.known
	l := fileLine{Name: im.name, Size: k.size, Time: k.time, Reason: k.reason, Format: k.format, Sum: k.sum}
	if k.reason == "" {
		l.H, l.W, l.Gray, l.Orientation, l.Memory, l.JPEG = k.info.h, k.info.w, k.info.gray, k.info.orientation, k.info.memory, k.info.isJPEG
		l.Decoded, l.Transparent = k.isDecoded, k.transparent
	}
	return l
}

// remove removes the files of an index that is wrong.
func (x *index) remove() {
	x.files.remove()
	x.images.remove()
}

// isContent reports whether an error of reading a picture is because of the file's content, and so will be the same the
// next time.
func isContent(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, bounded.ErrNotRegular) {
		return false
	}
	if _, isSystem := errors.AsType[syscall.Errno](err); isSystem {
		return false
	}
	if _, isPath := errors.AsType[*fs.PathError](err); isPath {
		return false
	}
	return !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) && len(err.Error()) <= maxReason && !errors.Is(err, errIndexWrong)
}

// formats returns the names of the formats that can be read.
func formats() []string { return []string{"bmp", "gif", "jpeg", "png", "tiff", "webp", "other"} }

// formatOf returns the format of a file that begins like this.
func formatOf(head []byte) string {
	starts := func(magic string) bool { return strings.HasPrefix(string(head), magic) }
	switch {
	case starts("\xff\xd8\xff"):
		return "jpeg"
	case starts("\x89PNG"):
		return "png"
	case starts("GIF8"):
		return "gif"
	case starts("BM"):
		return "bmp"
	case starts("II*\x00"), starts("MM\x00*"):
		return "tiff"
	case starts("RIFF"):
		return "webp"
	}
	return "other"
}
