// The report: every mistake of the program under test, one per line. A repeated mistake is
// counted, not written again.
#include "sim.h"

#include <cstdarg>
#include <cstdio>

namespace sim {

namespace {

struct Entry {
	std::string line;
	uint64_t times;
};

// The report has a lock of its own, so that any code may report while it holds the engine's
// lock.
std::mutex mutex;
std::vector<Entry> entries;

void append(const std::string &file, const std::string &line) {
	if (file.empty()) return;
	FILE *f = fopen(file.c_str(), "a");
	if (!f) return;
	fprintf(f, "%s\n", line.c_str());
	fclose(f);
}

} // namespace

std::string text(const char *format, ...) {
	char line[2048];
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof line, format, args);
	va_end(args);
	return line;
}

void found(const char *kind, const std::string &where, const std::string &what) {
	std::string line = std::string(kind) + ": " + where + ": " + what;
	std::lock_guard<std::mutex> hold(mutex);
	for (Entry &e : entries) {
		if (e.line != line) continue;
		e.times++;
		return;
	}
	if (entries.size() >= 1000) return;
	entries.push_back({line, 1});
	append(engine().settings.report, line);
}

std::string findings() {
	std::lock_guard<std::mutex> hold(mutex);
	std::string all;
	for (const Entry &e : entries) {
		all += e.line;
		if (e.times > 1) all += text(" (%llu times)", (unsigned long long)e.times);
		all += '\n';
	}
	return all;
}

void clearFindings() {
	std::lock_guard<std::mutex> hold(mutex);
	entries.clear();
}

} // namespace sim
