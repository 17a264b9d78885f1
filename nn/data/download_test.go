package data

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// mirror is a server that answers requests in the order of its script, and repeats the last
// answer. It records the Range headers.
type mirror struct {
	*httptest.Server
	mu     sync.Mutex
	script []answer
	ranges []string
}

type answer func(w http.ResponseWriter, r *http.Request)

func newMirror(t *testing.T, script ...answer) *mirror {
	t.Helper()
	m := &mirror{script: script}
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.mu.Lock()
		next := m.script[0]
		if len(m.script) > 1 {
			m.script = m.script[1:]
		}
		m.ranges = append(m.ranges, r.Header.Get("Range"))
		m.mu.Unlock()
		next(w, r)
	}))
	t.Cleanup(m.Close)
	return m
}

// asked returns the recorded Range headers.
func (m *mirror) asked() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.ranges)
}

// serve sends the content and supports ranges.
func serve(content []byte) answer {
	return func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	}
}

// serveWhole ignores Range, and sends no length.
func serveWhole(content []byte) answer {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.(http.Flusher).Flush()
		w.Write(content)
	}
}

// breakOff closes the connection after n bytes of the requested content.
func breakOff(content []byte, n int) answer {
	return func(w http.ResponseWriter, r *http.Request) {
		sendBeginning(w, r, content, n)
		panic(http.ErrAbortHandler)
	}
}

// stallAfter sends n bytes and then nothing until the client disconnects.
func stallAfter(content []byte, n int) answer {
	return func(w http.ResponseWriter, r *http.Request) {
		sendBeginning(w, r, content, n)
		<-r.Context().Done()
	}
}

func sendBeginning(w http.ResponseWriter, r *http.Request, content []byte, n int) {
	start := 0
	if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &start); err == nil {
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", start, len(content)-1, len(content)))
		w.Header().Set("Content-Length", fmt.Sprint(len(content)-start))
		w.WriteHeader(http.StatusPartialContent)
	} else {
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
	}
	w.Write(content[start:min(start+n, len(content))])
	w.(http.Flusher).Flush()
}

func status(code int) answer {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// testContent is the content that a good mirror sends: large enough for several reads.
func testContent() []byte {
	content := make([]byte, 200_000)
	for i := range content {
		content[i] = byte(i * i >> 3)
	}
	return content
}

func remoteOf(name string, content []byte, mirrors ...*mirror) remoteFile {
	sum := sha256.Sum256(content)
	f := remoteFile{name: name, size: int64(len(content)), sha256: hex.EncodeToString(sum[:])}
	for _, m := range mirrors {
		f.urls = append(f.urls, m.URL+"/"+name)
	}
	return f
}

func testOptions() *Options {
	return &Options{Download: true, RetryPause: time.Millisecond}
}

func TestDownload(t *testing.T) {
	content := testContent()
	corrupt := bytes.Clone(content)
	corrupt[1000] ^= 1
	good := serve(content)
	for name, c := range map[string]struct {
		partial []byte
		first   []answer // answers of the first mirror
		asked   []string // of it
		second  bool     // the second mirror, a good one, must be asked
	}{
		"good":                           {nil, []answer{good}, []string{""}, false},
		"resumed":                        {content[:7000], []answer{good}, []string{"bytes=7000-"}, false},
		"all there but the name":         {content, []answer{good}, nil, false},
		"too much there":                 {append(bytes.Clone(content), 1), []answer{good}, []string{""}, false},
		"broken off twice":               {nil, []answer{breakOff(content, 50000), breakOff(content, 60000), good}, []string{"", "bytes=50000-", "bytes=110000-"}, false},
		"ignores Range":                  {content[:7000], []answer{serveWhole(content)}, []string{"bytes=7000-"}, false},
		"ends early":                     {nil, []answer{serveWhole(content[:5000]), good}, []string{"", "bytes=5000-"}, false},
		"503 twice":                      {nil, []answer{status(503), status(503), good}, []string{"", "", ""}, false},
		"416":                            {content[:7000], []answer{status(416), good}, []string{"bytes=7000-", ""}, false},
		"wrong range":                    {content[:7000], []answer{wrongRange, good}, []string{"bytes=7000-", ""}, false},
		"resumes a corrupt beginning":    {corrupt[:7000], []answer{good}, []string{"bytes=7000-", ""}, false},
		"corrupt, whole":                 {corrupt, []answer{good}, []string{""}, false},
		"404":                            {nil, []answer{status(404)}, []string{""}, true},
		"404 with a partial file":        {content[:7000], []answer{status(404)}, []string{"bytes=7000-"}, true},
		"corrupt mirror":                 {nil, []answer{serve(corrupt)}, []string{""}, true},
		"another, longer file":           {nil, []answer{serveWhole(append(bytes.Clone(content), 1))}, []string{"", "", "", ""}, true},
		"always 500":                     {nil, []answer{status(500)}, []string{"", "", "", ""}, true},
		"always breaks off at the start": {nil, []answer{breakOff(content, 0)}, []string{"", "", "", ""}, true},
		"always breaks off, ignores Range": {nil, []answer{func(w http.ResponseWriter, r *http.Request) {
			r.Header.Del("Range")
			breakOff(content, 5000)(w, r)
		}}, []string{"", "bytes=5000-", "bytes=5000-", "bytes=5000-"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			bad, reserve := newMirror(t, c.first...), newMirror(t, good)
			if c.partial != nil {
				writeFile(t, filepath.Join(dir, "file.partial"), c.partial)
			}
			path, err := testOptions().fetch(context.Background(), dir, remoteOf("file", content, bad, reserve))
			if err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(path)
			if err != nil || !bytes.Equal(got, content) || path != filepath.Join(dir, "file") {
				t.Fatalf("%s: %d bytes, %v", path, len(got), err)
			}
			if asked := bad.asked(); !slices.Equal(asked, c.asked) {
				t.Errorf("first mirror: asked %q, want %q", asked, c.asked)
			}
			if asked := len(reserve.asked()); (asked > 0) != c.second {
				t.Errorf("second mirror asked %d times", asked)
			}
			if _, err := os.Stat(path + ".partial"); err == nil {
				t.Error("a partial file is left")
			}
		})
	}
}

func wrongRange(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Range", "bytes 0-9/10")
	w.WriteHeader(http.StatusPartialContent)
	w.Write(make([]byte, 10))
}

// transport answers requests without a network, so that a test in a bubble of synctest has a time of its own, in which
// nothing but a stall lasts long.
type transport func(r *http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// answered returns the response of a mirror.
func answered(a answer, r *http.Request) *http.Response {
	w := httptest.NewRecorder()
	a(w, r)
	return w.Result()
}

// stalled is the body of a response of which only the beginning arrives.
type stalled struct {
	io.Reader // the beginning
	request   *http.Request
}

func (s stalled) Read(p []byte) (int, error) {
	if n, err := s.Reader.Read(p); err == nil {
		return n, nil
	}
	<-s.request.Context().Done()
	return 0, s.request.Context().Err()
}

func (s stalled) Close() error { return nil }

// TestDownloadStalls: a request that receives no data for StallTimeout ends, and the next one asks for the rest.
func TestDownloadStalls(t *testing.T) {
	content := testContent()
	for name, c := range map[string]struct {
		beginning int
		asked     []string
	}{"after 9000 bytes": {9000, []string{"", "bytes=9000-"}}, "before the first byte": {0, []string{"", ""}}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var asked []string
				opt := testOptions()
				opt.Client = &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
					asked = append(asked, r.Header.Get("Range"))
					response := answered(serve(content), r)
					if len(asked) == 1 {
						response.Body = stalled{bytes.NewReader(content[:c.beginning]), r}
					}
					return response, nil
				})}
				file, start := remoteOf("file", content), time.Now()
				file.urls = []string{"http://mirror/file"}
				path, err := opt.fetch(t.Context(), t.TempDir(), file)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, content) {
					t.Errorf("%d bytes, %v", len(got), err)
				}
				if !slices.Equal(asked, c.asked) {
					t.Errorf("asked %q, want %q", asked, c.asked)
				}
				if took := time.Since(start); took < defaultStall || took > defaultStall+time.Second {
					t.Errorf("the stalled request ended after %v, want %v", took, defaultStall)
				}
			})
		})
	}
}

func TestDownloadFailsEverywhere(t *testing.T) { synctest.Test(t, failsEverywhere) }

func failsEverywhere(t *testing.T) {
	content := testContent()
	corrupt := bytes.Clone(content)
	corrupt[0] ^= 1
	dir := filepath.Join(t.TempDir(), "new", "folder")
	opt := testOptions()
	opt.Client = &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
		switch r.URL.Host {
		case "gone":
			return nil, errors.New("connection refused")
		case "missing":
			return answered(status(404), r), nil
		case "stalls":
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
		return answered(serve(corrupt), r), nil
	})}
	file := remoteOf("file.gz", content)
	for _, host := range []string{"gone", "missing", "stalls", "wrong"} {
		file.urls = append(file.urls, "http://"+host+"/file.gz")
	}
	_, err := opt.fetch(context.Background(), dir, file)
	var failed *DownloadError
	if !errors.As(err, &failed) || len(failed.Failures) != 4 {
		t.Fatalf("want a *DownloadError of four mirrors, got %v", err)
	}
	if !errors.Is(err, errStalled) || !errors.Is(err, errChecksum) {
		t.Errorf("%v does not carry its causes", err)
	}
	for _, part := range append(file.urls, "file.gz", file.sha256, "200000 bytes", dir, "404", "refused", "wrong sha256", "no data arrived") {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not mention %q", err, part)
		}
	}
	if lines := strings.Count(err.Error(), "\n") + 1; lines > 3 {
		t.Errorf("%d lines", lines)
	}
	for _, name := range []string{"file.gz", "file.gz.partial"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s is left", name)
		}
	}
}

func TestDownloadOff(t *testing.T) {
	content := testContent()
	m := newMirror(t, serve(content))
	dir := t.TempDir()
	file := remoteOf("file", content, m)
	opt := &Options{}
	_, err := opt.fetch(context.Background(), dir, file)
	var failed *DownloadError
	if !errors.As(err, &failed) || !strings.Contains(err.Error(), file.sha256) || !strings.Contains(err.Error(), dir) {
		t.Errorf("not there: %v", err)
	}
	path := filepath.Join(dir, "file")
	writeFile(t, path, []byte("something else"))
	if _, err := opt.fetch(context.Background(), dir, file); !errors.Is(err, errChecksum) || !strings.Contains(err.Error(), path) {
		t.Errorf("corrupt: %v", err)
	}
	writeFile(t, path, content)
	if got, err := opt.fetch(context.Background(), dir, file); err != nil || got != path {
		t.Errorf("there: %v", err)
	}
	if len(m.asked()) > 0 {
		t.Error("the mirror was asked")
	}
	// If downloads are on, a corrupt file is replaced.
	writeFile(t, path, []byte("something else"))
	if _, err := testOptions().fetch(context.Background(), dir, file); err != nil {
		t.Errorf("corrupt, download on: %v", err)
	}
	if got, _ := os.ReadFile(path); !bytes.Equal(got, content) {
		t.Error("the corrupt file is still there")
	}
}

func TestDownloadProgressAndCancel(t *testing.T) {
	content := testContent()
	m := newMirror(t, stallAfter(content, 100_000), serve(content))
	dir := t.TempDir()
	opt := testOptions()
	ctx, cancel := context.WithCancel(context.Background())
	var last int64
	opt.Progress = func(file string, done, total int64) {
		if file != "file" || total != 200_000 || done < last {
			t.Errorf("progress %s %d of %d after %d", file, done, total, last)
		}
		if last = done; done == 100_000 {
			cancel()
		}
	}
	if _, err := opt.fetch(ctx, dir, remoteOf("file", content, m)); !errors.Is(err, context.Canceled) {
		t.Fatalf("cancelled: %v", err)
	}
	if _, err := opt.fetch(context.Background(), dir, remoteOf("file", content, m)); err != nil || last != 200_000 {
		t.Errorf("progress ended at %d, %v", last, err)
	}
	if asked := m.asked(); !slices.Equal(asked, []string{"", "bytes=100000-"}) {
		t.Errorf("asked %q", asked)
	}
}

func TestDownloadsOfOneFileDoNotCollide(t *testing.T) {
	content := testContent()
	m := newMirror(t, serve(content))
	dir := t.TempDir()
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			if _, err := testOptions().fetch(context.Background(), dir, remoteOf("file", content, m)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(m.asked()); n != 1 {
		t.Errorf("%d downloads, want 1", n)
	}
}

func TestOpenDownloads(t *testing.T) {
	var cat catalog
	for i, raw := range tinyIDX() {
		raw = gzipped(raw)
		cat.fashion[i] = remoteOf(idxNames[i]+".gz", raw, newMirror(t, serve(raw)))
	}
	archive := tarGz(t, tinyCIFAR())
	cat.cifar10 = remoteOf(cifarArchive, archive, newMirror(t, serve(archive)))

	opt := testOptions()
	opt.CacheDir = t.TempDir()
	for range 2 {
		split, err := open(context.Background(), "fashion-mnist", *opt, cat)
		if err != nil {
			t.Fatal(err)
		}
		checkTiny(t, split)
		split, err = open(context.Background(), "cifar10", *opt, cat)
		if err != nil {
			t.Fatal(err)
		}
		checkTinyCIFAR(t, split)
		if want := filepath.Join(opt.CacheDir, "cifar10", cifarArchive); split.Source != want {
			t.Errorf("source %s, want %s", split.Source, want)
		}
		opt.Download = false // the second open reads from the cache
		// What else is in the cache was not verified, and is not used.
		writeFile(t, filepath.Join(opt.CacheDir, "fashion-mnist", idxNames[0]), []byte("not verified"))
		writeFile(t, filepath.Join(opt.CacheDir, "cifar10", cifarFolder, cifarNames[0]), []byte("not verified"))
	}
	// If a folder is given, no other place is searched.
	named := *opt
	named.Dir = t.TempDir()
	writeFile(t, filepath.Join(named.Dir, "images.bin"), []byte("something else"))
	for _, name := range []string{"fashion-mnist", "cifar10"} {
		_, err := open(context.Background(), name, named, cat)
		var missing *NotFoundError
		if !errors.As(err, &missing) || !strings.Contains(err.Error(), named.Dir) || strings.Contains(err.Error(), "valid:") {
			t.Errorf("%s: want a *NotFoundError with the folder, got %v", name, err)
		}
	}
	opt.CacheDir = t.TempDir()
	for _, name := range []string{"fashion-mnist", "cifar10"} {
		_, err := open(context.Background(), name, *opt, cat)
		var failed *DownloadError
		if !errors.As(err, &failed) || !strings.Contains(err.Error(), opt.CacheDir) {
			t.Errorf("%s: want a *DownloadError, got %v", name, err)
		}
	}
}

func TestCatalogIsWhole(t *testing.T) {
	cat := newCatalog()
	for _, f := range append(cat.fashion[:], cat.cifar10) {
		if sum, err := hex.DecodeString(f.sha256); err != nil || len(sum) != sha256.Size || f.size <= 0 || len(f.urls) < 2 {
			t.Errorf("%+v", f)
		}
		for _, url := range f.urls {
			if !strings.HasSuffix(url, "/"+f.name) {
				t.Errorf("%s is not the address of %s", url, f.name)
			}
		}
	}
}
