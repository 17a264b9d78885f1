// nccl_ranks.h: how the ranks of the software NCCL, which are processes or threads of one machine, exchange data.
//
// A file that all map has a slot per rank: its state, and room for the data of one round. An operation is a number of
// rounds. In a round each rank waits until all have read the last round, writes its data, says so, waits until all have
// written, and reads. Nothing is sent over a network. The file's name is in the unique id.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace ranks {

constexpr int maxRanks = 64;
constexpr size_t room = size_t(4) << 20; // bytes that a rank writes in a round

// Head describes the operation that a rank is in: all must be in the same.
struct Head {
	uint32_t kind;
	uint64_t elements; // of the sum, or of a part; total bytes sent, for an exchange
	uint64_t rounds;
};

struct Slot {
	std::atomic<int> process;         // 0 before the rank has joined
	std::atomic<int> device;          // index + 1
	std::atomic<uint64_t> written, read; // rounds
	std::atomic<int> left;            // the rank has left, or was aborted
	Head head;
};

struct Shared {
	std::atomic<int> ranks;
	Slot slots[maxRanks];
};

// Outcome is how a wait for the other ranks ended.
enum class Outcome { Done, Aborted, Dead, Mismatch, SameDevice };

class Group {
public:
	// open maps the file of the group, which it makes if it is the first. It returns an error message, or "".
	std::string open(const std::string &name, int rank, int size, int device);
	~Group();

	// join waits for the other ranks. multiple allows several ranks on one device.
	Outcome join(const std::atomic<bool> &aborted, bool multiple);

	// round exchanges data: write fills this rank's room, read is then called for each rank, in their order.
	Outcome round(const Head &head, const std::atomic<bool> &aborted, const std::function<void(char *mine)> &write,
		const std::function<void(int rank, const char *data)> &read);

	void leave();
	int rank = 0, size = 0;
	int culprit = -1; // the rank that a wait failed for

private:
	Outcome await(const std::atomic<bool> &aborted, const std::function<bool(Slot &)> &ready);
	char *data(int rank) const;
	std::string file;
	Shared *shared = nullptr;
	size_t bytes = 0;
	uint64_t rounds = 0;
};

} // namespace ranks
