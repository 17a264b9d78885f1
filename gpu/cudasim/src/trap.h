// trap.h: what happens when the code of a stream's thread, or the program itself, touches memory that it must not
// touch.
#pragma once
#include "sim.h"

namespace sim {

// Trapped is how guarded work ended.
struct Trapped {
	bool faulted = false; // by a signal
	int signal = 0;
	Address address = 0;
	std::string failure; // or by trapFailure, with this text
	bool ok() const { return !faulted && failure.empty(); }
};

// installTraps takes over the signals of bad accesses, for these threads and addresses only: all other faults go
// to the previous handler (the Go runtime's).
void installTraps();

// enterStreamThread prepares the calling thread for guarded, leaveStreamThread undoes it.
void enterStreamThread();
void leaveStreamThread();

// guarded runs f on a thread of a stream. A bad access ends f, not the process, and the destructors in the frames
// of f do not run.
Trapped guarded(const std::function<void()> &f);

// explain reports how guarded work ended, and returns the error code for it. The caller holds the engine's lock.
CUresult explain(const std::string &name, const Trapped &t);

// trapFailure ends the guarded work of the calling thread.
[[noreturn]] void trapFailure(const char *line);

// pinnedFault is called in a signal handler. It returns whether the fault was in the program's view of pinned
// memory; the access may then be repeated. It is a finding if the program made the access; queued work may use
// that view, as kernels do.
bool pinnedFault(Address at, bool write, bool byProgram);

} // namespace sim
