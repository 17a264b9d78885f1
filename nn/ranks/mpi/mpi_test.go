//go:build linux && cgo

package mpi_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"trainer/cpu"
	"trainer/nn/device/devicetest"
	"trainer/nn/ranks"
	"trainer/nn/ranks/mpi"
)

// roleVariable makes this test's program a rank, which does what its value says.
const roleVariable = "TRAINER_TEST_MPI_ROLE"

func TestMain(m *testing.M) {
	role := os.Getenv(roleVariable)
	if role == "" {
		os.Exit(m.Run())
	}
	t, err := mpi.Open(context.Background(), os.Getenv, func(e *ranks.RankError) { fmt.Println("lags:", e) })
	if err == nil {
		err = play(role, t)
	}
	if err == nil {
		mpi.Exit(0)
	}
	fmt.Println("failed:", err)
	if t != nil {
		t.Abort("")
	}
	mpi.Exit(1)
}

// play is what a rank does.
func play(role string, t ranks.Transport) error {
	dev, err := cpu.New(cpu.WithThreads(1))
	if err != nil {
		return err
	}
	c := ranks.New(t, dev)
	switch role {
	case "check":
		if err := devicetest.CheckCollective(devicetest.CollectiveRank{Collective: c, Device: dev}); err != nil {
			return err
		}
	case "hang": // rank 1 stops, and the others wait for it
		if c.Rank() == 1 {
			if err := syscall.Kill(os.Getpid(), syscall.SIGSTOP); err != nil {
				return err
			}
		}
		start := time.Now()
		if err := c.Barrier(); err != nil {
			return fmt.Errorf("%w after %.0f s", err, time.Since(start).Seconds())
		}
	}
	if err := t.Close(); err != nil {
		return err
	}
	fmt.Printf("rank %d of %d ends, %s\n", t.Rank(), t.Size(), t.Name())
	return nil
}

// launchers are the launchers of this machine by the names of their MPI, with what they need besides the number of ranks.
func launchers(t *testing.T) map[string][]string {
	all := map[string][]string{
		"Open MPI": {"mpirun.openmpi", "--allow-run-as-root", "--oversubscribe"},
		"MPICH":    {"mpirun.mpich"},
	}
	for name, command := range all {
		if _, err := exec.LookPath(command[0]); err != nil {
			delete(all, name)
		}
	}
	if len(all) == 0 {
		t.Skip("no mpirun.openmpi or mpirun.mpich on this machine")
	}
	return all
}

// launch runs this program as so many ranks, and returns what they print.
func launch(t *testing.T, launcher []string, size int, role string) (string, error) {
	t.Helper()
	const limit = 5 * time.Minute // it ends in any case
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	args := append(append([]string{}, launcher[1:]...), "-n", fmt.Sprint(size), os.Args[0])
	cmd := exec.CommandContext(ctx, launcher[0], args...)
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("it did not end within %v; output:\n%s", limit, out)
	}
	return string(out), err
}

// TestMPI passes the suite on every rank, with the library of each launcher.
func TestMPI(t *testing.T) {
	for name, launcher := range launchers(t) {
		for _, size := range []int{1, 2, 3} {
			t.Run(fmt.Sprintf("%s, %d ranks", name, size), func(t *testing.T) {
				out, err := launch(t, launcher, size, "check")
				if err != nil {
					t.Fatalf("%v; output:\n%s", err, out)
				}
				for rank := range size {
					if want := fmt.Sprintf("rank %d of %d ends, %s", rank, size, name); !strings.Contains(out, want) {
						t.Errorf("no line %q in:\n%s", want, out)
					}
				}
			})
		}
	}
}

// TestHang: a rank that stops is named, first as one that lags, and found by its silence.
func TestHang(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the silence of a rank")
	}
	for name, launcher := range launchers(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := launch(t, launcher, 2, "hang")
			host, _ := os.Hostname()
			for _, want := range []string{
				"lags: rank 1 on " + host + ": the others have waited for it for 10 s",
				"failed: rank 1 on " + host + ": no sign of life for ",
			} {
				if err == nil || !strings.Contains(out, want) {
					t.Errorf("%v, want %q in:\n%s", err, want, out)
				}
			}
			var seconds float64
			if found := regexp.MustCompile(`no sign of life for \d+ s after (\d+) s`).FindStringSubmatch(out); found != nil {
				seconds, _ = strconv.ParseFloat(found[1], 64)
			}
			if seconds == 0 || seconds > 30 {
				t.Errorf("the ranks ended after %v s, want at most 30", seconds)
			}
		})
	}
}
