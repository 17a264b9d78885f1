package command

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
)

// The end of the program while the page of trainer serve trains: on a terminal, Ctrl-C asks first, because a page that somebody else
// watches is easily forgotten. Otherwise, as under a supervisor, the training is saved. Either way it can be continued.

// signalError is why a command should end: a signal.
type signalError struct{ signal os.Signal }

func (e *signalError) Error() string { return e.signal.String() + " signal received" }

// untilSignal returns a context that the first signal to stop cancels, with a *signalError as its cause. The next one kills the
// program, unless someone else waits for it.
func untilSignal(parent context.Context) (ctx context.Context, release func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, stopSignals()...)
	go func() {
		defer signal.Stop(signals)
		select {
		case s := <-signals:
			cancel(&signalError{s})
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// moreSignals returns a channel of the signals to stop that arrive from now on.
func moreSignals() (signals chan os.Signal, release func()) {
	signals = make(chan os.Signal, 1)
	signal.Notify(signals, stopSignals()...)
	return signals, func() { signal.Stop(signals) }
}

// asker asks whether the program should end.
type asker struct {
	*program
	training func() string // the run that is training, or ""
	more     func() (signals chan os.Signal, release func())
}

// wait returns when the program should end: when ctx is done, unless that is by Ctrl-C on a terminal during a training, and the answer
// to the question is no. Then it waits for the next signal. A signal in place of an answer means yes, and the next one kills.
func (a *asker) wait(ctx context.Context) {
	<-ctx.Done()
	why, ok := errors.AsType[*signalError](context.Cause(ctx))
	if !a.dialog || !ok || why.signal != os.Interrupt || a.training() == "" {
		return
	}
	signals, release := a.more()
	defer release()
	lines := make(chan string)
	go func() {
		defer close(lines)
		for in := bufio.NewScanner(a.stdin); in.Scan(); {
			lines <- in.Text()
		}
	}()
	for {
		run := a.training()
		if run == "" {
			return
		}
		fmt.Fprintf(a.stderr, "\ntrainer: %s is training. Stop it, write a checkpoint and end? y or n: ", run)
		select {
		case <-signals:
			return
		case line, ok := <-lines:
			if answer := strings.ToLower(strings.TrimSpace(line)); !ok || strings.HasPrefix(answer, "y") {
				return
			}
		}
		a.note("%s continues; Ctrl-C asks again", run)
		if s := <-signals; s != os.Interrupt {
			return
		}
	}
}
