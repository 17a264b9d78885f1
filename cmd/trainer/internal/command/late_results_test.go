package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The files of a run are written while the next one trains; those of the one after wait for them. No files are left out because
// others failed. Each run is told of once, in order, after its files.
func TestLateResults(t *testing.T) {
	var l lateResults
	if err := l.wait(); err != nil {
		t.Fatal(err)
	}
	release, written, begun, told := make(chan error), 0, 0, ""
	write := func() error { written++; return <-release }
	begin := func() error {
		begun++
		run := begun
		return l.begin(write, func() { told += fmt.Sprintf("%d after %d, ", run, written) })
	}
	if err := begin(); err != nil {
		t.Fatal(err)
	}
	full := errors.New("disk full")
	go func() { release <- nil; release <- full; release <- nil }()
	if err := begin(); err != nil {
		t.Fatalf("the files of the second run: %v", err)
	}
	if err := begin(); !errors.Is(err, full) || written != 3 {
		t.Errorf("after a full disk: %v, %d of 3 runs written", err, written)
	}
	if err := l.wait(); err != nil || written != 3 {
		t.Errorf("at the end: %v, %d runs written", err, written)
	}
	if want := "1 after 1, 2 after 2, 3 after 3, "; told != want {
		t.Errorf("told %q, want %q", told, want)
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

// With -runs a program hears of the last checkpoint of a run, and of its summary, when they are on the disk: after the last
// epoch of the next run. Runs are told of in order.
func TestRunsTellOfTheirFiles(t *testing.T) {
	workplace(t)
	var events []string
	steps := 0
	hear := func(line []byte) {
		var e struct {
			Event, Path       string
			Seed, Step, Steps int
			Summary           struct{ Seed int }
		}
		if err := json.Unmarshal(line, &e); err != nil {
			t.Errorf("%v in %q", err, line)
		}
		switch e.Event {
		case "epoch":
			return
		case "start":
			steps = e.Steps
			e.Event = fmt.Sprint("start ", e.Seed)
		case "checkpoint":
			if e.Step < steps {
				return
			}
			read(t, e.Path)
			e.Event = "checkpoint " + filepath.Base(filepath.Dir(e.Path))
		case "summary":
			for _, name := range []string{"model.safetensors", "predictions.csv", "summary.json"} {
				read(t, fmt.Sprintf("three/seed-%d/%s", e.Summary.Seed, name))
			}
			e.Event = fmt.Sprint("summary ", e.Summary.Seed)
		case "runs":
			read(t, "three/summary.json")
		}
		events = append(events, e.Event)
	}
	p := testProgram()
	p.stdout, p.stderr, p.now = listener(hear), io.Discard, time.Now
	if status := run(t.Context(), p, []string{"-data", "pictures", "-recipe", "small.toml", "-json", "-runs", "3", "-out", "three"}); status != exitOK {
		t.Fatalf("status %d, events %q", status, events)
	}
	want := "start 0, start 1, checkpoint seed-0, summary 0, start 2, checkpoint seed-1, summary 1, checkpoint seed-2, summary 2, runs"
	if got := strings.Join(events, ", "); got != want {
		t.Errorf("events\n%s, want\n%s", got, want)
	}
}

// listener is a writer that passes on each line, of which none is written in parts.
type listener func(line []byte)

func (l listener) Write(b []byte) (int, error) {
	l(b)
	return len(b), nil
}
