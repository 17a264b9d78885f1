package ranks

import (
	"fmt"
	"strconv"
)

// Environment is what a launcher tells a process about its rank.
type Environment struct {
	Launcher string // such as "mpirun of Open MPI"; "" if none started this process
	Rank     int    // -1 if the launcher leaves it to the library
	Size     int    // 1 without a launcher
	// LocalRank counts the ranks of this machine, and LocalSize is their number; -1 and 0 if they are not known.
	LocalRank, LocalSize int
	// MPI reports whether the ranks find each other by MPI. Otherwise they meet at Address and Port, which ranks of GPUs do.
	MPI           bool
	Address, Port string
}

// launchers are the variables that each launcher sets, in the order in which they count: a program that starts ranks itself may be part of a job, mpirun in a job of Slurm sets its
// own beside Slurm's, and what torchrun sets may stem from an outer launcher.
var launchers = []struct {
	name                             string
	rank, size, localRank, localSize string
	mpi                              bool
}{
	{OwnLauncher, RankVariable, RanksVariable, RankVariable, RanksVariable, false},
	{"mpirun of Open MPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE", true},
	{"mpirun of MPICH", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS", true},
	{"srun", "SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID", "", true},
	{"torchrun", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", false},
}

// OwnLauncher is the launcher of ranks that the program has started itself. It sets RankVariable and RanksVariable.
const (
	OwnLauncher   = "trainer -gpus"
	RankVariable  = "TRAINER_RANK"
	RanksVariable = "TRAINER_RANKS"
)

// ReadEnvironment reads the variables of mpirun (OMPI_COMM_WORLD_*, PMI_*, PMIX_RANK), srun (SLURM_PROCID with
// SLURM_NTASKS) and torchrun (RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT). The error names a variable whose
// value is invalid.
func ReadEnvironment(getenv func(string) string) (Environment, error) {
	for _, l := range launchers {
		if getenv(l.rank) == "" || getenv(l.size) == "" {
			continue
		}
		e := Environment{Launcher: l.name, MPI: l.mpi, LocalRank: -1, Address: getenv("MASTER_ADDR"), Port: getenv("MASTER_PORT")}
		var err error
		if e.Size, err = variable(getenv, l.size, 1, maxRanks); err != nil {
			return e, err
		}
		if e.Rank, err = variable(getenv, l.rank, 0, e.Size-1); err != nil {
			return e, err
		}
		if getenv(l.localRank) != "" {
			if e.LocalRank, err = variable(getenv, l.localRank, 0, e.Size-1); err != nil {
				return e, err
			}
		}
		if l.localSize != "" && getenv(l.localSize) != "" {
			if e.LocalSize, err = variable(getenv, l.localSize, 1, e.Size); err != nil {
				return e, err
			}
		}
		if l.name == "srun" && getenv("SLURM_STEP_NUM_TASKS") == "" { // the script of a job has the variables too, and is one process
			return Environment{Rank: 0, Size: 1, LocalRank: -1}, nil
		}
		return e, nil
	}
	if getenv("PMIX_RANK") != "" { // the library knows the number of ranks
		return Environment{Launcher: "a launcher with PMIx", MPI: true, Rank: -1, LocalRank: -1}, nil
	}
	return Environment{Rank: 0, Size: 1, LocalRank: -1}, nil
}

// maxRanks is the largest number of ranks.
const maxRanks = 1 << 16

// variable reads a whole number.
func variable(getenv func(string) string, name string, least, most int) (int, error) {
	n, err := strconv.Atoi(getenv(name))
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("the environment variable %s is %q, want a whole number from %d to %d", name, getenv(name), least, most)
	}
	return n, nil
}
