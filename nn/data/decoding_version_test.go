package data

import (
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

var updateDecoding = flag.Bool("update-decoding", false, "record the pixels of testdata/decoding for decodingVersion")

// Pixels that an older program decoded otherwise would make its index of a folder wrong: a change of them needs another
// decodingVersion.
func TestDecodingVersion(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("other processors round the resizing of pictures otherwise, and the index names the processor")
	}
	const dir = "testdata/decoding"
	record := filepath.Join(dir, "pixels.txt")
	now := fmt.Sprintf("decoding %d\n", decodingVersion)
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if filepath.Join(dir, f.Name()) != record {
			now += f.Name() + decodedAs(t, osTree(dir), f.Name()) + "\n"
		}
	}
	if *updateDecoding {
		writeFile(t, record, []byte(now))
		return
	}
	raw, err := os.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}
	before := string(raw)
	head, _, _ := strings.Cut(before, "\n")
	switch version, _, _ := strings.Cut(now, "\n"); {
	case head != version:
		t.Errorf("decodingVersion is new: record its pixels with go test ./nn/data -run DecodingVersion -update-decoding")
	case before != now:
		t.Errorf("pixels have changed: raise decodingVersion in index.go, then go test ./nn/data -run DecodingVersion -update-decoding\n%s\nrecorded:\n%s", now, before)
	}
}

// decodedAs returns what a picture becomes: what its header says, and checksums of its pixels in its own size, in another,
// and in one for which JPEG files are scaled while they are decoded.
func decodedAs(t *testing.T, tree tree, name string) string {
	t.Helper()
	r := Preparation{C: 3}.reader()
	info, err := r.readPictureInfo(tree, name)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	text := fmt.Sprintf(" %+v", info)
	for _, size := range [][2]int{{info.h, info.w}, {16, 16}, {4, 5}} {
		r.h, r.w = size[0], size[1]
		dst := make([]byte, r.h*r.w*r.c)
		if _, err := r.decode(context.Background(), tree, name, info, dst); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		text += fmt.Sprintf(" %x", sha256.Sum256(dst))[:17]
	}
	return text
}
