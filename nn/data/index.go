package data

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
	"unicode/utf8"

	"trainer/nn/bounded"
	nnfolder "trainer/nn/folder"
)

// The index of a folder of pictures remembers what checking its files found, so that the next start needn't open them:
// sizes, orientation, gray or not, which files can't be decoded and why, and the checksums that an examination took. It
// is a file in Options.Index, for one folder and one way to read pictures (readerSettings):
//
//	{"trainer_index":1,"folder":"/home/ann/photos","settings":"...","files":2}
//	{"name":"cat/1.jpg","size":12345,"time":1700000000000000000,"h":480,"w":640,...}
//	{"name":"cat/2.jpg",...,"reason":"invalid JPEG format: short Huffman data"}
//
// A line counts only while the file has the same size and time of change. Anybody may have written the index: its size
// and all values are bounded, and an index with one wrong line counts as missing. No pixel depends on it: before a
// picture is decoded, its header is read from the file, and a difference ends the use of the index (errIndexWrong).

const (
	indexVersion  = 1
	maxIndexBytes = 256 << 20
	maxIndexLine  = 16 << 10
	maxReason     = 1 << 10 // bytes of the text that says why a file can't be read
	maxIndexes    = 64      // files in the folder of indexes; the oldest are removed
)

// racyTime is the age below which a file's time of change says little: a change that follows within the resolution of
// the file system's clock leaves it the same.
const racyTime = 2 * time.Second

// errIndexWrong is a file that is not as the index says.
var errIndexWrong = errors.New("the file is not as the index of its folder says, which has been removed: start again")

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
	spread      float64 // largest standard deviation of a channel of the prepared picture, in levels of 255
	reason      string  // why it can't be read, if that is because of its content
	format      string  // "jpeg", ...; "" before an examination
	sum         string  // SHA-256 of the file in hexadecimal; "" before an examination
}

// indexHead is the first line of an index.
type indexHead struct {
	Version  int    `json:"trainer_index"`
	Folder   string `json:"folder"`
	Settings string `json:"settings"`
	Files    int    `json:"files"`
}

// indexLine is a line of an index.
type indexLine struct {
	Name        string  `json:"name"`
	Size        int64   `json:"size"`
	Time        int64   `json:"time"` // of change, in nanoseconds since 1970
	H           int     `json:"h,omitempty"`
	W           int     `json:"w,omitempty"`
	Gray        bool    `json:"gray,omitempty"`
	Orientation int     `json:"orientation,omitempty"`
	Memory      int64   `json:"memory,omitempty"`
	Decoded     bool    `json:"decoded,omitempty"`
	Transparent bool    `json:"transparent,omitempty"`
	Spread      float64 `json:"spread,omitempty"`
	Reason      string  `json:"reason,omitempty"`
	Format      string  `json:"format,omitempty"`
	Sum         string  `json:"sum,omitempty"`
}

// index is the index of a folder. A nil *index holds nothing.
type index struct {
	folder  string // Options.Index
	name    string // of the file in it
	head    indexHead
	tree    osTree
	before  map[string]*checked // as read
	isStale atomic.Bool         // something was found that the file doesn't have
}

// IndexFolder returns the usual value of Options.Index: "trainer/index" in the user's cache folder.
func IndexFolder() (string, error) {
	var opt Options
	return opt.cacheFolder("index")
}

// openIndex returns the index of a tree, which is empty if there is no valid file, or nil if the tree is no folder or
// indexes are not wanted.
func openIndex(ctx context.Context, t tree, opt Options) *index {
	dir, ok := t.(osTree)
	if !ok || opt.Index == "" {
		return nil
	}
	real, err := dir.real(".")
	if err == nil {
		real, err = filepath.Abs(real)
	}
	if err != nil || !utf8.ValidString(real) {
		return nil // reading the folder will report it
	}
	x := &index{folder: opt.Index, head: indexHead{indexVersion, real, readerSettings(opt), 0}, tree: dir}
	sum := sha256.Sum256([]byte(real + "\x00" + x.head.Settings))
	x.name = hex.EncodeToString(sum[:12]) + ".jsonl"
	raw, err := bounded.ReadFile(ctx, filepath.Join(x.folder, x.name), maxIndexBytes)
	if err == nil {
		x.before, _ = parseIndex(raw, x.head)
	}
	return x
}

// readerSettings names everything that changes what is known of a picture file.
func readerSettings(opt Options) string {
	return fmt.Sprintf("size %dx%d, resize %s, background %v, orientation %t, gray %t",
		opt.ImageSize[0], opt.ImageSize[1], opt.Resize, opt.Background, !opt.IgnoreOrientation, opt.Grayscale)
}

// parseIndex reads an index, which must have this head but for the number of files.
func parseIndex(raw []byte, want indexHead) (map[string]*checked, error) {
	lines := bufio.NewScanner(bytes.NewReader(raw))
	lines.Buffer(make([]byte, 0, maxIndexLine), maxIndexLine)
	var head indexHead
	if !lines.Scan() || json.Unmarshal(lines.Bytes(), &head) != nil {
		return nil, errors.New("no first line")
	}
	files := head.Files
	if head.Files = want.Files; head != want || files < 0 {
		return nil, errors.New("another folder's index")
	}
	all := map[string]*checked{}
	for lines.Scan() {
		var l indexLine
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return nil, err
		}
		c, err := l.checked()
		if err != nil {
			return nil, fmt.Errorf("%q: %w", l.Name, err)
		}
		if all[l.Name] != nil {
			return nil, fmt.Errorf("%q: named twice", l.Name)
		}
		all[l.Name] = c
	}
	if lines.Err() != nil || len(all) != files {
		return nil, fmt.Errorf("%d of %d files", len(all), files)
	}
	return all, nil
}

// checked returns a line's contents, or an error if a value is impossible.
func (l *indexLine) checked() (*checked, error) {
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
	case math.IsNaN(l.Spread) || l.Spread < 0 || l.Spread > 128:
		return nil, errors.New("impossible spread")
	case l.Format != "" && !slices.Contains(formats(), l.Format):
		return nil, errors.New("unknown format")
	case l.Sum != "" && !isSum(l.Sum):
		return nil, errors.New("impossible checksum")
	}
	return &checked{
		stamp: stamp{l.Size, l.Time}, hasStamp: true, fromIndex: true,
		info:      pictureInfo{h: l.H, w: l.W, gray: l.Gray, orientation: l.Orientation, memory: l.Memory},
		isDecoded: l.Decoded, transparent: l.Transparent, spread: l.Spread, reason: l.Reason, format: l.Format, sum: l.Sum,
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
	info, err := os.Stat(x.tree.path(name))
	if err != nil || !info.Mode().IsRegular() {
		return checked{}
	}
	now := stamp{info.Size(), info.ModTime().UnixNano()}
	if c := x.before[name]; c != nil && c.stamp == now {
		return *c
	}
	x.isStale.Store(true)
	return checked{stamp: now, hasStamp: time.Since(info.ModTime()) > racyTime && utf8.ValidString(name)}
}

// knows reports whether a file is a picture, without opening it; false means that it is not known.
func (x *index) knows(name string) bool {
	return x != nil && x.before[name] != nil && x.find(name).fromIndex
}

// stale notes that something was found that the file doesn't have.
func (x *index) stale() {
	if x != nil {
		x.isStale.Store(true)
	}
}

// save writes the index if it has changed. An index that can't be written is only missing.
func (x *index) save(images []folderImage) {
	if x == nil || !x.isStale.Load() && len(images) == len(x.before) {
		return
	}
	images = slices.DeleteFunc(slices.Clone(images), func(im folderImage) bool { return !im.known.hasStamp })
	var b bytes.Buffer
	lines := json.NewEncoder(&b)
	x.head.Files = len(images)
	_ = lines.Encode(x.head) // into memory, and of texts and numbers: neither can fail
	for _, im := range images {
		k := &im.known
		l := indexLine{Name: im.name, Size: k.size, Time: k.time, Reason: k.reason, Format: k.format, Sum: k.sum}
		if k.reason == "" {
			l.H, l.W, l.Gray, l.Orientation, l.Memory = k.info.h, k.info.w, k.info.gray, k.info.orientation, k.info.memory
			l.Decoded, l.Transparent, l.Spread = k.isDecoded, k.transparent, k.spread
		}
		_ = lines.Encode(l)
	}
	if b.Len() > maxIndexBytes {
		return
	}
	dir, err := nnfolder.Make(x.folder)
	if err != nil {
		return
	}
	defer dir.Close()
	if dir.Write(x.name, b.Bytes()) == nil {
		x.isStale.Store(false)
		x.prune()
	}
}

// prune removes the oldest indexes if there are too many.
func (x *index) prune() {
	files, _ := filepath.Glob(filepath.Join(x.folder, "*.jsonl"))
	if len(files) <= maxIndexes {
		return
	}
	age := func(file string) int64 {
		info, err := os.Stat(file)
		if err != nil {
			return 0
		}
		return info.ModTime().UnixNano()
	}
	slices.SortFunc(files, func(a, b string) int { return int(max(-1, min(1, age(a)-age(b)))) })
	for _, file := range files[:len(files)-maxIndexes] {
		_ = os.Remove(file) // only takes space
	}
}

// remove removes the file of an index that is wrong.
func (x *index) remove() { _ = os.Remove(filepath.Join(x.folder, x.name)) }

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
