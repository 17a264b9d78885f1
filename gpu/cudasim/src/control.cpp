// What tests call besides the CUDA interface.
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

// cudasimReport writes the findings so far, one a line, and returns their length without the
// closing zero, which may be more than there was room for.
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

// cudasimConfigure changes settings and arms faults. It returns 0, or the length of a text that says
// what is wrong.
size_t cudasimConfigure(const char *settings, char *error, size_t capacity) {
	std::lock_guard<std::mutex> hold(engine().mutex);
	return copyOut(configure(settings), error, capacity);
}

// cudasimCalls counts the calls of an exported function since it was loaded.
unsigned long long cudasimCalls(const char *function) {
	std::lock_guard<std::mutex> hold(engine().mutex);
	return callsOf(function);
}

// cudasimDisarm drops all faults.
void cudasimDisarm(void) {
	std::lock_guard<std::mutex> hold(engine().mutex);
	disarm();
}

// cudasimReset ends everything: contexts with all that is in them, findings, faults, settings. The
// state is that of a fresh process, with old handles still unknown.
void cudasimReset(void) { resetEngine(); }

} // extern "C"
#pragma GCC visibility pop
