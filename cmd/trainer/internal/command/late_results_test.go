package command

import (
	"errors"
	"os"
	"testing"
)

// The files of a run are written while the next one trains; those of the one after wait for them. No files are left out because
// others failed.
func TestLateResults(t *testing.T) {
	var l lateResults
	if err := l.wait(); err != nil {
		t.Fatal(err)
	}
	release, written := make(chan error), 0
	write := func() error { written++; return <-release }
	if err := l.begin(write); err != nil {
		t.Fatal(err)
	}
	full := errors.New("disk full")
	go func() { release <- nil; release <- full; release <- nil }()
	if err := l.begin(write); err != nil {
		t.Fatalf("the files of the second run: %v", err)
	}
	if err := l.begin(write); !errors.Is(err, full) || written != 3 {
		t.Errorf("after a full disk: %v, %d of 3 runs written", err, written)
	}
	if err := l.wait(); err != nil || written != 3 {
		t.Errorf("at the end: %v, %d runs written", err, written)
	}
}

// A run among several has the files of the run by itself, to the byte.
func TestRunsAreTheSameAlone(t *testing.T) {
	workplace(t)
	for _, part := range []string{"train", "test"} { // otherwise the seed chooses the test images
		if err := os.CopyFS("parts/"+part, os.DirFS("pictures")); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"-data", "parts", "-recipe", "small.toml", "-quiet"}
	several := trainer(t, append(args, "-runs", "2", "-seed", "4", "-out", "two")...)
	alone := trainer(t, append(args, "-seed", "5", "-out", "one")...)
	if several.status != exitOK || alone.status != exitOK {
		t.Fatalf("%+v\n%+v", several, alone)
	}
	for _, file := range []string{"model.safetensors", "predictions.csv"} {
		if read(t, "two/seed-5/"+file) != read(t, "one/"+file) {
			t.Errorf("%s of the second run differs from that of the seed alone", file)
		}
	}
}
