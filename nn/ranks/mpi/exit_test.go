//go:build linux && cgo

package mpi_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"trainer/nn/ranks"
)

// TestExit: a rank that has left the others lets the library report that, and a library that hangs in its own beginning or end is given
// up with one line.
func TestExit(t *testing.T) {
	library := fakeLibrary(t)
	const reported = "the library has reported the end"
	for _, c := range []struct {
		name, hangs, want string
		good              bool
	}{
		{"MPI_Init hangs", "MPI_Init", "failed: the ranks have not come together after 900ms", false},
		{"ends", "", "rank 0 of 1 ends, MPICH 4.2.0\n" + reported, true},
		{"MPI_Finalize hangs", "MPI_Finalize", "failed: rank 0 on " + ranks.Host() + ": MPI_Finalize of MPICH 4.2.0 has not returned after 300ms", false},
		{"MPI_Abort hangs, too", "MPI_Finalize MPI_Abort", "failed: rank 0 on " + ranks.Host() + ": MPI_Finalize of MPICH 4.2.0 has not returned after 300ms", false},
		{"exit hangs", "exit", ": exit handlers of the MPI library have not returned after 300ms", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), roleVariable+"=nothing", "TRAINER_MPI="+library, "TRAINER_TEST_MPI_HANGS="+c.hangs)
			if !c.good {
				cmd.Env = append(cmd.Env, ranks.PatienceVariable+"=300ms")
			}
			out, err := cmd.CombinedOutput()
			if text := string(out); (err == nil) != c.good || !strings.Contains(text, c.want) || !c.good && strings.Contains(text, reported) {
				t.Errorf("%v, want %q in:\n%s", err, c.want, text)
			}
		})
	}
}

// fakeLibrary compiles testdata/library.c.
func fakeLibrary(t *testing.T) string {
	t.Helper()
	compiler, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("there is no C compiler")
	}
	file := filepath.Join(t.TempDir(), "libmpi.so")
	if out, err := exec.Command(compiler, "-shared", "-fPIC", "-o", file, "testdata/library.c").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return file
}
