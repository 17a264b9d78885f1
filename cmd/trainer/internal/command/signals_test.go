//go:build unix

package command

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A process that gets Ctrl-C, or whose terminal goes away, ends its step, writes what there is, and exits with 130.
func TestStopSignals(t *testing.T) {
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGHUP} {
		t.Run(s.String(), func(t *testing.T) { stopBySignal(t, s) })
	}
}

// TestReadersThatLeave: training goes on when nobody reads what it prints, as in trainer | head -1.
func TestReadersThatLeave(t *testing.T) {
	workplace(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	read, written, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	read.Close()
	cmd := exec.CommandContext(t.Context(), self, "-data", "pictures", "-recipe", "small.toml", "-out", "run", "-threads", "1")
	cmd.Env = append(os.Environ(), "TRAINER_TEST_MAIN=1")
	cmd.Stdout, cmd.Stderr = written, written
	if err := cmd.Run(); err != nil {
		t.Error(err)
	}
	written.Close()
	if s := readJSON(t, "run/summary.json"); s["complete"] != true {
		t.Errorf("summary %v", s)
	}
}

func stopBySignal(t *testing.T, s os.Signal) {
	if signal.Ignored(s) {
		t.Skip("the tests were started with this signal ignored, as nohup does, and so is the program")
	}
	workplace(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-data", "pictures", "-recipe", "small.toml", "-epochs", "1e6",
		"-checkpoint-every", "1000000", "-out", "run", "-threads", "1")
	cmd.Env = append(os.Environ(), "TRAINER_TEST_MAIN=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	deadline := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	defer deadline.Stop()
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "epoch   2") {
			if err := cmd.Process.Signal(s); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait() // the status is what matters
	if status := cmd.ProcessState.ExitCode(); status != exitInterrupted {
		t.Fatalf("status %d, stderr %q", status, stderr.String())
	}
	if got := stderr.String(); got != "trainer: interrupted; to continue: trainer -resume run\n" {
		t.Errorf("stderr %q", got)
	}
	if s := readJSON(t, "run/summary.json"); s["interrupted"] != true {
		t.Errorf("summary %v", s)
	}
	for _, name := range []string{"model.safetensors", "checkpoint.safetensors", "config.toml", "metrics.jsonl"} {
		if read(t, "run/"+name) == "" {
			t.Errorf("%s is empty", name)
		}
	}
}
