#include "nccl_ranks.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

namespace ranks {

namespace {

bool alive(int process) { return kill(process, 0) == 0 || errno == EPERM; }

void pause() {
	timespec t = {0, 50 * 1000};
	nanosleep(&t, nullptr);
}

} // namespace

std::string Group::open(const std::string &name, int r, int n, int device) {
	rank = r, size = n, file = name;
	bytes = sizeof(Shared) + size_t(n) * room;
	int f = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (f < 0 || ftruncate(f, off_t(bytes)) != 0) {
		std::string why = name + ": " + strerror(errno);
		if (f >= 0) close(f);
		return why;
	}
	void *at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, f, 0);
	close(f);
	if (at == MAP_FAILED) return name + ": " + strerror(errno);
	shared = static_cast<Shared *>(at); // a new file is full of zeros
	Slot &mine = shared->slots[rank];
	mine.device = device + 1;
	mine.process = getpid();
	return "";
}

Group::~Group() {
	if (!shared) return;
	leave();
	munmap(shared, bytes);
}

char *Group::data(int r) const { return reinterpret_cast<char *>(shared) + sizeof(Shared) + size_t(r) * room; }

void Group::leave() {
	shared->slots[rank].left = 1;
	if (rank == 0) unlink(file.c_str());
}

// await waits until all ranks are ready.
Outcome Group::await(const std::atomic<bool> &aborted, const std::function<bool(Slot &)> &ready) {
	for (int p = 0; p < size; p++) {
		Slot &s = shared->slots[p];
		for (int turns = 0; !ready(s); turns++) {
			if (aborted) return Outcome::Aborted;
			if (turns % 64 == 63 && s.process != 0 && (s.left || !alive(s.process))) {
				culprit = p;
				return Outcome::Dead;
			}
			if (turns < 32) sched_yield();
			else pause();
		}
	}
	return Outcome::Done;
}

Outcome Group::join(const std::atomic<bool> &aborted, bool multiple) {
	Outcome o = await(aborted, [](Slot &s) { return s.process != 0; });
	if (o != Outcome::Done) return o;
	if (rank == 0) unlink(file.c_str()); // all have it open
	for (int p = 0; p < size && !multiple; p++)
		if (p != rank && shared->slots[p].device == shared->slots[rank].device) {
			culprit = p;
			return Outcome::SameDevice;
		}
	return Outcome::Done;
}

Outcome Group::round(const Head &head, const std::atomic<bool> &aborted, const std::function<void(char *)> &write,
	const std::function<void(int, const char *)> &read) {
	uint64_t last = rounds++, now = rounds;
	Slot &mine = shared->slots[rank];
	Outcome o = await(aborted, [&](Slot &s) { return s.read >= last; });
	if (o != Outcome::Done) return o;
	mine.head = head;
	write(data(rank));
	mine.written = now;
	o = await(aborted, [&](Slot &s) { return s.written >= now; });
	if (o != Outcome::Done) return o;
	for (int p = 0; p < size; p++) {
		const Head &other = shared->slots[p].head;
		if (other.kind != head.kind || other.elements != head.elements) {
			culprit = p;
			return Outcome::Mismatch;
		}
	}
	for (int p = 0; p < size; p++) read(p, data(p));
	mine.read = now;
	return Outcome::Done;
}

} // namespace ranks
