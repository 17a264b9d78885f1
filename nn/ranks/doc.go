// Package ranks lets several processes train one network, each a rank with a device of its own. It has no network code:
// a Transport moves the bytes, such as MPI (package nn/ranks/mpi), or channels between goroutines (NewGoroutines), which
// tests use. What is sent, and in what order sums are taken, is decided here, so that the results have the same bits with
// every transport and at any number of ranks.
//
// An Environment is what a launcher, such as mpirun, srun or torchrun, tells a process about its rank.
package ranks
