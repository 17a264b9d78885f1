package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"trainer/cpu"
	"trainer/nn/train"
)

// command answers one line of the input; args is the line without its first word.
type command func(args string) (any, error)

// server speaks the protocol that main.go describes.
type server struct {
	in       io.Reader
	out      io.Writer
	commands map[string]command
}

// ready is the line that reports that measuring can begin. Fields of a network are zero without one.
type ready struct {
	Ready bool `json:"ready"`
	info
	Batch         int       `json:"batch,omitempty"`
	Parameters    int       `json:"parameters,omitempty"`      // trained parameters
	FLOPsPerImage int64     `json:"flops_per_image,omitempty"` // of a training step
	Output        []int     `json:"output,omitempty"`          // shape for a batch
	Losses        []float64 `json:"losses,omitempty"`          // of the first steps, with -check
}

// failure is the answer to a failed command.
type failure struct {
	Error string `json:"error"`
}

// write writes one line of JSON.
func (s *server) write(v any) error { return json.NewEncoder(s.out).Encode(v) }

// fail tries to tell the driver that there is nothing to measure.
func (s *server) fail(err error) {
	_ = s.write(struct {
		Ready bool `json:"ready"`
		failure
	}{failure: failure{err.Error()}})
}

// serve reports that it is ready, and answers until quit or the end of the input.
func (s *server) serve(r ready) error {
	r.Ready = true
	if err := s.write(r); err != nil {
		return err
	}
	lines := bufio.NewScanner(s.in)
	for lines.Scan() {
		name, args, _ := strings.Cut(strings.TrimSpace(lines.Text()), " ")
		if name == "quit" {
			return nil
		}
		if err := s.write(s.answer(name, args)); err != nil {
			return err
		}
	}
	return lines.Err()
}

// answer runs one command. A panic, such as that about an invalid shape, becomes an answer too.
func (s *server) answer(name, args string) (result any) {
	run, ok := s.commands[name]
	if !ok {
		return failure{fmt.Sprintf("unknown command %q", name)}
	}
	defer func() {
		if p := recover(); p != nil {
			result = failure{fmt.Sprint(p)}
		}
	}()
	result, err := run(args)
	if err != nil {
		return failure{err.Error()}
	}
	return result
}

// parseSeconds reads a positive number of seconds.
func parseSeconds(text string) (time.Duration, error) {
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil || !(seconds > 0) || seconds > 1e6 {
		return 0, fmt.Errorf("want a positive number of seconds, got %q", text)
	}
	return time.Duration(seconds * float64(time.Second)), nil
}

// repeat calls f until the duration is over, at least once, and returns the number of calls and their time.
func repeat(d time.Duration, f func() error) (calls int, took time.Duration, err error) {
	start := time.Now()
	for took == 0 || took < d {
		if err := f(); err != nil {
			return 0, 0, err
		}
		calls++
		took = time.Since(start)
	}
	return calls, took, nil
}

// memory answers with the peak memory of the process.
func memory(string) (any, error) {
	bytes, ok := train.PeakMemory()
	if !ok {
		return nil, errors.New("this system does not tell the peak of a process's memory")
	}
	return struct {
		Bytes int64 `json:"peak_rss_bytes"`
	}{bytes}, nil
}

// rate is a rate of floating-point operations.
type rate struct {
	FLOPs float64 `json:"flops_per_second"`
	Calls int     `json:"calls,omitempty"`
}

// peak measures the multiply-add peak of all threads: the best of several measurements, because other processes can only
// lower it.
func peak(d *cpu.Device) command {
	const times = 10
	return func(args string) (any, error) {
		t, err := parseSeconds(args)
		if err != nil {
			return nil, err
		}
		best := 0.0
		for range times {
			best = max(best, d.Peak(t/times))
		}
		return rate{FLOPs: best}, nil
	}
}
