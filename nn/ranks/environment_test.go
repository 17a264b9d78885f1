package ranks

import (
	"strings"
	"testing"
)

func TestReadEnvironment(t *testing.T) {
	alone := Environment{Size: 1, LocalRank: -1}
	for name, c := range map[string]struct {
		variables string
		want      Environment
	}{
		"none":    {"", alone},
		"openmpi": {"OMPI_COMM_WORLD_RANK=3 OMPI_COMM_WORLD_SIZE=4 OMPI_COMM_WORLD_LOCAL_RANK=1 OMPI_COMM_WORLD_LOCAL_SIZE=2 PMIX_RANK=3", Environment{Launcher: "mpirun of Open MPI", Rank: 3, Size: 4, LocalRank: 1, LocalSize: 2, MPI: true}},
		"mpich":   {"PMI_RANK=0 PMI_SIZE=2 MPI_LOCALRANKID=0 MPI_LOCALNRANKS=2", Environment{Launcher: "mpirun of MPICH", Size: 2, LocalSize: 2, MPI: true}},
		"srun":    {"SLURM_PROCID=5 SLURM_NTASKS=8 SLURM_LOCALID=1 SLURM_STEP_NUM_TASKS=8", Environment{Launcher: "srun", Rank: 5, Size: 8, LocalRank: 1, MPI: true}},
		"script":  {"SLURM_PROCID=0 SLURM_NTASKS=8 SLURM_LOCALID=0", alone},
		"mpirun in a job": {"SLURM_PROCID=0 SLURM_NTASKS=8 OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=2",
			Environment{Launcher: "mpirun of Open MPI", Rank: 1, Size: 2, LocalRank: -1, MPI: true}},
		"pmix": {"PMIX_RANK=1 PMIX_NAMESPACE=x", Environment{Launcher: "a launcher with PMIx", Rank: -1, LocalRank: -1, MPI: true}},
		"torchrun": {"RANK=1 WORLD_SIZE=2 LOCAL_RANK=1 LOCAL_WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=29500",
			Environment{Launcher: "torchrun", Rank: 1, Size: 2, LocalRank: 1, LocalSize: 2, Address: "127.0.0.1", Port: "29500"}},
	} {
		got, err := ReadEnvironment(environment(c.variables))
		if err != nil || got != c.want {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, c.want)
		}
	}
	for _, bad := range []string{"RANK=2 WORLD_SIZE=2", "RANK=x WORLD_SIZE=2", "PMI_RANK=0 PMI_SIZE=0", "PMI_RANK=0 PMI_SIZE=99999999", "RANK=0 WORLD_SIZE=2 LOCAL_RANK=-1"} {
		if e, err := ReadEnvironment(environment(bad)); err == nil || !strings.Contains(err.Error(), "want a whole number from") {
			t.Errorf("%s: %+v, %v, want an error", bad, e, err)
		}
	}
}

// environment returns a function that looks variables up, as in "A=1 B=2".
func environment(variables string) func(string) string {
	all := map[string]string{}
	for _, v := range strings.Fields(variables) {
		name, value, _ := strings.Cut(v, "=")
		all[name] = value
	}
	return func(name string) string { return all[name] }
}
