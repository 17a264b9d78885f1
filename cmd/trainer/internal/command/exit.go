package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"trainer/cmd/trainer/internal/report"
	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/model"
	"trainer/nn/optim"
	"trainer/nn/printable"
	"trainer/nn/recipe"
	"trainer/nn/train"
)

// The exit statuses.
const (
	exitOK          = 0
	exitEnvironment = 1   // device, memory, download or internal failure
	exitUsage       = 2   // invalid arguments, recipe, data or output, or a diverged loss
	exitInterrupted = 130 // Ctrl-C, SIGTERM or SIGHUP
)

// usageError is a mistake in the arguments.
type usageError struct{ msg string }

func (e *usageError) Error() string { return e.msg }

func usageErrorf(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}

// interruptedError is a training that a signal stopped, and that a command continues.
type interruptedError struct{ command string }

func (e *interruptedError) Error() string { return "interrupted; to continue: " + e.command }

// suggest returns the end of a message about an unknown name: the closest valid one, and all.
func suggest(name string, valid []string) string { return recipe.Suggest(name, valid) }

// maxErrorLines is the largest number of lines of an error message.
const maxErrorLines = 3

// report writes an error and returns the exit status.
func (p *program) report(err error) int {
	if errors.Is(err, errNoGPU) || errors.Is(err, errUnreadable) || errors.Is(err, errSerious) {
		return exitEnvironment
	}
	if silent, ok := errors.AsType[*silentError](err); ok {
		return silent.status
	}
	if stopped, ok := errors.AsType[*interruptedError](err); ok {
		p.note("%v", stopped)
		return exitInterrupted
	}
	if errors.Is(err, context.Canceled) {
		p.note("interrupted")
		return exitInterrupted
	}
	lines := errorLines(err)
	if notFound, ok := errors.AsType[*data.NotFoundError](err); ok && !slices.Contains(notFound.Valid, notFound.Name) {
		if n := recipe.Nearest(notFound.Name, notFound.Valid); n != "" {
			lines = append(lines, fmt.Sprintf("did you mean %s?", n))
		}
	}
	fmt.Fprintln(p.stderr, "trainer: "+strings.Join(lines[:min(len(lines), maxErrorLines)], "\n"))
	return exitStatus(err)
}

// note prints a line of the program to stderr. Whatever the names in it contain, it stays one line.
func (p *program) note(format string, args ...any) {
	fmt.Fprintln(p.stderr, printable.Text("trainer: "+fmt.Sprintf(format, args...)))
}

// errorLines returns the text of an error in lines that can be shown. Only an error that consists of several has more
// than one: a line break in any other is part of a name.
func errorLines(err error) []string {
	text := strings.TrimSpace(err.Error())
	if !isJoined(err) {
		return []string{printable.Text(text)}
	}
	var lines []string
	if joined, ok := err.(interface{ Unwrap() []error }); ok && err.Error() == fmt.Sprint(errors.Join(joined.Unwrap()...)) {
		for _, e := range joined.Unwrap() {
			lines = append(lines, errorLines(e)...)
		}
		return lines
	}
	for line := range strings.SplitSeq(text, "\n") {
		lines = append(lines, printable.Text(line))
	}
	return lines
}

// isJoined reports whether an error wraps several, as recipe.Errors and data.DownloadError do.
func isJoined(err error) bool {
	for ; err != nil; err = errors.Unwrap(err) {
		if _, ok := err.(interface{ Unwrap() []error }); ok {
			return true
		}
	}
	return false
}

func exitStatus(err error) int {
	// A failed device is the machine's fault, whichever layer it happened in; an operation that the device doesn't
	// support is the user's.
	if isA[*device.Error](err) && !errors.Is(err, device.ErrNotSupported) {
		return exitEnvironment
	}
	if isA[*goneError](err) {
		return exitEnvironment
	}
	if isA[*usageError](err) || isA[recipe.Errors](err) || isA[*recipe.SetError](err) || isA[*recipe.NotFoundError](err) {
		return exitUsage
	}
	if download, ok := errors.AsType[*data.DownloadError](err); ok && len(download.Failures) > 0 {
		return exitEnvironment
	}
	if isA[*dataError](err) || isA[*nn.LayerError](err) || isA[*nn.LossError](err) || isA[*train.ConfigError](err) || isA[*optim.ConfigError](err) || isA[*model.Error](err) {
		return exitUsage
	}
	if isA[*train.DivergedError](err) || isA[*train.MismatchError](err) || errors.Is(err, train.ErrDamaged) {
		return exitUsage
	}
	if errors.Is(err, report.ErrHoldsRun) || errors.Is(err, report.ErrInUse) {
		return exitUsage
	}
	if errors.Is(err, syscall.ENOSPC) {
		return exitEnvironment
	}
	if isA[*fs.PathError](err) { // an unreadable or unwritable file or folder
		return exitUsage
	}
	return exitEnvironment
}

func isA[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// internalError reports a panic. The stack is for developers only.
func (p *program) internalError(r any) int {
	p.note("internal error: %s; please report it (TRAINER_DEBUG=1 prints the stack)",
		strings.SplitN(fmt.Sprint(r), "\n", 2)[0])
	if p.getenv("TRAINER_DEBUG") == "1" {
		p.stderr.Write(debug.Stack())
	}
	return exitEnvironment
}
