// Package mpi is the transport of package ranks over MPI, the Message Passing Interface: whatever network a cluster has,
// its MPI library uses it, and mpirun or srun starts the ranks.
//
// The library is loaded at run time, so that the program builds without an MPI and starts without one. The binary
// interface of MPI is not part of the standard before version 5, and there are three:
//
//	MPICH, and what derives from it (Intel, Cray, MVAPICH)   handles are integers, with fixed values
//	Open MPI                                                 handles are pointers to variables of the library
//	the interface of MPI 5 (libmpi_abi)                      handles are pointers with fixed values
//
// The library is asked which it is (MPI_Get_library_version, which may be called before MPI_Init), and shim.c calls its
// functions with the types of its interface. A dozen functions are enough: the ranks only exchange messages, and package
// ranks decides what is added to what.
//
// All calls come from one thread. While it waits it also sends signs of life to the other ranks, and expects theirs, so that
// a rank that hangs, or whose machine has vanished, is found and named.
package mpi

import (
	"errors"
	"strings"
)

// ErrNotBuilt says that this program has no MPI.
var ErrNotBuilt = errors.New("this program was built without C, so it has no ranks: build it with a C compiler (make)")

// NotFoundError says which libraries were tried.
type NotFoundError struct {
	Tried []Attempt
}

// Attempt is a library that could not be loaded.
type Attempt struct {
	File   string // as the system's loader takes it
	Reason string
}

func (e *NotFoundError) Error() string {
	var tried []string
	for _, a := range e.Tried {
		tried = append(tried, a.File+": "+a.Reason)
	}
	return "no MPI library was found (TRAINER_MPI=FILE names one); tried " + strings.Join(tried, ", ")
}
