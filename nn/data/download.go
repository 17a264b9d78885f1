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
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

const (
	defaultStall      = 30 * time.Second
	defaultRetryPause = 250 * time.Millisecond
	maxAttempts       = 4 // requests to one mirror, counted from the last that got further
	lockPoll          = 100 * time.Millisecond
)

// errStalled ends a request that brings nothing.
var errStalled = errors.New("no data arrived")

// errChecksum is a complete file with the wrong content.
var errChecksum = errors.New("wrong sha256")

// statusError is an HTTP status that gives no file.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("HTTP status %d", int(e)) }

// fetch returns the path of file in dir, and downloads it there if it must and may. The file's
// checksum is compared every time.
//
// A download goes to name.partial, which a broken one leaves behind for the next to go on
// with, and takes its name only when it is complete and checked. Of several processes one downloads;
// the others wait for name.lock.
func (opt *Options) fetch(ctx context.Context, dir string, file remoteFile) (string, error) {
	path := filepath.Join(dir, file.name)
	if err := checkFile(path, file.sha256); err == nil {
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
	if checkFile(path, file.sha256) == nil {
		return path, nil // another process was faster
	}
	d := &download{
		file: file, partial: path + ".partial", progress: opt.Progress,
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

// checkFile compares the file's SHA-256.
func checkFile(path, want string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return err
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != want {
		return fmt.Errorf("%s: %w: want %s, got %s", path, errChecksum, want, got)
	}
	return nil
}

// download is one file on its way.
type download struct {
	file         remoteFile
	partial      string // path
	stall, pause time.Duration
	client       *http.Client
	progress     func(file string, done, total int64) // may be nil
}

// fromMirrors fills and checks d.partial from the first mirror that can.
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
		if errors.As(err, &local) { // a full disk, say: no other mirror helps
			return fmt.Errorf("download %s: %w", d.file.name, err)
		}
		failed.Failures = append(failed.Failures, &MirrorError{url, err})
	}
	return failed
}

// fromMirror tries one mirror until the file is complete, the mirror says no, or maxAttempts
// in a row get no further.
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
			if err = checkFile(d.partial, d.file.sha256); err == nil {
				return nil
			}
			if rmErr := os.Remove(d.partial); rmErr != nil {
				return rmErr
			}
			if !resumed {
				return err
			}
			// The beginning may have been another mirror's: once more, from the start.
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

// worthAnotherTry says whether the same request may do better a little later.
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

// attempt makes one request and appends what comes to d.partial, or writes it from the start
// where the server doesn't do ranges. It succeeds when the file has its size. resumed says
// whether bytes of an earlier attempt are part of it.
func (d *download) attempt(ctx context.Context, url string) (resumed bool, err error) {
	have := fileSize(d.partial)
	if have == d.file.size {
		return true, nil
	}
	if have > d.file.size {
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
	body := &watchedBody{r: response.Body, watchdog: watchdog, stall: d.stall}
	return have > 0, because(ctx, d.write(body, have))
}

// because replaces the error of a request that was cancelled by the reason for that.
func because(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	return context.Cause(ctx)
}

// write puts the body into d.partial from byte start on, and wants it to end at the file's size.
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
	// One byte more than there should be shows a file that is too long.
	if _, err := io.Copy(sink, io.LimitReader(body, d.file.size-start+1)); err != nil {
		return err
	}
	if sink.done != d.file.size {
		return fmt.Errorf("want %d bytes, got %s", d.file.size, atLeast(sink.done, d.file.size))
	}
	return out.Sync()
}

func atLeast(got, want int64) string {
	if got > want {
		return "more"
	}
	return fmt.Sprint(got)
}

// watchedBody puts off the watchdog whenever bytes come.
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

// progressWriter reports what has been written.
type progressWriter struct {
	w    io.Writer
	done int64
	d    *download
}

func (p *progressWriter) Write(b []byte) (int, error) {
	n, err := p.w.Write(b)
	p.done += int64(n)
	if p.d.progress != nil {
		p.d.progress(p.d.file.name, p.done, p.d.file.size)
	}
	return n, err
}

// fileSize returns 0 for a file that isn't there.
func fileSize(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// pause waits, or returns ctx's error.
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
