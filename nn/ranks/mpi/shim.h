#ifndef TRAINER_MPI_SHIM_H
#define TRAINER_MPI_SHIM_H

#include <stddef.h>
#include <stdint.h>

// The binary interfaces.
enum interface {
	MPICH_INTERFACE = 1,
	OPENMPI_INTERFACE,
	STANDARD_INTERFACE,
};

// A message in progress. A request of MPICH is an int, which is kept in the same place.
typedef union {
	void *pointer;
	int number;
} shim_request;

// shim_load loads a library and stores its version, up to size bytes. It returns an interface, or 0 and a text in failure.
int shim_load(const char *file, char *version, size_t size, char *failure, size_t failure_size);

// The calls of the library that was loaded. They return 0 or an error, for shim_error_text.
int shim_init(int *rank, int *size);
int shim_send(const void *data, int bytes, int to, int tag, shim_request *request);
int shim_receive(void *data, int bytes, int from, int tag, shim_request *request);
int shim_test(shim_request *request, int *done);

// shim_wait tests messages for up to so many microseconds, until all are done: at first all the time, then with pauses, so
// that ranks that share a processor can work. done[i] is set for each that is. It returns how many are not, or -1-i if
// message i failed, with error.
int shim_wait(shim_request *requests, char *done, int n, int microseconds, int *error);

int shim_finalize(void);
int shim_finalized(void); // shim_finalize has ended without an error

// shim_exit ends the process by C's exit, which calls the exit handlers of libraries first.
void shim_exit(int status);

void shim_abort(int status);
void shim_error_text(int error, char *text, size_t size);

#endif
