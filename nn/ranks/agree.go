package ranks

import (
	"cmp"
	"errors"
	"os"
	"strings"

	"trainer/nn/device"
)

// AgreedError is an error that all ranks know of: all return an AgreedError, and only rank 0 tells the user.
type AgreedError struct {
	Err error
}

func (e *AgreedError) Error() string { return e.Err.Error() }

// Unwrap returns the error.
func (e *AgreedError) Unwrap() error { return e.Err }

// Agree is called by all ranks together, with an error or nil. It returns nil if all have passed nil. Otherwise every rank
// gets an *AgreedError with its own error or, without one, with the *RankError of the first rank that has one. An error that is
// device.ErrAwaited counts only if no rank has another one, which explains it.
func Agree(c device.Collective, err error) error {
	text, awaited := "", "\x00"
	if err != nil {
		text = cmp.Or(err.Error(), "an error without a text")
	}
	if errors.Is(err, device.ErrAwaited) {
		awaited = "awaited\x00"
	}
	all, gatherErr := c.Gather([]byte(Host() + "\x00" + awaited + text))
	if gatherErr != nil {
		return cmp.Or(err, gatherErr)
	}
	var first, firstAwaited error
	for rank, told := range all {
		host, rest, _ := strings.Cut(string(told), "\x00")
		awaited, text, _ := strings.Cut(rest, "\x00")
		of := &RankError{Rank: rank, Host: host, Reason: text}
		switch {
		case text == "":
		case awaited == "" && first == nil:
			first = of
		case awaited != "" && firstAwaited == nil:
			firstAwaited = of
		}
	}
	if errors.Is(err, device.ErrAwaited) && first != nil {
		err = nil
	}
	if err = cmp.Or(err, first, firstAwaited); err == nil {
		return nil
	}
	return &AgreedError{err}
}

// Host returns the name of this machine, for messages.
func Host() string {
	name, err := os.Hostname()
	if err != nil {
		return "an unknown machine"
	}
	return name
}

// Same returns an *AgreedError unless all ranks pass the same value. The error names the first rank whose value differs from that
// of rank 0; differ says how, given the values of that rank and of rank 0. All ranks call it together.
func Same(c device.Collective, value []byte, differ func(its, first []byte) string) error {
	host := []byte(Host() + "\x00")
	all, err := c.Gather(append(host, value...))
	if err != nil {
		return err
	}
	_, first, _ := strings.Cut(string(all[0]), "\x00")
	for rank, told := range all {
		host, its, _ := strings.Cut(string(told), "\x00")
		if its == first {
			continue
		}
		return &AgreedError{&RankError{Rank: rank, Host: host, Reason: differ([]byte(its), []byte(first))}}
	}
	return nil
}
