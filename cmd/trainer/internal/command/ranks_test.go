package command

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"

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
			_, err := p.joinRanks()
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
		if team, err := p.joinRanks(); team != nil || err != nil {
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
		func(o *options) { o.runs = 2 },
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

// variables returns a function that looks variables up, as in "A=1 B=2".
func variables(text string) func(string) string {
	all := map[string]string{}
	for _, v := range strings.Fields(text) {
		name, value, _ := strings.Cut(v, "=")
		all[name] = value
	}
	return func(name string) string { return all[name] }
}
