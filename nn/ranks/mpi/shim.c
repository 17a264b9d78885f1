//go:build linux && cgo

#include "shim.h"
#include <dlfcn.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// Handles of the interface of MPICH, of Open MPI and of the standard. The values of the first and the last are fixed; those
// of Open MPI are addresses of variables.
typedef int number;
typedef void *pointer;

static enum interface kind;
static pointer world, byte, errors_return; // a number is kept in the pointer
static _Atomic int finalized;
static struct {
	void *get_library_version, *init_thread, *init, *comm_rank, *comm_size, *comm_set_errhandler, *isend, *irecv, *test,
		*finalize, *abort, *error_string;
} functions;

static const int thread_funneled = 1; // one thread calls, beside others; the value is MPICH's and Open MPI's

// CALL calls a function with the types and the handles of the interface.
#define CALL(name, number_types, pointer_types, number_arguments, pointer_arguments) \
	(kind == MPICH_INTERFACE ? ((int(*) number_types)functions.name) number_arguments \
	                         : ((int(*) pointer_types)functions.name) pointer_arguments)

#define NUMBER(handle) ((number)(intptr_t)(handle))

static int find(void *library, char *failure, size_t size) {
	static const struct {
		void **to;
		const char *name;
	} list[] = {
		{&functions.get_library_version, "MPI_Get_library_version"},
		{&functions.init_thread, "MPI_Init_thread"},
		{&functions.init, "MPI_Init"},
		{&functions.comm_rank, "MPI_Comm_rank"},
		{&functions.comm_size, "MPI_Comm_size"},
		{&functions.comm_set_errhandler, "MPI_Comm_set_errhandler"},
		{&functions.isend, "MPI_Isend"},
		{&functions.irecv, "MPI_Irecv"},
		{&functions.test, "MPI_Test"},
		{&functions.finalize, "MPI_Finalize"},
		{&functions.abort, "MPI_Abort"},
		{&functions.error_string, "MPI_Error_string"},
	};
	for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
		*list[i].to = dlsym(library, list[i].name);
		if (!*list[i].to) {
			snprintf(failure, size, "it has no %s", list[i].name);
			return 0;
		}
	}
	return 1;
}

int shim_load(const char *file, char *version, size_t size, char *failure, size_t failure_size) {
	// Global, because plug-ins of Open MPI look for its symbols.
	void *library = dlopen(file, RTLD_NOW | RTLD_GLOBAL);
	if (!library) {
		const char *why = dlerror();
		snprintf(failure, failure_size, "%s", why ? why : "unknown reason");
		return 0;
	}
	if (!find(library, failure, failure_size))
		return 0;
	char text[8192 + 1] = ""; // the longest version of any
	int length = 0;
	((int (*)(char *, int *))functions.get_library_version)(text, &length);
	snprintf(version, size, "%.*s", (int)strcspn(text, "\n,"), text);
	if (dlsym(library, "MPI_Abi_get_version") && strstr(file, "mpi_abi")) {
		world = (pointer)0x101, byte = (pointer)0x247, errors_return = NULL;
		return kind = STANDARD_INTERFACE;
	}
	if (strstr(text, "Open MPI")) {
		world = dlsym(library, "ompi_mpi_comm_world");
		byte = dlsym(library, "ompi_mpi_byte");
		errors_return = dlsym(library, "ompi_mpi_errors_return");
		if (!world || !byte || !errors_return) {
			snprintf(failure, failure_size, "it is an Open MPI without ompi_mpi_comm_world");
			return 0;
		}
		return kind = OPENMPI_INTERFACE;
	}
	// MPICH and what keeps to its interface.
	world = (pointer)0x44000000, byte = (pointer)0x4c00010d, errors_return = (pointer)0x54000001;
	return kind = MPICH_INTERFACE;
}

int shim_init(int *rank, int *size) {
	int provided = 0;
	int error = kind == STANDARD_INTERFACE
		? ((int (*)(int *, char ***))functions.init)(NULL, NULL)
		: ((int (*)(int *, char ***, int, int *))functions.init_thread)(NULL, NULL, thread_funneled, &provided);
	if (error)
		return error;
	if (errors_return) // otherwise an error ends the process
		CALL(comm_set_errhandler, (number, number), (pointer, pointer), (NUMBER(world), NUMBER(errors_return)), (world, errors_return));
	error = CALL(comm_rank, (number, int *), (pointer, int *), (NUMBER(world), rank), (world, rank));
	if (error)
		return error;
	return CALL(comm_size, (number, int *), (pointer, int *), (NUMBER(world), size), (world, size));
}

int shim_send(const void *data, int bytes, int to, int tag, shim_request *request) {
	return CALL(isend, (const void *, int, number, int, int, number, number *), (const void *, int, pointer, int, int, pointer, pointer *),
		(data, bytes, NUMBER(byte), to, tag, NUMBER(world), &request->number), (data, bytes, byte, to, tag, world, &request->pointer));
}

int shim_receive(void *data, int bytes, int from, int tag, shim_request *request) {
	return CALL(irecv, (void *, int, number, int, int, number, number *), (void *, int, pointer, int, int, pointer, pointer *),
		(data, bytes, NUMBER(byte), from, tag, NUMBER(world), &request->number), (data, bytes, byte, from, tag, world, &request->pointer));
}

int shim_test(shim_request *request, int *done) {
	int64_t status[16]; // larger than any MPI_Status
	return CALL(test, (number *, int *, void *), (pointer *, int *, void *), (&request->number, done, status), (&request->pointer, done, status));
}

static int64_t microseconds_now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int shim_wait(shim_request *requests, char *done, int n, int microseconds, int *error) {
	enum { busy = 100, pause = 50 }; // microseconds
	int64_t start = microseconds_now();
	for (;;) {
		int left = 0;
		for (int i = 0; i < n; i++) {
			if (done[i])
				continue;
			int flag = 0;
			*error = shim_test(&requests[i], &flag);
			if (*error)
				return -1 - i;
			done[i] = flag != 0;
			left += !flag;
		}
		int64_t waited = microseconds_now() - start;
		if (left == 0 || waited >= microseconds)
			return left;
		if (waited < busy)
			sched_yield();
		else
			nanosleep(&(struct timespec){.tv_nsec = pause * 1000}, NULL);
	}
}

int shim_finalize(void) {
	int error = ((int (*)(void))functions.finalize)();
	finalized = !error;
	return error;
}

int shim_finalized(void) { return finalized; }

void shim_exit(int status) { exit(status); }

void shim_abort(int status) { CALL(abort, (number, int), (pointer, int), (NUMBER(world), status), (world, status)); }

void shim_error_text(int error, char *text, size_t size) {
	char all[1024 + 1] = "";
	int length = 0;
	((int (*)(int, char *, int *))functions.error_string)(error, all, &length);
	snprintf(text, size, "%s", all);
}
