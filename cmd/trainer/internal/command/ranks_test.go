package command

import (
	"bytes"
	"errors"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"trainer/nn/ranks"
	"trainer/nn/ranks/mpi"
)

// TestRanksRefused: a process that was started as a rank and can't join the others ends with one line, of rank 0.
func TestRanksRefused(t *testing.T) {
	noMPI := "no MPI library was found (TRAINER_MPI=FILE names one); tried /no/such/libmpi.so: "
	if _, err := mpi.Find(func(string) string { return "/no/such/libmpi.so" }); errors.Is(err, mpi.ErrNotBuilt) {
		noMPI = mpi.ErrNotBuilt.Error()
	}
	for _, c := range []struct {
		name, environment string
		want              string // "" if the rank is silent
		status            int
	}{
		{"torchrun", "RANK=0 WORLD_SIZE=2", "torchrun started this process as one of 2 ranks, which meet at MASTER_ADDR and MASTER_PORT: set both", exitUsage},
		{"no token", "RANK=0 WORLD_SIZE=2 LOCAL_WORLD_SIZE=1 MASTER_ADDR=127.0.0.1 MASTER_PORT=1", "set TRAINER_RANK_TOKEN to the same text for all", exitUsage},
		{"torchrun's other", "RANK=1 WORLD_SIZE=2", "", exitUsage},
		{"invalid", "PMI_RANK=5 PMI_SIZE=2", `the environment variable PMI_RANK is "5", want a whole number from 0 to 1`, exitUsage},
		{"no library", "PMI_RANK=0 PMI_SIZE=2 TRAINER_MPI=/no/such/libmpi.so", "mpirun of MPICH started this process as one of several ranks: " + noMPI, exitEnvironment},
		{"no library, another", "PMI_RANK=1 PMI_SIZE=2 TRAINER_MPI=/no/such/libmpi.so", "", exitEnvironment},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			p := &program{stdout: io.Discard, stderr: &out, getenv: variables(c.environment)}
			_, err := p.joinRanks(t.Context())
			if err == nil {
				t.Fatal("no error")
			}
			if status := p.report(err); status != c.status {
				t.Errorf("status %d, want %d", status, c.status)
			}
			if got := out.String(); c.want == "" && got != "" || !strings.Contains(got, c.want) || strings.Count(got, "\n") > 1 {
				t.Errorf("it prints %q, want %q", got, c.want)
			}
		})
	}
}

// TestAlone: a process that no launcher started, or as the only rank, is no rank.
func TestAlone(t *testing.T) {
	for _, environment := range []string{"", "OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=1", "SLURM_PROCID=0 SLURM_NTASKS=4"} {
		p := &program{getenv: variables(environment)}
		if team, err := p.joinRanks(t.Context()); team != nil || err != nil {
			t.Errorf("%s: %v, %v", environment, team, err)
		}
	}
}

// TestRanksOfOtherCommands: a search by several ranks is refused by rank 0, and the others are silent.
func TestRanksOfOtherCommands(t *testing.T) {
	for rank, want := range []string{"mpirun of Open MPI started several processes, and trainer tune needs a single one", ""} {
		env := map[string]string{"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": string(rune('0' + rank))}
		out := trainerIn(t.Context(), env, "tune")
		if out.status != exitUsage || !strings.Contains(out.stderr, want) || want == "" && out.stderr != "" {
			t.Errorf("rank %d: status %d, %q, want %q", rank, out.status, out.stderr, want)
		}
	}
}

// TestShareMachine: the ranks of a machine share its processors, and what they don't do is refused.
func TestShareMachine(t *testing.T) {
	team := &team{env: ranks.Environment{LocalSize: 2}}
	p := &program{Config: config()}
	o := newOptions()
	o.device = auto
	if err := p.shareTraining(o, team); err != nil {
		t.Fatal(err)
	}
	if want := max(1, runtime.NumCPU()/2); o.device != "cpu" || runtime.NumCPU() >= processors() && o.threads != want {
		t.Errorf("device %s with %d threads, want cpu with %d", o.device, o.threads, want)
	}
	for _, change := range []func(*options){
		func(o *options) { o.folds = 3 },
		func(o *options) { o.dryRun = true },
		func(o *options) { o.device, o.given["device"] = "cuda:1", true },
	} {
		o := newOptions()
		o.device = auto
		change(o)
		if err := p.shareTraining(o, team); !isA[*usageError](err) {
			t.Errorf("%+v: %v, want a usage error", o, err)
		}
		if err := p.shareTraining(o, nil); err != nil {
			t.Errorf("a single process: %v", err)
		}
	}
}

// ending is the transport of a rank whose last exchange ends with an error.
type ending struct {
	ranks.Transport
	rank    int
	err     error
	aborted string
}

func (e *ending) Rank() int           { return e.rank }
func (e *ending) Close() error        { return e.err }
func (e *ending) Abort(reason string) { e.aborted = reason }

// TestLeave: a rank that ends with an error prints a line unless another one does, and ends the others unless all end like this.
func TestLeave(t *testing.T) {
	gone := func(rank int, host string, told bool) error {
		return &ranks.RankError{Rank: rank, Host: host, Reason: "its process has ended", Told: told}
	}
	here := ranks.Host()
	for name, c := range map[string]struct {
		rank, local     int
		mpi             bool
		err, atEnd      error
		printed, aborts string
		status          int
	}{
		"no error":                          {},
		"of another, told":                  {rank: 2, local: 2, err: gone(1, "b", true), status: exitEnvironment},
		"of another":                        {err: gone(1, "b", false), printed: "trainer: rank 1 on b: its process has ended\n", aborts: "rank 1 on b: its process has ended", status: exitEnvironment},
		"of another at the end":             {atEnd: gone(1, "b", false), printed: "trainer: rank 1 on b: its process has ended\n", aborts: "rank 1 on b: its process has ended", status: exitEnvironment},
		"of another at the end, told":       {atEnd: gone(1, "b", true), status: exitEnvironment},
		"rank 0 gone, first that is left":   {rank: 1, local: 1, err: gone(0, here, false), printed: "trainer: rank 0 on " + here + ": its process has ended\n", aborts: "rank 0 on " + here + ": its process has ended", status: exitEnvironment},
		"rank 0 gone, another":              {rank: 2, local: 2, err: gone(0, here, false), status: exitEnvironment},
		"rank 0 gone, first of its machine": {rank: 4, local: 0, err: gone(0, "b", false), printed: "trainer: rank 0 on b: its process has ended\n", aborts: "rank 0 on b: its process has ended", status: exitEnvironment},
		"rank 0 gone, another machine":      {rank: 5, local: 1, err: gone(0, "b", false), status: exitEnvironment},
		"own":                               {rank: 1, local: 1, err: errors.New("no space left"), printed: "trainer: rank 1 on " + here + ": no space left\n", aborts: "rank 1 on " + here + ": no space left", status: exitEnvironment},
		"agreed":                            {rank: 1, local: 1, err: &ranks.AgreedError{Err: errors.New("no space left")}, status: exitEnvironment},
		"no GPU":                            {err: errNoGPU, status: exitEnvironment},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			e := &ending{rank: c.rank, err: c.atEnd}
			p := &program{stderr: &out}
			err := p.leave(&team{Transport: e, env: ranks.Environment{LocalRank: c.local, MPI: c.mpi}, stderr: &out}, c.err)
			status := 0
			if err != nil {
				status = p.report(err)
			}
			if out.String() != c.printed || e.aborted != c.aborts || status != c.status {
				t.Errorf("it prints %q, ends the others because of %q, status %d; want %q, %q, %d", out.String(), e.aborted, status, c.printed, c.aborts, c.status)
			}
		})
	}
}

// trainRanks runs the program as so many ranks on CPUs, which are goroutines.
func trainRanks(t *testing.T, size int, args ...string) []outcome {
	t.Helper()
	return trainRanksBy(t, size, func(int) []string { return args })
}

// trainRanksBy is trainRanks with the arguments of each rank.
func trainRanksBy(t *testing.T, size int, args func(rank int) []string) []outcome {
	t.Helper()
	all := make([]outcome, size)
	var running sync.WaitGroup
	for rank, transport := range ranks.NewGoroutines(size) {
		running.Go(func() {
			var stdout, stderr bytes.Buffer
			p := &program{Config: config(), stdout: &stdout, stderr: &stderr, screen: &stdout, getenv: variables(""), now: time.Now}
			team := p.newTeam(ranks.Environment{Launcher: "goroutines", Rank: rank, Size: size, LocalRank: rank, LocalSize: size, MPI: true})
			team.Transport = transport
			err := p.silence(rank)
			team.note = p.note
			if err == nil {
				err = p.greet(team)
			}
			var o *options
			if err == nil {
				o, err = p.parseFlags(args(rank))
				err = p.trainAs(t.Context(), team, o, err)
			}
			if err = p.leave(team, err); err != nil {
				all[rank].status = p.report(err)
			}
			all[rank].stdout, all[rank].stderr = stdout.String(), stderr.String()
		})
	}
	running.Wait()
	return all
}

// TestRanksWithOtherArguments: whatever one rank is asked for otherwise, all end with one line, of rank 0 or of the rank whose mistake it
// is.
func TestRanksWithOtherArguments(t *testing.T) {
	workplace(t)
	args := []string{"-data", "pictures", "-recipe", "small.toml", "-shards", "2", "-epochs", "1", "-quiet", "-out", "run"}
	for more, want := range map[string]string{
		"-colour":           "unknown flag -colour",
		"-runs 2":           "it has -runs 2, rank 0 -runs 1",
		"-list":             "it has -list, rank 0 -runs 1",
		"-seed 7":           "seed is 7, on rank 0 0",
		"-resume elsewhere": "-resume continues a run with the run's own settings",
		"-dry-run":          "-dry-run needs a single process",
	} {
		t.Run(more, func(t *testing.T) {
			lines := ""
			for rank, got := range trainRanksBy(t, 2, func(rank int) []string {
				if rank == 0 {
					return args
				}
				return append(args[:len(args):len(args)], strings.Fields(more)...)
			}) {
				if got.status == exitOK {
					t.Errorf("rank %d: status 0", rank)
				}
				lines += got.stderr
			}
			if strings.Count(lines, "\n") != 1 || !strings.Contains(lines, want) {
				t.Errorf("%q, want one line with %q", lines, want)
			}
		})
	}
	for rank, got := range trainRanksBy(t, 2, func(rank int) []string { // the device that the other one chooses by itself
		return append(args[:len(args):len(args)], []string{"-device", "cpu"}[:2*rank]...)
	}) {
		if got.status != exitOK {
			t.Errorf("rank %d: %+v", rank, got)
		}
	}
}

// TestRanksMakeSeveralRuns: two ranks train several seeds to the bits of a single process, and continue what is left of them.
func TestRanksMakeSeveralRuns(t *testing.T) {
	workplace(t)
	args := []string{"-data", "pictures", "-recipe", "small.toml", "-shards", "2", "-epochs", "1", "-runs", "2", "-device", "cpu", "-threads", "1", "-quiet"}
	if got := trainer(t, append(args, "-out", "alone")...); got.status != exitOK {
		t.Fatalf("alone: %+v", got)
	}
	check := func(all []outcome) {
		t.Helper()
		for rank, got := range all {
			if got.status != exitOK || rank > 0 && got.stdout+got.stderr != "" {
				t.Fatalf("rank %d: %+v", rank, got)
			}
		}
		for _, seed := range []string{"seed-0", "seed-1"} {
			if read(t, "ranks/"+seed+"/model.safetensors") != read(t, "alone/"+seed+"/model.safetensors") {
				t.Errorf("%s: the weights differ", seed)
			}
		}
	}
	check(trainRanks(t, 2, append(args, "-out", "ranks")...))
	if err := os.RemoveAll("ranks/seed-1"); err != nil {
		t.Fatal(err)
	}
	check(trainRanks(t, 2, "-resume", "ranks", "-quiet"))
}

// variables returns a function that looks variables up, as in "A=1 B=2".
func variables(text string) func(string) string {
	all := map[string]string{}
	for _, v := range strings.Fields(text) {
		name, value, _ := strings.Cut(v, "=")
		all[name] = value
	}
	return func(name string) string { return all[name] }
}
