//go:build cuda && linux && cgo && (amd64 || arm64)

package command

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"trainer/gpu/cudasim"
)

// maxEnding is how long all ranks may take to end after a failure.
const maxEnding = 30 * time.Second

// longTest skips a test that takes minutes unless the environment asks for it (make test-long).
func longTest(t *testing.T) {
	t.Helper()
	if os.Getenv("TRAINER_LONG_TESTS") == "" {
		t.Skip("it takes minutes: TRAINER_LONG_TESTS=1")
	}
}

// onEmulation returns a process of the program on the emulation, whose output is kept.
func onEmulation(t *testing.T, settings, name string, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append(os.Environ(), "TRAINER_TEST_MAIN=1", "XDG_CACHE_HOME="+t.TempDir())
	cmd.Env = append(cmd.Env, cudasim.Environment(cudasim.Build(t, cudasim.Options{}), filepath.Join(t.TempDir(), "findings"), settings)...)
	cmd.Stdout, cmd.Stderr = &out, &out
	return cmd, &out
}

// ended waits for a process and all that hold its output.
func ended(t *testing.T, cmd *exec.Cmd, since time.Time) (took time.Duration) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err := <-done:
		if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
	case <-time.After(maxEnding - time.Since(since)):
		t.Fatalf("not all ranks ended within %v", maxEnding)
	}
	return time.Since(since)
}

// family returns the processes that a process has started, and itself.
func family(pid int) []int {
	all := []int{pid}
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid)) // of each thread
	for _, task := range tasks {
		text, _ := os.ReadFile(task) // the thread may have ended
		for _, word := range strings.Fields(string(text)) {
			if child, err := strconv.Atoi(word); err == nil {
				all = append(all, child)
			}
		}
	}
	return all
}

// TestGPUsKilled kills one of two emulated GPUs' ranks at a random moment, 50 times: all ranks end within 30 s with at most one line, and
// the run, continued on one GPU or two, ends with the bits of an undisturbed one.
func TestGPUsKilled(t *testing.T) {
	longTest(t)
	const kills = 50
	workplace(t)
	write(t, "shared.toml", shared)
	args := []string{"-data", "pictures", "-recipe", "shared.toml", "-device", "cuda", "-precision", "fp32", "-deterministic", "-quiet", "-checkpoint-every", "1steps", "-epochs", "20"}
	on := func(out string) []string { return append(args[:len(args):len(args)], "-out", out, "-gpus", "all") }
	start := time.Now()
	if got := emulated(t, cudasim.Options{}, "devices=2", on("alone")...); got.status != exitOK {
		t.Fatalf("undisturbed: %+v", got)
	}
	whole := time.Since(start)
	want := read(t, "alone/model.safetensors")
	random := rand.New(rand.NewPCG(1, 2))
	var hits, first int
	var longest time.Duration
	for k := range kills {
		cmd, out := onEmulation(t, "devices=2", os.Args[0], on("run")...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(random.Float64() * float64(whole)))
		victims := family(cmd.Process.Pid)
		which := random.IntN(len(victims))
		struck := syscall.Kill(victims[which], syscall.SIGKILL) == nil && !complete("run")
		longest = max(longest, ended(t, cmd, time.Now()))
		if struck {
			hits++
			if which == 0 {
				first++
			}
		}
		if lines := strings.Count(out.String(), "trainer: "); lines > 1 || struck && which > 0 && lines != 1 {
			t.Errorf("kill %d, of process %d of %d: %d lines\n%s", k, which, len(victims), lines, out)
		}
		if !complete("run") {
			resume := []string{"-resume", "run", "-quiet", "-gpus", []string{"0", "all"}[random.IntN(2)]}
			if _, err := os.Stat("run/config.toml"); err != nil {
				os.RemoveAll("run")
				resume = on("run")
			}
			if got := emulated(t, cudasim.Options{}, "devices=2", resume...); got.status != exitOK {
				t.Fatalf("kill %d: going on: %+v", k, got)
			}
		}
		if read(t, "run/model.safetensors") != want {
			t.Errorf("kill %d: the weights differ", k)
		}
		os.RemoveAll("run")
	}
	t.Logf("%d kills, %d before the end, of these %d of rank 0; all ranks ended within %v", kills, hits, first, longest.Round(100*time.Millisecond))
}

// complete reports whether a run has come to its end.
func complete(folder string) bool {
	text, err := os.ReadFile(filepath.Join(folder, "summary.json"))
	return err == nil && strings.Contains(string(text), `"complete": true`)
}

// TestGPUsVanish takes down the link between two machines, which are network namespaces with an emulated GPU each: all ranks end within
// 30 s with one line per machine, and the run goes on to the bits of an undisturbed one.
func TestGPUsVanish(t *testing.T) {
	longTest(t)
	if os.Getuid() != 0 {
		t.Skip("only root makes network namespaces")
	}
	workplace(t)
	write(t, "shared.toml", shared)
	t.Setenv("TMPDIR", t.TempDir()) // where the emulated NCCL's ranks meet
	machines := namespaces(t)
	args := []string{"-data", "pictures", "-recipe", "shared.toml", "-device", "cuda", "-precision", "fp32", "-deterministic", "-quiet", "-checkpoint-every", "1steps", "-epochs", "60"}
	if got := emulated(t, cudasim.Options{}, "", append(args, "-out", "alone")...); got.status != exitOK {
		t.Fatalf("one GPU: %+v", got)
	}
	var ranks []*exec.Cmd
	var outs []*bytes.Buffer
	for rank, machine := range machines {
		inside := []string{"netns", "exec", machine, "unshare", "-u", "sh", "-c", `hostname "$0" && exec "$@"`, fmt.Sprint("machine", rank), os.Args[0]}
		cmd, out := onEmulation(t, "", "ip", append(append(inside, args...), "-out", "run")...)
		cmd.Env = append(cmd.Env, fmt.Sprint("RANK=", rank), "WORLD_SIZE=2", "LOCAL_RANK=0", "LOCAL_WORLD_SIZE=1", "MASTER_ADDR=10.214.0.1", "MASTER_PORT=29500",
			"TRAINER_RANK_TOKEN=secret", "NCCL_MULTI_RANK_GPU_ENABLE=1") // the emulation takes both machines' GPUs for one
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ranks, outs = append(ranks, cmd), append(outs, out)
	}
	for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat("run/checkpoint.safetensors"); err == nil {
			break
		}
		if time.Since(start) > time.Minute {
			t.Fatalf("no checkpoint after a minute:\n%s\n%s", outs[0], outs[1])
		}
	}
	command(t, "ip", "-n", machines[1], "link", "set", "right", "down")
	down := time.Now()
	for rank, cmd := range ranks {
		took := ended(t, cmd, down)
		want := fmt.Sprintf("trainer: rank %d on machine%d: no sign of life for 20 s", 1-rank, 1-rank)
		if text := outs[rank].String(); strings.Count(text, want) != 1 || strings.Count(text, "no sign of life") != 1 {
			t.Errorf("rank %d: want %q in\n%s", rank, want, text)
		}
		t.Logf("rank %d ended after %v:\n%s", rank, took.Round(100*time.Millisecond), outs[rank])
	}
	if got := emulated(t, cudasim.Options{}, "", "-resume", "run", "-quiet"); got.status != exitOK || read(t, "run/model.safetensors") != read(t, "alone/model.safetensors") {
		t.Errorf("going on on one GPU: %+v, or other weights", got)
	}
}

// namespaces makes two network namespaces with a link between their devices left and right, which have the addresses 10.214.0.1 and .2.
// They are removed at the end of the test.
func namespaces(t *testing.T) []string {
	t.Helper()
	all := []string{fmt.Sprintf("trainer-test-a-%d", os.Getpid()), fmt.Sprintf("trainer-test-b-%d", os.Getpid())}
	for _, name := range all {
		command(t, "ip", "netns", "add", name)
		t.Cleanup(func() { command(t, "ip", "netns", "del", name) })
	}
	command(t, "ip", "link", "add", "name", "left", "netns", all[0], "type", "veth", "peer", "name", "right", "netns", all[1])
	for k, link := range []string{"left", "right"} {
		command(t, "ip", "-n", all[k], "addr", "add", fmt.Sprintf("10.214.0.%d/24", k+1), "dev", link)
		command(t, "ip", "-n", all[k], "link", "set", "lo", "up")
		command(t, "ip", "-n", all[k], "link", "set", link, "up")
	}
	return all
}

// command runs a program.
func command(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}
