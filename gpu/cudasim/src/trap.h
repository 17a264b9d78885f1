// trap.h: what happens when the code of a stream's thread, or the program itself, touches
// memory that it must not.
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

// installTraps takes over the signals of bad accesses, for these threads and addresses
// only: all others go to the handler that was there before (the Go runtime's).
void installTraps();

// enterStreamThread prepares the calling thread for guarded, leaveStreamThread undoes it.
void enterStreamThread();
void leaveStreamThread();

// guarded runs f on a thread of a stream. A bad access in it ends it, not the process. The
// frames of f are left without destructors.
Trapped guarded(const std::function<void()> &f);

// explain reports how guarded work ended, with the engine's lock, and gives the error for it.
CUresult explain(const std::string &name, const Trapped &t);

// trapFailure ends the guarded work of the calling thread.
[[noreturn]] void trapFailure(const char *line);

// pinnedFault answers a fault in the program's view of pinned memory, within a signal handler: whether it was
// one. The access may go on. It is a finding if the program did it; queued work may use that view, as kernels do.
bool pinnedFault(Address at, bool write, bool byProgram);

} // namespace sim
