// An MPI library with MPICH's interface for a single rank. Like MPICH 4.2 and newer, it reports the rank's good end in an exit
// handler. TRAINER_TEST_MPI_HANGS names functions that never return: MPI_Init, MPI_Finalize, MPI_Abort, and exit for
// the handler.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int ended;

static void hang_in(const char *function) {
	const char *hangs = getenv("TRAINER_TEST_MPI_HANGS");
	while (hangs && strstr(hangs, function))
		pause();
}

static void report(void) {
	hang_in("exit");
	if (ended) {
		puts("the library has reported the end");
		fflush(stdout);
	}
}

int MPI_Get_library_version(char *text, int *length) { return *length = sprintf(text, "MPICH Version:      4.2.0"), 0; }
int MPI_Init_thread(int *argc, char ***argv, int required, int *provided) { return hang_in("MPI_Init"), *provided = required, atexit(report); }
int MPI_Init(int *argc, char ***argv) { return hang_in("MPI_Init"), atexit(report); }
int MPI_Comm_rank(int comm, int *rank) { return *rank = 0; }
int MPI_Comm_size(int comm, int *size) { return *size = 1, 0; }
int MPI_Comm_set_errhandler(int comm, int handler) { return 0; }
int MPI_Isend(const void *data, int n, int type, int to, int tag, int comm, int *request) { return 1; }
int MPI_Irecv(void *data, int n, int type, int from, int tag, int comm, int *request) { return 1; }
int MPI_Test(int *request, int *done, void *status) { return 1; }
int MPI_Finalize(void) { return hang_in("MPI_Finalize"), ended = 1, 0; }
int MPI_Abort(int comm, int status) { return hang_in("MPI_Abort"), exit(status), 0; }
int MPI_Error_string(int error, char *text, int *length) { return *length = sprintf(text, "error %d", error), 0; }
