package learn

import (
	"errors"
	"fmt"

	"trainer/nn/inspect"
	"trainer/nn/optim"
)

// Error is a question that has no answer.
type Error struct {
	Kind Kind
	Text string
}

func (e *Error) Error() string { return e.Text }

// Kind says why a question has no answer.
type Kind int

// The kinds.
const (
	Invalid   Kind = iota // the question is malformed, or about something that doesn't exist
	Early                 // another question must come before
	Closed                // the session was closed
	NotFinite             // the answer has infinite numbers, or NaN
)

// invalid returns an error of the kind Invalid.
func invalid(format string, args ...any) error {
	return &Error{Invalid, fmt.Sprintf(format, args...)}
}

// errNotFinite is the answer if a number is infinite or NaN, which JSON can't express.
var errNotFinite error = &Error{NotFinite, "the numbers are not finite: undo the last step, or draw another picture"}

// worded returns the errors of a session as an *Error; those of the engine stay as they are.
func worded(err error) error {
	if errors.Is(err, inspect.ErrClosed) {
		return &Error{Closed, "this session was closed to make room for others: open a new one"}
	}
	for _, early := range []error{inspect.ErrNoForward, inspect.ErrNoBackward, inspect.ErrNoStep} {
		if errors.Is(err, early) {
			return &Error{Early, early.Error()}
		}
	}
	if mistake, ok := errors.AsType[*inspect.ArgumentError](err); ok {
		return invalid("%s", mistake.Problem)
	}
	if setting, ok := errors.AsType[*optim.ConfigError](err); ok {
		return invalid("%v", setting)
	}
	return err
}
