//go:build linux && cgo

package mpi

/*
#include "shim.h"
*/
import "C"

import (
	"errors"
	"runtime"
	"time"
	"unsafe"
)

// messages are messages in progress. The library reads and writes their bytes while other code runs, so that these are
// pinned.
type messages struct {
	requests []C.shim_request
	done     []C.char
	peers    []int
	pinner   runtime.Pinner
}

// direction is what happens to the bytes of a message.
type direction bool

const (
	receive  direction = false
	dispatch direction = true
)

// The tags of messages.
const (
	tagData = 1
	tagLife = 2
)

func (m *messages) clear() {
	m.requests, m.done, m.peers = m.requests[:0], m.done[:0], m.peers[:0]
}

func (m *messages) unpin() { m.pinner.Unpin() }

// start starts to send or receive bytes, in several messages if they are many.
func (m *messages) start(d direction, peer int, x []byte) error {
	for {
		part := x[:min(len(x), maxBytes)]
		if err := m.startOne(d, peer, part, tagData); err != nil {
			return err
		}
		if x = x[len(part):]; len(x) == 0 {
			return nil
		}
	}
}

func (m *messages) startOne(d direction, peer int, x []byte, tag C.int) error {
	var data unsafe.Pointer
	if len(x) > 0 {
		m.pinner.Pin(&x[0])
		data = unsafe.Pointer(&x[0])
	}
	var request C.shim_request
	var code C.int
	if d == dispatch {
		code = C.shim_send(data, C.int(len(x)), C.int(peer), tag, &request)
	} else {
		code = C.shim_receive(data, C.int(len(x)), C.int(peer), tag, &request)
	}
	if code != 0 {
		return errors.New(errorText(code))
	}
	m.requests, m.done, m.peers = append(m.requests, request), append(m.done, 0), append(m.peers, peer)
	return nil
}

// wait waits for all messages, but not longer than a time. It returns how many are left, or the rank whose message failed.
func (m *messages) wait(limit time.Duration) (left, peer int, err error) {
	if len(m.requests) == 0 {
		return 0, 0, nil
	}
	var code C.int
	n := C.shim_wait(&m.requests[0], &m.done[0], C.int(len(m.requests)), C.int(limit.Microseconds()), &code)
	if n < 0 {
		return 0, m.peers[-1-n], errors.New(errorText(code))
	}
	return int(n), 0, nil
}

// firstLeft returns the rank of the first message that is not done; receptions are first.
func (m *messages) firstLeft() int {
	for i, done := range m.done {
		if done == 0 {
			return m.peers[i]
		}
	}
	return m.peers[0]
}
