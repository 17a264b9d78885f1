// The shadow of a buffer records which of its bytes were ever written.
//
// Copies, memsets and the libraries' operations declare what they write. The writes of a kernel are not seen,
// but memory is initialised with poison: bytes that are marked unwritten but are no longer poison were written
// by a kernel. A kernel may by chance write a few bytes that equal the poison. So after a kernel has run, a gap
// counts only if it has four bytes of poison in an aligned group of eight bytes with no other writes.
#include "sim.h"

#include <cstring>

namespace sim {

namespace {

char poisonByte(size_t i) { return char(poisonWord >> (i % 4 * 8)); }

constexpr size_t group = 8;

// overwritten reports whether none of the eight groups of 64 bytes that no call declares as written is still poison: then
// a kernel has written all of them.
bool overwritten(const char *data) {
	char poison[group];
	for (size_t i = 0; i < group; i++) poison[i] = poisonByte(i);
	for (size_t i = 0; i < 64; i += group)
		if (memcmp(data + i, poison, group) == 0) return false;
	return true;
}

} // namespace

void Written::mark(size_t from, size_t bytes) {
	if (all || bytes == 0) return;
	if (from == 0 && bytes == size) {
		all = true;
		bits.clear();
		return;
	}
	if (bits.empty()) bits.assign((size + 63) / 64, 0);
	size_t to = from + bytes;
	for (size_t i = from; i < to;) {
		size_t end = std::min(to, (i / 64 + 1) * 64);
		uint64_t mask = end - i == 64 ? ~uint64_t(0) : ((uint64_t(1) << (end - i)) - 1) << (i % 64);
		bits[i / 64] |= mask;
		i = end;
	}
}

// absorb marks the group of eight bytes at `at` if a kernel has written it.
void Written::absorb(size_t at, const char *data) {
	size_t end = std::min(at + group, size), poison = 0, open = 0;
	for (size_t i = at; i < end; i++) {
		if (get(i)) continue;
		open++;
		poison += data[i] == poisonByte(i);
	}
	if (open && (poison < open || poison < std::min<size_t>(4, end - at))) mark(at, end - at);
}

size_t Written::gap(size_t from, size_t bytes, const char *data, bool kernelsRan) {
	if (all || bytes == 0) return none;
	if (bits.empty()) bits.assign((size + 63) / 64, 0);
	size_t to = from + bytes;
	for (size_t i = from; i < to;) {
		if (i % 64 == 0 && i + 64 <= to && bits[i / 64] == ~uint64_t(0)) {
			i += 64;
			continue;
		}
		if (kernelsRan && i % 64 == 0 && i + 64 <= to && bits[i / 64] == 0 && overwritten(data + i)) {
			bits[i / 64] = ~uint64_t(0);
			i += 64;
			continue;
		}
		if (!get(i) && kernelsRan) absorb(i / group * group, data);
		if (all) return none;
		if (!get(i)) return i;
		i++;
	}
	if (from == 0 && bytes == size) mark(0, size); // nothing is left to look for
	return none;
}

bool Written::any(size_t from, size_t bytes, const char *data, bool kernelsRan) {
	for (size_t i = from; i < from + bytes; i++) {
		if (all) return true;
		if (bits.empty()) bits.assign((size + 63) / 64, 0);
		if (get(i)) return true;
		if (!kernelsRan) {
			if (bits[i / 64] == 0 && i % 64 == 0 && i + 64 <= from + bytes) i += 63;
			continue;
		}
		if (data[i] != poisonByte(i)) return true;
	}
	return false;
}

} // namespace sim
