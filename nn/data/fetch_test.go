package data

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// A file whose size nobody told beforehand is downloaded, continued after an interruption, verified, and kept.
func TestFetch(t *testing.T) {
	content := []byte(strings.Repeat("weights ", 1000))
	sum := sha256.Sum256(content)
	digest := hex.EncodeToString(sum[:])
	half := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "8000")
		_, _ = w.Write(content[:4000])
	}
	m := newMirror(t, half, serve(content))
	opt := Options{CacheDir: t.TempDir(), Download: true, RetryPause: time.Millisecond}
	var total int64
	opt.Progress = func(_ string, _, n int64) { total = n }
	for range 2 {
		path, err := Fetch(t.Context(), m.URL+"/a/model.safetensors?x=1", strings.ToUpper(digest), opt)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != string(content) || !strings.HasSuffix(path, "model.safetensors") {
			t.Fatalf("%s: %d bytes, %v", path, len(got), err)
		}
	}
	if asked := m.asked(); len(asked) != 2 || asked[1] != "bytes=4000-" || total != 8000 {
		t.Errorf("asked for %q, total %d", asked, total)
	}

	_, err := Fetch(t.Context(), m.URL+"/other", strings.Repeat("0", 64), opt)
	if failed, ok := errors.AsType[*DownloadError](err); !ok || len(failed.Failures) != 1 || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "wrong sha256") {
		t.Errorf("another file: %v", err)
	}
	opt.Download = false
	if _, err := Fetch(t.Context(), m.URL+"/offline", strings.Repeat("0", 64), opt); err == nil || !strings.Contains(err.Error(), "downloads are off") {
		t.Errorf("without downloads: %v", err)
	}
	for _, tt := range [][3]string{{"ftp://x/y", digest, "is not an address"}, {"https:///y", digest, "is not an address"}, {m.URL, "abc", "is not a SHA-256"}, {m.URL, "", "is not a SHA-256"}} {
		if _, err := Fetch(t.Context(), tt[0], tt[1], opt); err == nil || !strings.Contains(err.Error(), tt[2]) {
			t.Errorf("%q: %v, want %q", tt[:2], err, tt[2])
		}
	}
}
