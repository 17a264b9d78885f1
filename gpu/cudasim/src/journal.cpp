// The journal lists the work that streams do, in order, with the distinct bytes of device memory that each piece reads and
// writes. Copies, fills and the libraries' operations declare them; those of kernels are seen only if the kernels were
// compiled for it (Options.Count in build.go): the compiler then calls the functions at the end of this file before each
// access to memory, as it does for its own thread sanitizer.
#include "sim.h"

#include <algorithm>
#include <cstring>
#include <sys/mman.h>

namespace sim {

namespace {

// A page is the part of an allocation that a kernel's access is looked up by.
constexpr Address pageBits = 12, pageBytes = Address(1) << pageBits;
constexpr unsigned char readBit = 1, writtenBit = 2;

// Shadow has one byte for each byte of an allocation: whether the current kernel has read and written it.
struct Shadow {
	Address from = 0, to = 0; // whole pages
	unsigned char *marks = nullptr;
	bool touched = false;
};

// Slot remembers where the marks of a page are: at `offset` from its addresses. No marks: not device memory.
struct Slot {
	Address page = ~Address(0);
	Address offset = 0;
	bool device = false;
};

// Watched is what the accesses of the running kernel are looked up in. Only one kernel runs at a time.
struct Watched {
	bool on = false;
	std::vector<Shadow> shadows; // by address
	Slot slots[1 << 14];
};

Watched watched;
bool keeping = false;
std::vector<std::string> entries;

Address roundDown(Address p) { return p & ~(pageBytes - 1); }

void forget() {
	for (Shadow &s : watched.shadows)
		if (s.marks) munmap(s.marks, s.to - s.from);
	watched.shadows.clear();
}

// watch looks at the allocations as they are now.
void watch() {
	forget();
	for (auto &[base, a] : engine().live) {
		Shadow s;
		s.from = roundDown(base);
		s.to = roundDown(base + a->bytes + pageBytes - 1);
		watched.shadows.push_back(s);
	}
	std::fill(std::begin(watched.slots), std::end(watched.slots), Slot());
	watched.on = true;
}

// lookUp finds the marks of a page.
void lookUp(Slot &slot, Address page) {
	slot = {page, 0, false};
	auto &all = watched.shadows;
	auto s = std::upper_bound(all.begin(), all.end(), page, [](Address p, const Shadow &s) { return p < s.to; });
	if (s == all.end() || page < s->from) return;
	if (!s->marks) {
		void *m = mmap(nullptr, s->to - s->from, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (m == MAP_FAILED) throw std::bad_alloc();
		s->marks = static_cast<unsigned char *>(m);
	}
	slot.offset = Address(s->marks) - s->from;
	slot.device = true;
}

template <size_t bytes> void mark(const void *p, unsigned char bit) {
	if (!watched.on) return;
	Address at = Address(p), page = roundDown(at);
	Slot &slot = watched.slots[page >> pageBits & (std::size(watched.slots) - 1)];
	if (slot.page != page) lookUp(slot, page);
	if (!slot.device) return;
	unsigned char *marks = reinterpret_cast<unsigned char *>(at + slot.offset);
	for (size_t i = 0; i < bytes; i++) marks[i] |= bit; // one instruction for a constant size
}

void markRange(const void *p, size_t bytes, unsigned char bit) {
	for (size_t i = 0; i < bytes; i++) mark<1>(static_cast<const char *>(p) + i, bit);
}

struct Bytes {
	size_t read = 0, written = 0;
};

// seen counts and clears the marks of the kernel that has run.
Bytes seen() {
	Bytes n;
	for (Shadow &s : watched.shadows) {
		if (!s.marks) continue;
		for (Address i = 0; i < s.to - s.from; i += 8) {
			uint64_t marks;
			memcpy(&marks, s.marks + i, 8);
			n.read += size_t(__builtin_popcountll(marks & 0x0101010101010101u * readBit));
			n.written += size_t(__builtin_popcountll(marks & 0x0101010101010101u * writtenBit));
		}
	}
	watched.on = false;
	forget();
	return n;
}

// declared returns the bytes of an op's uses. A workspace is the library's own business.
Bytes declared(const Op &op) {
	Bytes n;
	for (const Use &u : op.uses) {
		if (!u.memory || u.memory->kind > Allocation::Managed || u.mode == Mode::Touch) continue;
		if (u.mode != Mode::Write) n.read += u.count * u.bytes;
		if (u.mode != Mode::Read) n.written += u.count * u.bytes;
	}
	return n;
}

const char *kindOf(const Op &op) {
	if (op.kernel) return "kernel";
	if (op.launch) return "library";
	if (op.name.rfind("cuMemcpy", 0) == 0) return "copy";
	return op.name.rfind("cuMemset", 0) == 0 ? "fill" : nullptr;
}

} // namespace

void keepJournal(bool on) {
	keeping = on;
	entries.clear();
}

void beforeWork(const Op &op) {
	if (keeping && op.kernel) watch();
}

void afterWork(const Op &op) {
	const char *kind = kindOf(op);
	if (!keeping || !kind) return;
	Bytes n = op.kernel ? seen() : declared(op);
	entries.push_back(text("%s\t%s\t%zu\t%zu", kind, op.name.c_str(), n.read, n.written));
}

std::string journal() {
	std::string all;
	for (const std::string &e : entries) all += e + "\n";
	return all;
}

} // namespace sim

// ---- What instrumented kernels call --------------------------------------------------

#pragma GCC visibility push(default)
extern "C" {

void __tsan_init(void) {}
void __tsan_func_entry(void *) {}
void __tsan_func_exit(void) {}

#define ACCESS(bytes)                                                                            \
	void __tsan_read##bytes(void *p) { sim::mark<bytes>(p, sim::readBit); }                      \
	void __tsan_write##bytes(void *p) { sim::mark<bytes>(p, sim::writtenBit); }
#define UNALIGNED(bytes)                                                                         \
	void __tsan_unaligned_read##bytes(void *p) { sim::markRange(p, bytes, sim::readBit); }       \
	void __tsan_unaligned_write##bytes(void *p) { sim::markRange(p, bytes, sim::writtenBit); }

ACCESS(1)
ACCESS(2)
ACCESS(4)
ACCESS(8)
ACCESS(16)
UNALIGNED(2)
UNALIGNED(4)
UNALIGNED(8)
UNALIGNED(16)

void __tsan_read_range(void *p, unsigned long bytes) { sim::markRange(p, bytes, sim::readBit); }
void __tsan_write_range(void *p, unsigned long bytes) { sim::markRange(p, bytes, sim::writtenBit); }

unsigned __tsan_atomic32_fetch_add(volatile unsigned *p, unsigned v, int order) {
	(void)order;
	sim::mark<4>(const_cast<unsigned *>(p), sim::readBit | sim::writtenBit);
	return __atomic_fetch_add(p, v, __ATOMIC_RELAXED);
}

} // extern "C"
#pragma GCC visibility pop
