//go:build linux && cgo

package mpi

/*
#include "shim.h"
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"trainer/nn/ranks"
)

// transport is a ranks.Transport. One goroutine, bound to a thread, makes all calls of the library (serve); methods pass it
// what is to be done, and wait.
type transport struct {
	rank, size int
	version    string

	work chan work
	done chan error
	err  error // of the first call that failed; final

	broken  chan struct{} // closed when another rank is known to have failed
	failure *ranks.RankError

	messages messages // of the current exchange
	life     life
	lags     func(*ranks.RankError)

	patience time.Duration
	leaving  chan struct{} // closed before the library's own end, which is no exchange
}

// work is what a method wants done.
type work struct {
	send, recv [][]byte
	end        bool
}

// maxBytes is the size of the largest message; larger ones are sent in parts. Libraries send what is below 64 KiB over a network at
// once. Before a larger message they ask whether it is awaited, and question and answer then queue behind what the other rank
// sends: over 50 Mbit/s in both directions an exchange of 430 kB took 1.7 times as long.
const maxBytes = 60 << 10

// lagAfter is how long an exchange may take before a rank that is awaited is named.
const lagAfter = 10 * time.Second

// Open loads the library, and joins the ranks that were started with this process. lags, unless nil, is told of a rank for
// which this one has waited for 10 s, once per exchange; it is called while a method of the transport waits.
//
// Open returns the error of ctx when that ends. It gives up after three times the patience, because a library may wait forever for a
// rank that has ended before it joined (as MPICH does: pmodels/mpich issue 6124). The process must then end.
func Open(ctx context.Context, getenv func(string) string, lags func(*ranks.RankError)) (ranks.Transport, error) {
	patience, err := ranks.Patience(getenv)
	if err != nil {
		return nil, err
	}
	t := &transport{
		work: make(chan work), done: make(chan error, 1), broken: make(chan struct{}),
		life: newLife(patience), lags: lags, patience: patience, leaving: make(chan struct{}),
	}
	go t.serve(getenv)
	limit := 3 * patience
	select {
	case err = <-t.done:
	case <-ctx.Done():
		err = ctx.Err()
	case <-time.After(limit):
		err = fmt.Errorf("the ranks have not come together after %v: one has not been started, or has ended before", limit)
	}
	if err != nil {
		return nil, err
	}
	return t, nil
}

func (t *transport) Name() string { return t.version }
func (t *transport) Rank() int    { return t.rank }
func (t *transport) Size() int    { return t.size }

func (t *transport) Exchange(send, recv [][]byte) error {
	t.work <- work{send: send, recv: recv}
	return <-t.done
}

// Close waits for the other ranks, as the library does, but without keeping a processor busy. After it the process must end by
// Exit. No rank watches the library's own end, in which it may wait for others that have gone: this one gives up waiting for it.
func (t *transport) Close() error {
	nothing := make([][]byte, t.size)
	if err := t.Exchange(nothing, nothing); err != nil {
		return err
	}
	t.work <- work{end: true}
	select {
	case err := <-t.done:
		return err
	case <-t.leaving:
	}
	select {
	case err := <-t.done:
		return err
	case <-time.After(t.patience):
		return &ranks.RankError{Rank: t.rank, Host: ranks.Host(), Reason: fmt.Sprintf("MPI_Finalize of %s has not returned after %v", t.version, t.patience)}
	}
}

// Abort ends the processes of all ranks, this one included. It returns if the library can't do that in time.
func (t *transport) Abort(string) {
	ended := make(chan struct{})
	go func() {
		C.shim_abort(1)
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(min(maxAbort, t.patience)):
	}
}

// maxAbort is how long the library may take to end all ranks.
const maxAbort = 5 * time.Second

// serve is the goroutine that calls the library.
func (t *transport) serve(getenv func(string) string) {
	runtime.LockOSThread() // for good: the library may keep state of the thread
	err := t.open(getenv)
	t.done <- err
	if err != nil {
		return
	}
	for {
		select {
		case w := <-t.work:
			if t.err == nil {
				t.note(t.do(w))
			}
			t.done <- t.err
			if w.end {
				return
			}
		case <-time.After(t.life.signEvery / 4): // so that all ranks find a silence at about the same time
			if t.err == nil {
				t.note(t.life.keep(time.Now()))
			}
		}
	}
}

// note keeps the first error.
func (t *transport) note(err error) {
	t.err = err
	if failure, ok := errors.AsType[*ranks.RankError](err); ok {
		t.failure = failure
		close(t.broken)
	}
}

// Failed is closed once a rank is known to have failed.
func (t *transport) Failed() <-chan struct{} { return t.broken }

// Failure returns the error of the rank that has failed, after Failed was closed.
func (t *transport) Failure() *ranks.RankError { return t.failure }

func (t *transport) open(getenv func(string) string) error {
	_, version, err := load(candidates(getenv))
	if err != nil {
		return err
	}
	var rank, size C.int
	if code := C.shim_init(&rank, &size); code != 0 {
		return fmt.Errorf("%s: joining the ranks: %s", version, errorText(code))
	}
	t.rank, t.size, t.version = int(rank), int(size), version
	return t.begin()
}

// begin learns the names of the machines, and begins to send signs of life.
func (t *transport) begin() error {
	send, recv := make([][]byte, t.size), make([][]byte, t.size)
	own := make([]byte, maxHost)
	copy(own, ranks.Host())
	for p := range t.size {
		send[p], recv[p] = own, make([]byte, maxHost)
	}
	t.life.ranks(t.rank, t.size)
	if err := t.exchange(send, recv); err != nil {
		return err
	}
	return t.life.begin(recv)
}

// maxHost is the room for the name of a machine.
const maxHost = 64

func (t *transport) do(w work) error {
	if w.end {
		if err := t.life.end(); err != nil {
			return err
		}
		close(t.leaving)
		if code := C.shim_finalize(); code != 0 {
			return fmt.Errorf("%s: leaving the ranks: %s", t.version, errorText(code))
		}
		return nil
	}
	return t.exchange(w.send, w.recv)
}

// exchange starts all messages, and waits for them. Meanwhile it keeps up the signs of life.
//
// After an error the bytes stay pinned, because the library may still write to them until the process ends.
func (t *transport) exchange(send, recv [][]byte) error {
	m := &t.messages
	m.clear()
	for p := range t.size {
		if p == t.rank {
			continue
		}
		if err := m.start(receive, p, recv[p]); err != nil {
			return t.failed(p, err)
		}
	}
	for p := range t.size {
		if p == t.rank {
			continue
		}
		if err := m.start(dispatch, p, send[p]); err != nil {
			return t.failed(p, err)
		}
	}
	started, told := time.Now(), t.lags == nil
	for {
		left, peer, err := m.wait(t.life.signEvery / 4)
		if err != nil {
			return t.failed(peer, err)
		}
		if left == 0 {
			m.unpin()
			return nil
		}
		if err := t.life.keep(time.Now()); err != nil {
			return err
		}
		if !told && time.Since(started) > lagAfter {
			p := m.firstLeft()
			t.lags(&ranks.RankError{Rank: p, Host: t.life.host(p), Reason: fmt.Sprintf("the others have waited for it for %.0f s", lagAfter.Seconds())})
			told = true
		}
	}
}

// failed says which rank a message was to or from that the library reports as failed.
func (t *transport) failed(peer int, err error) error {
	return &ranks.RankError{Rank: peer, Host: t.life.host(peer), Reason: fmt.Sprintf("%s: %v", t.version, err)}
}

func errorText(code C.int) string {
	var text [1024]C.char
	C.shim_error_text(code, &text[0], C.size_t(len(text)))
	return C.GoString(&text[0])
}
