//go:build !js

package data

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"trainer/nn/bounded"
)

const (
	defaultStall      = 30 * time.Second
	defaultRetryPause = 250 * time.Millisecond
	maxAttempts       = 4 // requests to one mirror in a row that bring no progress
	lockPoll          = 100 * time.Millisecond
)

// Client makes requests. In a browser there are no downloads, and no client.
type Client = http.Client

// errStalled ends a request that receives no data.
var errStalled = errors.New("no data arrived")

// errChecksum reports a complete file with the wrong content.
var errChecksum = errors.New("wrong sha256")

// statusError reports an HTTP status other than success.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("HTTP status %d", int(e)) }

// fetch returns the path of file in dir, and downloads the file if it is missing and downloads
// are allowed. It verifies the checksum every time.
//
// A download is written to name.partial and gets its final name only once it is complete and verified. An interrupted
// download leaves name.partial behind, and the next one continues from there. If several processes want the file, one
// downloads it and the others wait for name.lock.
func (opt *Options) fetch(ctx context.Context, dir string, file remoteFile) (string, error) {
	path := filepath.Join(dir, file.name)
	if err := checkFile(ctx, path, file.sha256); err == nil {
		return path, nil
	} else if !opt.Download {
		if errors.Is(err, fs.ErrNotExist) {
			return "", &DownloadError{File: file.name, Size: file.size, SHA256: file.sha256, URLs: file.urls, Place: dir}
		}
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("download %s: %w", file.name, err)
	}
	lock := flock.New(path + ".lock")
	if _, err := lock.TryLockContext(ctx, lockPoll); err != nil {
		return "", fmt.Errorf("download %s: waiting for another download: %w", file.name, err)
	}
	defer lock.Close()
	if checkFile(ctx, path, file.sha256) == nil {
		return path, nil // another process was faster
	}
	d := &download{
		file: file, size: knownSize(file.size), partial: path + ".partial", progress: opt.Progress,
		stall:  cmp.Or(opt.StallTimeout, defaultStall),
		pause:  cmp.Or(opt.RetryPause, defaultRetryPause),
		client: cmp.Or(opt.Client, http.DefaultClient),
	}
	if err := d.fromMirrors(ctx, dir); err != nil {
		return "", err
	}
	if err := os.Rename(d.partial, path); err != nil {
		return "", fmt.Errorf("download %s: %w", file.name, err)
	}
	return path, nil
}

// maxDownload bounds a download whose size neither the caller nor the server knows.
const maxDownload = 1 << 36

// knownSize returns the size of a file, or -1 if it is 0, which means unknown.
func knownSize(size int64) int64 {
	if size == 0 {
		return -1
	}
	return size
}

// Fetch returns the path of a file at an address (http or https) in the folder for downloads, and downloads it if it is
// missing and opt.Download is set. Its SHA-256, 64 hexadecimal digits, is verified every time. Of opt it uses Client,
// CacheDir, Download, StallTimeout, RetryPause and Progress, which gets a total below 0 if the server doesn't say how long
// the file is. Errors are a *DownloadError, ctx's error, or errors of the file system.
func Fetch(ctx context.Context, address, sha256 string, opt Options) (string, error) {
	at, err := url.Parse(address)
	if err != nil || at.Scheme != "http" && at.Scheme != "https" || at.Host == "" {
		return "", fmt.Errorf("%q is not an address such as https://example.com/model.safetensors", address)
	}
	sha256 = strings.ToLower(sha256)
	if digest, err := hex.DecodeString(sha256); err != nil || len(digest) != 32 {
		return "", fmt.Errorf("%q is not a SHA-256: want 64 hexadecimal digits", sha256)
	}
	dir, err := opt.cacheFolder(filepath.Join("files", sha256[:16]))
	if err != nil {
		return "", err
	}
	name := path.Base(at.Path)
	if name == "." || name == "/" || strings.ContainsAny(name, `\:`) {
		name = "file"
	}
	return opt.fetch(ctx, dir, remoteFile{name: name, sha256: sha256, urls: []string{address}})
}

// checkFile verifies the file's SHA-256.
func checkFile(ctx context.Context, path, want string) error {
	f, err := bounded.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, bounded.Context(ctx, f)); err != nil {
		return err
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != want {
		return fmt.Errorf("%s: %w: want %s, got %s", path, errChecksum, want, got)
	}
	return nil
}

// download is the download of one file.
type download struct {
	file         remoteFile
	size         int64  // of the file, or -1 while it is unknown
	partial      string // path
	stall, pause time.Duration
	client       *http.Client
	progress     func(file string, done, total int64) // may be nil
}

// fromMirrors downloads and verifies d.partial from the first mirror that works.
func (d *download) fromMirrors(ctx context.Context, dir string) error {
	failed := &DownloadError{File: d.file.name, Size: d.file.size, SHA256: d.file.sha256, URLs: d.file.urls, Place: dir}
	for _, url := range d.file.urls {
		err := d.fromMirror(ctx, url)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("download %s: %w", d.file.name, context.Cause(ctx))
		}
		var local *os.PathError
		if errors.As(err, &local) { // such as a full disk: no other mirror would help
			return fmt.Errorf("download %s: %w", d.file.name, err)
		}
		failed.Failures = append(failed.Failures, &MirrorError{url, err})
	}
	return failed
}

// fromMirror tries one mirror until the file is complete, the mirror refuses, or maxAttempts
// in a row bring no progress.
func (d *download) fromMirror(ctx context.Context, url string) error {
	farthest := fileSize(d.partial)
	backoff := d.pause
	var err error
	for attempt := 0; attempt < maxAttempts; attempt++ {
		if attempt > 0 {
			if err := pause(ctx, backoff); err != nil {
				return err
			}
			backoff *= 2
		}
		var resumed bool
		if resumed, err = d.attempt(ctx, url); err == nil {
			if err = checkFile(ctx, d.partial, d.file.sha256); err == nil {
				return nil
			}
			if rmErr := os.Remove(d.partial); rmErr != nil {
				return rmErr
			}
			if !resumed {
				return err
			}
			// The beginning may have come from another mirror: try once more, from the start.
			continue
		}
		if !worthAnotherTry(err) || ctx.Err() != nil {
			return err
		}
		if have := fileSize(d.partial); have > farthest {
			farthest = have
			attempt, backoff = 0, d.pause
		}
	}
	return err
}

// worthAnotherTry reports whether the same request may succeed a little later.
func worthAnotherTry(err error) bool {
	var local *os.PathError
	if errors.As(err, &local) {
		return false
	}
	var status statusError
	if errors.As(err, &status) {
		return status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout ||
			status == http.StatusRequestedRangeNotSatisfiable
	}
	return true
}

// attempt makes one request and appends the response to d.partial, or rewrites d.partial
// from the start if the server doesn't support ranges. It succeeds if the file then has its
// full size. resumed reports whether the file includes bytes of an earlier attempt.
func (d *download) attempt(ctx context.Context, url string) (resumed bool, err error) {
	have := fileSize(d.partial)
	if d.file.size > 0 && have == d.file.size {
		return true, nil
	}
	if d.file.size > 0 && have > d.file.size {
		have = 0
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(d.stall, func() { cancel(fmt.Errorf("%w for %v", errStalled, d.stall)) })
	defer watchdog.Stop()

	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false, err
	}
	if have > 0 {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", have))
	}
	response, err := d.client.Do(request)
	if err != nil {
		return false, because(ctx, err)
	}
	defer response.Body.Close()

	switch response.StatusCode {
	case http.StatusOK:
		have = 0
	case http.StatusPartialContent:
		var start int64
		if _, err := fmt.Sscanf(response.Header.Get("Content-Range"), "bytes %d-", &start); err != nil || start != have {
			return false, errors.Join(fmt.Errorf("asked for bytes from %d, got Content-Range %q", have, response.Header.Get("Content-Range")), os.Remove(d.partial))
		}
	case http.StatusRequestedRangeNotSatisfiable:
		if err := os.Remove(d.partial); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
		return false, statusError(response.StatusCode)
	default:
		return false, statusError(response.StatusCode)
	}
	if d.file.size == 0 && response.ContentLength >= 0 {
		d.size = have + response.ContentLength
	}
	body := &watchedBody{r: response.Body, watchdog: watchdog, stall: d.stall}
	return have > 0, because(ctx, d.write(body, have))
}

// because replaces the error of a cancelled request with the reason for the cancellation.
func because(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	return context.Cause(ctx)
}

// write writes the body to d.partial from byte start on, and returns an error unless it ends at the file's size, if that is
// known.
func (d *download) write(body io.Reader, start int64) (err error) {
	out, err := os.OpenFile(d.partial, os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if err := out.Truncate(start); err != nil {
		return err
	}
	if _, err := out.Seek(start, io.SeekStart); err != nil {
		return err
	}
	sink := &progressWriter{w: out, done: start, d: d}
	size := d.size
	if size < 0 {
		size = maxDownload
	}
	// Reading one byte more than expected detects a file that is too long.
	if _, err := io.Copy(sink, io.LimitReader(body, size-start+1)); err != nil {
		return err
	}
	if sink.done > size || d.size >= 0 && sink.done < size {
		return fmt.Errorf("want %d bytes, got %s", size, atLeast(sink.done, size))
	}
	return out.Sync()
}

func atLeast(got, want int64) string {
	if got > want {
		return "more"
	}
	return fmt.Sprint(got)
}

// watchedBody resets the watchdog whenever bytes arrive.
type watchedBody struct {
	r        io.Reader
	watchdog *time.Timer
	stall    time.Duration
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if n > 0 {
		b.watchdog.Reset(b.stall)
	}
	return n, err
}

// progressWriter reports the number of bytes written.
type progressWriter struct {
	w    io.Writer
	done int64
	d    *download
}

func (p *progressWriter) Write(b []byte) (int, error) {
	n, err := p.w.Write(b)
	p.done += int64(n)
	if p.d.progress != nil {
		p.d.progress(p.d.file.name, p.done, p.d.size)
	}
	return n, err
}

// fileSize returns the size of a file, or 0 if it doesn't exist.
func fileSize(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// pause waits, or returns ctx's error if ctx is cancelled.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
