package data

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Fingerprint identifies the images of a data set: a training is continued with the same images only, and a finished
// network is drawn with the test images that it was not trained on. Its JSON is data.json in the folder of a run.
//
// Names are relative to the data set's folder, so that a folder that was moved has the same fingerprint. Bytes that are
// not UTF-8 are written as \xNN.
type Fingerprint struct {
	AllBytes bool     `json:"all_bytes"` // the sums are of all bytes, not of a sample
	Shape    [3]int   `json:"image_shape"`
	Classes  []string `json:"classes"` // in the order of the labels
	Train    Part     `json:"train"`
	Val      Part     `json:"val"`
	Test     Part     `json:"test"`
}

// Part is the fingerprint of one set.
type Part struct {
	Images int    `json:"images"`
	Labels string `json:"labels,omitempty"` // checksum of the labels, in order; "" if they are known by reading images only
	Pixels string `json:"pixels,omitempty"` // checksum of the images, or of a sample; "" if Files has their files
	Files  []File `json:"files,omitempty"`  // the images' files, in the order of the set
}

// File is the fingerprint of an image's file.
type File struct {
	Name string `json:"name"` // relative to the data set's folder, with slashes
	Size int64  `json:"size"`
	Sum  string `json:"sum"` // checksum of the bytes, or of a sample
}

// A sample has the first and the last bytes of a file, and about so many bytes of a set without files.
const (
	sampledFromFile = 4 << 10 // at each end
	sampledFromSet  = 32 << 20
)

// Fingerprint reads a sample of the images, or all bytes, and returns the fingerprint. The time for the sample is short
// beside that of opening the data set. The error is ctx's, or says what can't be read.
func (d *Dataset) Fingerprint(ctx context.Context, allBytes bool) (*Fingerprint, error) {
	return d.fingerprint(ctx, &Fingerprint{AllBytes: allBytes})
}

// FingerprintLike returns the fingerprint that can be compared with an earlier one: of all bytes if that is, and of the pixels
// of pictures in archives if an earlier version of the program took those.
func (d *Dataset) FingerprintLike(ctx context.Context, before *Fingerprint) (*Fingerprint, error) {
	return d.fingerprint(ctx, before)
}

func (d *Dataset) fingerprint(ctx context.Context, like *Fingerprint) (*Fingerprint, error) {
	f := &Fingerprint{AllBytes: like.AllBytes}
	f.Shape[0], f.Shape[1], f.Shape[2] = d.Train.ImageShape()
	for _, class := range d.Train.Classes() {
		f.Classes = append(f.Classes, validText(class))
	}
	for k, set := range []Set{d.Train, d.Val, d.Test} {
		if set == nil {
			continue
		}
		if like.parts()[k].Pixels != "" && d.folder != nil {
			set = d.folder.inFull(set)
		}
		if err := f.parts()[k].take(ctx, set, f.AllBytes); err != nil {
			return nil, fmt.Errorf("fingerprint of the data: %w", err)
		}
	}
	return f, nil
}

// Hash returns a checksum of the fingerprint.
func (f *Fingerprint) Hash() string {
	text, err := json.Marshal(f)
	if err != nil {
		panic(fmt.Sprintf("data: Fingerprint.Hash: %v", err)) // strings and numbers can be encoded
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

// take makes the fingerprint of a set.
func (p *Part) take(ctx context.Context, set Set, allBytes bool) (err error) {
	p.Images = set.Len()
	if p.Images == 0 {
		return nil
	}
	if labels, ok := knownLabels(set); ok {
		p.Labels = sumLabels(labels)
	}
	if fileOf(set, 0).Name != "" {
		p.Files, err = sumFiles(ctx, set, allBytes)
		return err
	}
	p.Pixels, err = sumPixels(ctx, set, allBytes)
	return err
}

func sumLabels(labels []int32) string {
	h := sha256.New()
	var b [4]byte
	for _, l := range labels {
		binary.LittleEndian.PutUint32(b[:], uint32(l))
		h.Write(b[:])
	}
	return short(h)
}

// sumPixels returns the checksum of images and labels: of all, or of every k-th and the last.
func sumPixels(ctx context.Context, set Set, allBytes bool) (string, error) {
	height, width, channels := set.ImageShape()
	pixels := make([]byte, height*width*channels)
	n, step := set.Len(), 1
	if total := int64(n) * int64(len(pixels)); !allBytes && total > sampledFromSet {
		step = int((total + sampledFromSet - 1) / sampledFromSet)
	}
	h := sha256.New()
	var label [4]byte
	add := func(i int) error {
		l, err := set.Read(i, pixels)
		if err != nil {
			return fmt.Errorf("image %d: %w", i, err)
		}
		binary.LittleEndian.PutUint32(label[:], uint32(l))
		h.Write(label[:])
		h.Write(pixels)
		return ctx.Err()
	}
	for i := 0; i < n; i += step {
		if err := add(i); err != nil {
			return "", err
		}
	}
	if err := add(n - 1); err != nil {
		return "", err
	}
	return short(h), nil
}

// sumFiles returns the fingerprints of the files.
func sumFiles(ctx context.Context, set Set, allBytes bool) ([]File, error) {
	files := make([]File, set.Len())
	var opt Options
	return files, parallel(len(files), opt.workers(), func(i int) error {
		file := fileOf(set, i)
		files[i].Name = validText(file.Name)
		var err error
		if files[i].Size, files[i].Sum, err = file.sum(allBytes); err != nil {
			return err
		}
		return ctx.Err()
	})
}

// short returns the first 8 bytes of a checksum, in hexadecimal: enough to notice a change.
func short(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)[:8]) }

// validText returns a name with \xNN for each byte that is not UTF-8.
func validText(name string) string {
	if utf8.ValidString(name) {
		return name
	}
	var b strings.Builder
	for len(name) > 0 {
		r, size := utf8.DecodeRuneInString(name)
		if r == utf8.RuneError && size == 1 {
			b.WriteString(`\x` + strconv.FormatUint(uint64(name[0]), 16))
		} else {
			b.WriteString(name[:size])
		}
		name = name[size:]
	}
	return b.String()
}
