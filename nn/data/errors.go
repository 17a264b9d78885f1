package data

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrClosed is returned by a Loader's Next after Close.
var ErrClosed = errors.New("loader is closed")

// FormatError is a file or folder that isn't what its name or its header promises.
type FormatError struct {
	File   string // path; "embedded:NAME" for files in the program
	Offset int64  // byte at which Got was found, counted after decompression; -1 where no byte is meant
	Want   string // what should be there
	Got    string // what is there
}

func (e *FormatError) Error() string {
	if e.Offset < 0 {
		return fmt.Sprintf("%s: want %s, got %s", e.File, e.Want, e.Got)
	}
	return fmt.Sprintf("%s: byte %d: want %s, got %s", e.File, e.Offset, e.Want, e.Got)
}

// NotFoundError is the name of a data set, or the path of a folder or file of one, that
// there isn't.
type NotFoundError struct {
	Name   string   // as given
	Valid  []string // data sets that there are
	Reason string   // more about it; may be empty
}

func (e *NotFoundError) Error() string {
	s := fmt.Sprintf("data set %q not found", e.Name)
	if e.Reason != "" {
		s += ": " + e.Reason
	}
	if slices.Contains(e.Valid, e.Name) {
		return s // it is the files that are missing
	}
	return s + fmt.Sprintf(" (valid: %s, or a folder with one subfolder of images a class)", strings.Join(e.Valid, ", "))
}

// MirrorError is why one address did not give the file.
type MirrorError struct {
	URL string
	Err error
}

func (e *MirrorError) Error() string { return e.URL + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *MirrorError) Unwrap() error { return e.Err }

// DownloadError is a file that is not here and that no mirror gave. It says what to
// fetch by hand, and where to put it.
type DownloadError struct {
	File     string         // name of the file
	Size     int64          // bytes
	SHA256   string         // hexadecimal
	URLs     []string       // where it is to be had
	Place    string         // folder in which it is looked for
	Failures []*MirrorError // one a mirror, in the order tried; empty when downloads are off
}

func (e *DownloadError) Error() string {
	var b strings.Builder
	if len(e.Failures) == 0 {
		fmt.Fprintf(&b, "%s is not here and downloads are off (it is at %s)", e.File, strings.Join(e.URLs, ", "))
	} else {
		fmt.Fprintf(&b, "cannot download %s: ", e.File)
		for i, f := range e.Failures {
			if i > 0 {
				b.WriteString("; ")
			}
			b.WriteString(f.Error())
		}
	}
	fmt.Fprintf(&b, "\nto fetch it by hand: %d bytes, sha256 %s", e.Size, e.SHA256)
	fmt.Fprintf(&b, "\nput it in %s, or in the folder given as the data folder", e.Place)
	return b.String()
}

// Unwrap returns the mirrors' errors.
func (e *DownloadError) Unwrap() []error {
	errs := make([]error, len(e.Failures))
	for i, f := range e.Failures {
		errs[i] = f
	}
	return errs
}
