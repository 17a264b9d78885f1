// Device memory: host memory in separate pages, between pages that fault.
//
//     | no access | guard words | data, 256-aligned | guard words | no access |
//
// Data lies as near to the end as its alignment allows, so that most overruns fault at once (trap.cpp), and a short
// overrun damages guard words. Freed memory loses its access rights, and its address is never used again.
#include "sim.h"
#include "trap.h"

#include <algorithm>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

namespace sim {

namespace {

constexpr size_t alignment = 256, granularity = 512, headChecked = 256;
constexpr unsigned char guardByte = 0xFB;

size_t roundUp(size_t n, size_t to) { return (n + to - 1) / to * to; }

size_t pageSize() {
	static const size_t size = size_t(sysconf(_SC_PAGESIZE));
	return size;
}

void poison(char *p, size_t bytes) {
	for (size_t i = 0; i < bytes; i++) p[i] = char(poisonWord >> (i % 4 * 8));
}

// usable is the part of the mapping between the pages that fault.
char *usable(const Allocation &a) { return static_cast<char *>(a.mapping) + pageSize(); }
size_t usableBytes(const Allocation &a) { return a.mappingBytes - 2 * pageSize(); }

bool mapDevice(Allocation &a) {
	size_t page = pageSize(), inner = roundUp(roundUp(a.bytes, alignment), page);
	void *m = mmap(nullptr, inner + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (m == MAP_FAILED) return false;
	if (mprotect(static_cast<char *>(m) + page, inner, PROT_READ | PROT_WRITE) != 0) {
		munmap(m, inner + 2 * page);
		return false;
	}
	a.mapping = m;
	a.mappingBytes = inner + 2 * page;
	a.slack = inner - roundUp(a.bytes, alignment);
	a.data = usable(a) + a.slack;
	a.base = Address(a.data);
	if (engine().settings.dry) return true; // untouched, however large
	memset(usable(a), guardByte, a.slack);
	poison(a.data, a.bytes);
	memset(a.data + a.bytes, guardByte, inner - a.slack - a.bytes);
	return true;
}

bool damaged(const char *p, size_t bytes, size_t *first) {
	// All bytes are equal if each equals the next, which memcmp compares many at a time.
	if (bytes == 0 || ((unsigned char)p[0] == guardByte && memcmp(p, p + 1, bytes - 1) == 0)) return false;
	for (*first = 0; (unsigned char)p[*first] == guardByte;) ++*first;
	return true;
}

void checkGuard(Allocation &a, const std::string &after) {
	if (engine().settings.dry) return;
	size_t first;
	char *end = a.data + a.bytes;
	size_t tail = size_t(usable(a) + usableBytes(a) - end);
	auto what = [&] { return text("the %zu bytes of %s", a.bytes, a.origin.c_str()); };
	if (damaged(end, tail, &first)) {
		found(kind::overrun, after, text("wrote %zu bytes past the end of ", first) + what());
		memset(end, guardByte, tail);
	}
	size_t head = std::min(a.slack, headChecked);
	if (damaged(a.data - head, head, &first)) {
		found(kind::overrun, after, text("wrote %zu bytes before ", head - first) + what());
		memset(a.data - head, guardByte, head);
	}
}

Ref<Allocation> within(const std::map<Address, Ref<Allocation>> &map, Address p) {
	auto i = map.upper_bound(p);
	if (i == map.begin()) return nullptr;
	Ref<Allocation> a = std::prev(i)->second;
	return p - a->base < a->bytes ? a : nullptr;
}

// near finds the allocation whose guards p lies in.
Ref<Allocation> near(const std::map<Address, Ref<Allocation>> &map, Address p) {
	auto covers = [p](const Ref<Allocation> &a) {
		return a->mapping && p - Address(a->mapping) < a->mappingBytes;
	};
	auto i = map.upper_bound(p);
	if (i != map.end() && covers(i->second)) return i->second;
	if (i != map.begin() && covers(std::prev(i)->second)) return std::prev(i)->second;
	return nullptr;
}

std::string ending(const Allocation &a) { return a.live ? "" : ", which " + a.end + " freed"; }

} // namespace

Ref<Allocation> allocationAt(Address p) { return within(engine().live, p); }

std::string describe(Address p, size_t bytes) {
	if (p == 0) return "the null pointer";
	Engine &e = engine();
	Ref<Allocation> a = within(e.live, p);
	if (!a) a = within(e.freed, p);
	if (a) {
		size_t offset = size_t(p - a->base);
		std::string range = bytes > 1 ? text("%zu bytes from byte %zu", bytes, offset) : text("byte %zu", offset);
		return range + text(" of the %zu bytes of %s", a->bytes, a->origin.c_str()) + ending(*a);
	}
	a = near(e.live, p);
	if (!a) a = near(e.freed, p);
	if (!a) return text("%#llx, which is no device memory", p);
	bool before = p < a->base;
	size_t distance = size_t(before ? a->base - p : p - a->base - a->bytes);
	return text("%zu bytes %s the %zu bytes of %s", distance, before ? "before" : "past the end of", a->bytes, a->origin.c_str()) +
		ending(*a);
}

CUresult resolve(Call &call, Use &use) {
	size_t extent = use.extent();
	if (extent == 0) return CUDA_SUCCESS;
	Engine &e = engine();
	use.memory = allocationAt(use.at);
	if (!use.memory) {
		bool wasFreed = within(e.freed, use.at) != nullptr;
		return call.wrong(CUDA_ERROR_INVALID_VALUE, wasFreed ? kind::freed : kind::pointer,
			text("%s is %s", use.name, describe(use.at).c_str()));
	}
	const Allocation &a = *use.memory;
	if (extent > a.bytes - size_t(use.at - a.base))
		return call.wrong(CUDA_ERROR_INVALID_VALUE, kind::pointer,
			text("%s needs %s", use.name, describe(use.at, extent).c_str()));
	if (a.context && call.context && a.context->device != call.context->device)
		return call.wrong(CUDA_ERROR_INVALID_VALUE, kind::context,
			text("%s is memory of device %d, the context is one of device %d", use.name, a.context->device->index,
				call.context->device->index));
	return CUDA_SUCCESS;
}

void *view(Address p) {
	if (Ref<Allocation> a = allocationAt(p)) return a->data + (p - a->base);
	return reinterpret_cast<void *>(p);
}

size_t bytesInUse(int device) {
	size_t n = 0;
	for (auto &[base, a] : engine().live)
		if (a->kind <= Allocation::Managed && a->context->device->index == device) n += roundUp(a->bytes, granularity);
	return n;
}

Ref<Allocation> allocate(Call &call, Allocation::Kind k, size_t bytes) {
	Engine &e = engine();
	bool device = k <= Allocation::Managed;
	size_t taken = e.settings.used + bytesInUse(call.context->device->index);
	if (device && (taken >= e.settings.memory || roundUp(bytes, granularity) > e.settings.memory - taken)) return nullptr;
	auto a = std::make_shared<Allocation>(k, bytes);
	a->context = call.context.get();
	a->kernelsBefore = e.kernels;
	if (!(device ? mapDevice(*a) : mapPinned(*a))) return nullptr;
	a->origin = text("%s number %llu", call.name().c_str(), (unsigned long long)e.nextAllocation++);
	e.live[a->base] = a;
	return a;
}

void release(const Ref<Allocation> &a, const std::string &how) {
	Engine &e = engine();
	if (a->kind <= Allocation::Managed) {
		checkGuard(*a, how);
		// The pages go back to the system, but their addresses stay reserved.
		mmap(a->mapping, a->mappingBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
	} else if (a->kind == Allocation::Pinned) {
		unmapPinned(*a);
	}
	a->live = false;
	a->end = how;
	e.live.erase(a->base);
	if (a->kind != Allocation::Registered) e.freed[a->base] = a;
}

void checkGuards(const std::string &after) {
	for (auto &[base, a] : engine().live)
		if (a->kind <= Allocation::Managed) checkGuard(*a, after);
}

bool unknown(const Allocation &a, LastUse *use) {
	const Clock &known = engine().programKnows;
	for (const LastUse &u : a.uses) {
		auto k = known.find(u.stream);
		if (k != known.end() && k->second >= u.number) continue;
		*use = u;
		return true;
	}
	return false;
}

} // namespace sim
