package data

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"trainer/nn/printable"
)

// ErrClosed is returned by a Loader's Next after Close.
var ErrClosed = errors.New("loader is closed")

// FormatError reports a malformed file or folder.
type FormatError struct {
	File   string // path; "embedded:NAME" for files in the program
	Offset int64  // byte at which Got was found, after decompression; -1 for the file as a whole
	Want   string // what should be there
	Got    string // what is there
}

func (e *FormatError) Error() string {
	if e.Offset < 0 {
		return printable.Text(fmt.Sprintf("%s: want %s, got %s", e.File, e.Want, e.Got))
	}
	return printable.Text(fmt.Sprintf("%s: byte %d: want %s, got %s", e.File, e.Offset, e.Want, e.Got))
}

// NotFoundError reports an unknown data set, or a missing folder or file of a data set.
type NotFoundError struct {
	Name   string   // as given
	Valid  []string // the names of data sets
	Reason string   // more about it; may be empty
}

func (e *NotFoundError) Error() string {
	s := fmt.Sprintf("data set %q not found", e.Name)
	if e.Reason != "" {
		s += ": " + e.Reason
	}
	if slices.Contains(e.Valid, e.Name) {
		return s // only its files are missing
	}
	return s + fmt.Sprintf(" (valid: %s, or the path of a folder, archive, table or file of arrays)", strings.Join(e.Valid, ", "))
}

// MirrorError reports a failed download from one address.
type MirrorError struct {
	URL string
	Err error
}

func (e *MirrorError) Error() string { return e.URL + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *MirrorError) Unwrap() error { return e.Err }

// DownloadError reports a file that was not found locally and that no mirror served. It says what to download by hand,
// and where to put it.
type DownloadError struct {
	File     string         // name of the file
	Size     int64          // bytes; 0 for a file of Fetch, whose size is unknown
	SHA256   string         // hexadecimal
	URLs     []string       // of the mirrors
	Place    string         // the folder that is searched for it
	Failures []*MirrorError // one per mirror, in the order of the attempts; empty if downloads are off
}

func (e *DownloadError) Error() string {
	var b strings.Builder
	if len(e.Failures) == 0 {
		fmt.Fprintf(&b, "%s was not found locally and downloads are off (available at %s)", e.File, strings.Join(e.URLs, ", "))
	} else {
		fmt.Fprintf(&b, "cannot download %s: ", e.File)
		for i, f := range e.Failures {
			if i > 0 {
				b.WriteString("; ")
			}
			b.WriteString(f.Error())
		}
	}
	if e.Size == 0 { // not a data set's file
		return b.String()
	}
	fmt.Fprintf(&b, "\nto download it by hand: %d bytes, sha256 %s", e.Size, e.SHA256)
	fmt.Fprintf(&b, "\nput it in %s, or in the data folder (-data-dir)", e.Place)
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
