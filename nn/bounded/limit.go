package bounded

import (
	"context"
	"fmt"
	"io"
	"math"
)

// Reading any input may take 64 MiB and four times its size. What it expands to may be 48 MiB and three times its size:
// the rest is for the input itself and for buffers. Photographs hardly shrink when they are compressed, and MNIST shrinks
// to a fifth; a file that is made to fill the memory expands a thousand times.
const (
	allowance = 48 << 20
	expansion = 3
)

// most is a limit that no input reaches.
const most = math.MaxInt64 / 2

// Budget returns the largest number of bytes that an input of some size may expand to: 48 MiB and three times the size.
func Budget(size int64) int64 {
	if size > (most-allowance)/expansion {
		return most
	}
	return allowance + expansion*max(0, size)
}

// LimitError reports an input that is larger, or expands to more, than may be read.
type LimitError struct {
	What  string // what is too large: "recipe.toml", or "the unpacked data"
	Limit int64  // in bytes
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("%s: more than %s", e.What, megabytes(e.Limit))
}

// megabytes returns a number of bytes for people.
func megabytes(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%d bytes", n)
	}
	return fmt.Sprintf("%d MiB", n>>20)
}

// Reader returns a reader of r that fails with a LimitError once r has given more than limit bytes. what names the input
// in the error.
func Reader(r io.Reader, what string, limit int64) io.Reader {
	return &reader{r: r, left: limit, err: &LimitError{what, limit}}
}

type reader struct {
	r    io.Reader
	left int64
	err  error
}

func (l *reader) Read(p []byte) (int, error) {
	if l.left < 0 {
		return 0, l.err
	}
	// A byte beyond the limit tells an input that is too long from one that ends exactly there.
	if int64(len(p)) > l.left+1 {
		p = p[:l.left+1]
	}
	n, err := l.r.Read(p)
	l.left -= int64(n)
	if l.left < 0 {
		return n - 1, l.err
	}
	return n, err
}

// ReadAll reads r to its end, or fails with a LimitError if there are more than limit bytes. hint is the number of bytes
// that r claims to have, or 0; a claim of more than limit is not believed.
func ReadAll(r io.Reader, what string, limit, hint int64) ([]byte, error) {
	const firstBlock = 1 << 16
	if hint <= 0 || hint > limit {
		hint = firstBlock
	}
	r = Reader(r, what, limit)
	content := make([]byte, 0, min(hint, limit)+1) // one more, to see the end without growing
	for {
		if len(content) == cap(content) {
			content = append(make([]byte, 0, min(2*int64(cap(content)), limit+1)), content...)
		}
		n, err := r.Read(content[len(content):cap(content)])
		content = content[:len(content)+n]
		if err == io.EOF {
			return content, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// Context returns a reader of r that fails with ctx's error as soon as ctx is done. A single Read of r is not
// interrupted: r must be a regular file, or a reader of one.
func Context(ctx context.Context, r io.Reader) io.Reader { return &contextReader{ctx, r} }

type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	const perRead = 1 << 20 // so that a signal is heard soon
	return c.r.Read(p[:min(len(p), perRead)])
}
