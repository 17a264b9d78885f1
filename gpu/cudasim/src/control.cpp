// Functions for tests, in addition to the CUDA interface.
#include "sim.h"

#include <algorithm>
#include <cstring>

using namespace sim;

namespace {

size_t copyOut(const std::string &s, char *to, size_t capacity) {
	if (to && capacity) {
		size_t n = std::min(s.size(), capacity - 1);
		memcpy(to, s.data(), n);
		to[n] = 0;
	}
	return s.size();
}

} // namespace

#pragma GCC visibility push(default)
extern "C" {

// cudasimReport writes the findings so far, one per line, and returns their length without the
// terminating zero, which may exceed the size of the buffer.
size_t cudasimReport(char *to, size_t capacity) {
	{
		std::lock_guard<std::mutex> hold(engine().mutex);
		checkGuards("by the time of the report something");
		collectPinnedFindings();
	}
	return copyOut(findings(), to, capacity);
}

// cudasimClear forgets the findings.
void cudasimClear(void) {
	std::lock_guard<std::mutex> hold(engine().mutex);
	collectPinnedFindings();
	clearFindings();
}

// cudasimConfigure changes settings and arms faults. It returns 0, or the length of an error
// message.
size_t cudasimConfigure(const char *settings, char *error, size_t capacity) {
	std::lock_guard<std::mutex> hold(engine().mutex);
	return copyOut(configure(settings), error, capacity);
}

// cudasimCalls returns the number of calls of an exported function, or of launches of a kernel, since the library was
// loaded.
unsigned long long cudasimCalls(const char *function) {
	std::lock_guard<std::mutex> hold(engine().mutex);
	return callsOf(function);
}

// cudasimKeepJournal begins an empty journal of the work on streams, or ends it.
void cudasimKeepJournal(int on) {
	std::lock_guard<std::mutex> hold(engine().mutex);
	keepJournal(on != 0);
}

// cudasimJournal writes the journal's lines, as cudasimReport writes the findings.
size_t cudasimJournal(char *to, size_t capacity) {
	std::lock_guard<std::mutex> hold(engine().mutex);
	return copyOut(journal(), to, capacity);
}

// cudasimRecord records the arguments of each call of a function from now on, and forgets earlier records.
void cudasimRecord(const char *function) {
	std::lock_guard<std::mutex> hold(engine().mutex);
	recordCallsOf(function);
}

// cudasimRecords writes the records, one call per line, as cudasimReport does.
size_t cudasimRecords(char *to, size_t capacity) {
	std::lock_guard<std::mutex> hold(engine().mutex);
	return copyOut(records(), to, capacity);
}

// cudasimDisarm removes all faults.
void cudasimDisarm(void) {
	std::lock_guard<std::mutex> hold(engine().mutex);
	disarm();
}

// cudasimReset discards everything: contexts with their contents, findings, faults, settings. The
// state is that of a new process, in which old handles are unknown.
void cudasimReset(void) { resetEngine(); }

} // extern "C"
#pragma GCC visibility pop
