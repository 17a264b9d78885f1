//go:build linux && cgo

package mpi

import (
	"testing"
	"time"
)

// TestSilent: the rank that has been silent for longest is named, none that has sent its last sign, and none for the time in which this
// process did not run.
func TestSilent(t *testing.T) {
	start := time.Now()
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	l := &life{signEvery: 2 * time.Second, maxSilence: 20 * time.Second, rank: 1, size: 4, heard: []time.Time{at(3), at(0), at(2), at(1)}, over: make([]bool, 4)}
	want := func(rank int, seconds time.Duration, now time.Time) {
		t.Helper()
		if p, silent := l.silent(now); p != rank || silent != seconds*time.Second {
			t.Errorf("rank %d is silent for %v, want rank %d for %d s", p, silent, rank, seconds)
		}
	}
	want(3, 24, at(25))
	l.over[3] = true
	want(2, 23, at(25))
	l.forgive(l.signEvery)
	want(2, 23, at(25))
	l.forgive(20 * time.Second)
	want(2, 3, at(25))
}
