// The arguments of the calls of one function, for tests of a program's binding to it.
#include "sim.h"

namespace sim {

namespace {

// The engine's lock guards both.
std::string &wanted() {
	static auto *s = new std::string;
	return *s;
}

std::string &lines() {
	static auto *s = new std::string;
	return *s;
}

} // namespace

void recordCallsOf(const std::string &function) {
	wanted() = function;
	lines().clear();
}

bool recorded(const std::string &function) { return wanted() == function; }

void record(const std::string &line) { lines() += line + "\n"; }

std::string records() { return lines(); }

std::string shown(double v) { return text("%g", v); }

std::string shown(const void *p) { return text("0x%llx", reinterpret_cast<unsigned long long>(p)); }

} // namespace sim
