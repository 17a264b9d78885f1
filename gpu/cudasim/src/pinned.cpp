// Pinned host memory has two views of the same pages: one for the program, and one for the emulation. While
// queued work uses the memory, and until the program has synchronised with that work, the program's view is
// protected: against access if the work writes, against writing if it reads. An access then faults; the
// handler records it and restores the rights, and the program continues.
//
// The tables have a fixed size and a spin lock, because a signal handler reads them. No code that holds the
// lock touches a program's view.
#include "sim.h"
#include "trap.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MFD_CLOEXEC
#define MFD_CLOEXEC 1U
#endif

namespace sim {

namespace {

struct Block {
	bool used;
	bool freed;
	Address base;
	size_t bytes; // of whole pages
	char origin[96];
};

struct Pending {
	bool used;
	int block;
	size_t from, to;
	bool written; // by the queued work
	bool touched; // by the program, and reported
	bool wrote;   // it was a write
	bool told;
	uint64_t stream, number;
	char name[96];
};

constexpr int blocks = 4096, pendings = 8192;
Block block[blocks];
Pending pending[pendings];
int blockTop, pendingTop; // entries from here on are not in use
bool freedTouched[blocks], freedTold[blocks];

// Pendings is the range of entries that may be in use.
struct Pendings {
	Pending *begin() const { return pending; }
	Pending *end() const { return pending + pendingTop; }
};

std::atomic_flag spin = ATOMIC_FLAG_INIT;
struct Spin {
	Spin() {
		while (spin.test_and_set(std::memory_order_acquire)) {
		}
	}
	~Spin() { spin.clear(std::memory_order_release); }
};

size_t pageSize() {
	static const size_t size = size_t(sysconf(_SC_PAGESIZE));
	return size;
}

int blockAt(Address p) {
	for (int i = 0; i < blockTop; i++)
		if (block[i].used && p - block[i].base < block[i].bytes) return i;
	return -1;
}

void protectPages(const Block &b, size_t from, size_t to, int rights) {
	size_t page = pageSize(), first = from / page * page, end = (to + page - 1) / page * page;
	mprotect(reinterpret_cast<void *>(b.base + first), std::min(end, b.bytes) - first, rights);
}

// applyRights sets the access rights of the whole block: no access takes precedence over read-only, and
// read-only over full access.
void applyRights(int i) {
	const Block &b = block[i];
	protectPages(b, 0, b.bytes, b.freed ? PROT_NONE : PROT_READ | PROT_WRITE);
	if (b.freed) return;
	for (bool written : {false, true})
		for (const Pending &p : Pendings())
			if (p.used && p.block == i && p.written == written && !p.touched)
				protectPages(b, p.from, p.to, written ? PROT_NONE : PROT_READ);
}

} // namespace

bool mapPinned(Allocation &a) {
	installTraps();
	size_t page = pageSize(), bytes = (a.bytes + page - 1) / page * page;
	int fd = memfd_create("cudasim", MFD_CLOEXEC);
	if (fd < 0) return false;
	if (ftruncate(fd, off_t(bytes)) != 0) {
		close(fd);
		return false;
	}
	void *program = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	void *ours = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (program == MAP_FAILED || ours == MAP_FAILED) return false;
	a.base = Address(program);
	a.data = static_cast<char *>(ours);
	a.mapping = program;
	a.mappingBytes = bytes;
	a.written.mark(0, a.bytes); // the emulation does not see what the host writes
	Spin hold;
	if (blockTop == blocks) return true; // accesses to this one are not watched
	Block &b = block[blockTop++];
	b = {true, false, a.base, bytes, {}};
	snprintf(b.origin, sizeof b.origin, "pinned memory of %zu bytes", a.bytes);
	return true;
}

void unmapPinned(Allocation &a) {
	munmap(a.data, a.mappingBytes);
	a.data = nullptr;
	Spin hold;
	int i = blockAt(a.base);
	if (i < 0) return;
	block[i].freed = true;
	for (Pending &p : Pendings())
		if (p.used && p.block == i && !p.touched) p.used = false;
	applyRights(i);
}

void protectPinned(const Allocation &a, size_t from, size_t bytes, bool written, uint64_t stream, uint64_t number,
	const std::string &name) {
	Spin hold;
	int i = blockAt(a.base);
	if (i < 0) return;
	for (Pending &p : Pendings()) {
		// A replayed step uses the same range again: the entry stays as it is.
		bool same = p.used && !p.touched && p.block == i && p.from == from && p.to == from + bytes && p.written == written;
		if (!same || p.stream != stream) continue;
		p.number = number;
		return;
	}
	if (pendingTop == pendings) return;
	Pending &p = pending[pendingTop++];
	p = {true, i, from, from + bytes, written, false, false, false, stream, number, {}};
	snprintf(p.name, sizeof p.name, "%s", name.c_str());
	applyRights(i);
}

void unprotectKnown(const Clock &known) {
	collectPinnedFindings();
	Spin hold;
	bool changed[blocks] = {};
	for (Pending &p : Pendings()) {
		if (!p.used) continue;
		auto k = known.find(p.stream);
		if (k == known.end() || k->second < p.number) continue;
		p.used = false;
		changed[p.block] = true;
	}
	while (pendingTop > 0 && !pending[pendingTop - 1].used) pendingTop--;
	for (int i = 0; i < blockTop; i++)
		if (changed[i]) applyRights(i);
}

bool pinnedFault(Address at, bool write, bool byProgram) {
	Spin hold;
	int i = blockAt(at);
	if (i < 0) return false;
	size_t offset = size_t(at - block[i].base);
	if (block[i].freed) {
		if (!byProgram) return false; // queued work ends with the fault
		freedTouched[i] = true;
		protectPages(block[i], offset, offset + 1, PROT_READ | PROT_WRITE);
		return true;
	}
	for (Pending &p : Pendings()) {
		if (!byProgram || !p.used || p.block != i || p.touched || offset < p.from || offset >= p.to) continue;
		if (!p.written && !write) continue; // both only read
		p.touched = true;
		p.wrote = write;
	}
	// The program may use other parts of the same pages, and this part too, now that the access is
	// recorded.
	protectPages(block[i], offset, offset + 1, PROT_READ | PROT_WRITE);
	return true;
}

void collectPinnedFindings() {
	std::vector<std::pair<const char *, std::string>> all;
	{
		Spin hold;
		for (Pending &p : Pendings()) {
			if (!p.used || !p.touched || p.told) continue;
			p.told = true;
			all.push_back({kind::sync, text("the program %s %s while %s, queued on stream %llu, may still %s it: nothing has synchronised since",
				p.wrote ? "wrote" : "read", block[p.block].origin, p.name, (unsigned long long)p.stream,
				p.written ? "write" : "read")});
		}
		for (int i = 0; i < blockTop; i++) {
			if (!freedTouched[i] || freedTold[i]) continue;
			freedTold[i] = true;
			all.push_back({kind::freed, text("the program used %s after it was freed", block[i].origin)});
		}
	}
	for (auto &[k, line] : all) found(k, "the host", line);
}

} // namespace sim
