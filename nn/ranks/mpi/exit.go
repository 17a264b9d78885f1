//go:build linux && cgo

package mpi

/*
#include "shim.h"
*/
import "C"

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"trainer/nn/ranks"
)

// Exit ends the process with a status. A program that may have been a rank must end by it: after Close, a library may have
// something left to do at the end of the process. MPICH 4.2 and newer tell the launcher only there that the rank has ended well
// (MPIR_pmi_finalize_on_exit in its src/util/mpir_pmi.c), and a launcher that is not told takes the end for a crash and kills the
// other ranks. C's exit calls such handlers, and os.Exit does not (golang.org/issue/20713).
//
// A rank that has not left the ranks by Close ends by os.Exit: it is one that has failed, and the launcher should find that.
func Exit(status int) {
	if C.shim_finalized() == 0 {
		os.Exit(status)
	}
	limit, err := ranks.Patience(os.Getenv)
	if err == nil { // otherwise Open has refused it
		time.AfterFunc(limit, func() {
			fmt.Fprintf(os.Stderr, "%s: exit handlers of the MPI library have not returned after %v\n", filepath.Base(os.Args[0]), limit)
			os.Exit(max(1, status))
		})
	}
	C.shim_exit(C.int(status))
}
