// The software NCCL: sums and exchanges of float32, and copies of bytes, between ranks, each with an emulated device, in one process or several.
//
// As NCCL's, its sums have an order of their own, which changes from element to element and with the number of ranks; the
// program may not rely on it. Ranks whose calls don't fit each other wait until they are aborted, as NCCL's do; here the
// report names them. A rank whose process has ended makes the state of the others' communicators ncclRemoteError; what they
// have in progress waits until it is aborted.
//
// Faults: the setting peer=KIND:RANK#N concerns the N-th operation of a rank. With die its process ends as by SIGKILL, with hang
// the operation never begins, with mismatch it has one element less.
#include "include/nccl.h"
#include "nccl_ranks.h"
#include "sim.h"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <unistd.h>

using namespace sim;

namespace {

struct Comm {
	Context *context = nullptr;
	ranks::Group group;
	bool multiple = false;
	std::atomic<bool> aborted{false};
	std::atomic<int> state{ncclInProgress};
	std::atomic<uint64_t> operations{0}; // begun on the stream
	bool finalized = false;
};

Handles<Comm> &handles() {
	static auto *h = new Handles<Comm>;
	return *h;
}

const char *const names[] = {"ncclSuccess", "ncclUnhandledCudaError", "ncclSystemError", "ncclInternalError", "ncclInvalidArgument",
	"ncclInvalidUsage", "ncclRemoteError", "ncclInProgress"};

thread_local std::string lastError;

ncclResult_t statusOf(const Fault &f) {
	for (int i = 0; i < int(sizeof names / sizeof *names); i++)
		if (f.code == names[i] || "nccl" + f.code == names[i]) return ncclResult_t(i);
	return ncclResult_t(f.number);
}

ncclResult_t failed(const Call &call) {
	if (call.fault) {
		lastError = "a fault that the test asked for";
		return statusOf(*call.fault);
	}
	if (call.result == CUDA_SUCCESS) return ncclSuccess;
	lastError = std::string("Cuda failure '") + errorText(call.result) + "'";
	return ncclUnhandledCudaError;
}

ncclResult_t wrong(Call &call, ncclResult_t r, const char *kind, const std::string &what) {
	call.wrong(CUDA_SUCCESS, kind, what);
	lastError = what;
	return r;
}

#define NCCL_BEGIN(needs)                       \
	static ::sim::Function function_(__func__); \
	::sim::Call call(function_, needs);         \
	if (ncclResult_t s_ = failed(call)) return s_
#define NCCL_CALL(needs)                                                 \
	NCCL_BEGIN(needs);                                                   \
	Ref<Comm> c = call.object(handles(), comm, "communicator");          \
	if (!c) return ncclInvalidArgument

enum Kind : uint32_t { Sum = 1, GatherAll, Broadcast, Exchange };

// Part is what one call of a group asks for.
struct Part {
	Kind kind;
	bool sends;
	int peer;
	Address from, to;
	size_t elements;
	Ref<Comm> comm;
	Ref<Stream> stream;
	std::string name;
};

struct Pending {
	int depth = 0;
	std::vector<Part> parts;
};

Pending &pending() {
	thread_local Pending p;
	return p;
}

void report(const Comm &c, const std::string &name, ranks::Outcome o) {
	if (o != ranks::Outcome::Mismatch) return;
	std::lock_guard<std::mutex> hold(engine().mutex);
	found(kind::argument, name, text("rank %d does something else than rank %d, or with another number of elements", c.group.rank, c.group.culprit));
}

// waits blocks until the communicator is aborted.
void waits(const Comm &c) {
	while (!c.aborted) usleep(200);
}

// settle makes the outcome of an operation the state of the communicator; what can't go on waits to be aborted.
bool settle(Comm &c, const std::string &name, ranks::Outcome o) {
	if (o == ranks::Outcome::Done) return true;
	report(c, name, o);
	if (o == ranks::Outcome::Dead) c.state = ncclRemoteError;
	waits(c);
	return false;
}

// begins applies the fault that a test asked for to an operation that begins. It returns false if the operation is not to run.
bool begins(Comm &c, size_t &elements) {
	if (c.aborted) return false;
	Settings s;
	{
		std::lock_guard<std::mutex> hold(engine().mutex);
		s = engine().settings;
	}
	uint64_t number = ++c.operations;
	if (s.peerFault.empty() || s.peer != c.group.rank || s.peerCall != number) return true;
	if (s.peerFault == "die") kill(getpid(), SIGKILL);
	if (s.peerFault == "mismatch" && elements > 0) elements--;
	if (s.peerFault != "hang") return true;
	waits(c);
	return false;
}

// sum adds up a tensor over the ranks, a piece of it per round. Piece i begins with rank i.
void sum(Comm &c, const std::string &name, const float *from, float *to, size_t elements) {
	if (!begins(c, elements)) return;
	const size_t most = ranks::room / sizeof(float);
	size_t rounds = (elements + most - 1) / most;
	std::vector<std::vector<float>> all(size_t(c.group.size));
	for (size_t r = 0; r < rounds; r++) {
		size_t first = r * most, n = std::min(most, elements - first);
		auto o = c.group.round({Sum, elements, rounds}, c.aborted, [&](char *mine) { memcpy(mine, from + first, n * sizeof(float)); },
			[&](int p, const char *data) {
				auto *x = reinterpret_cast<const float *>(data);
				all[size_t(p)].assign(x, x + n);
			});
		if (!settle(c, name, o)) return;
		const size_t piece = 16;
		for (size_t i = 0; i < n; i++) {
			size_t begin = (first + i) / piece;
			float total = 0;
			for (int k = 0; k < c.group.size; k++) {
				float x = all[(begin + size_t(k)) % size_t(c.group.size)][i];
				total = k == 0 ? x : total + x;
			}
			to[first + i] = total;
		}
	}
}

void gather(Comm &c, const std::string &name, const float *from, float *to, size_t elements) {
	size_t own = elements;
	if (!begins(c, elements)) return;
	const size_t most = ranks::room / sizeof(float);
	size_t rounds = (elements + most - 1) / most;
	for (size_t r = 0; r < rounds; r++) {
		size_t first = r * most, n = std::min(most, elements - first);
		auto o = c.group.round({GatherAll, elements, rounds}, c.aborted, [&](char *mine) { memcpy(mine, from + first, n * sizeof(float)); },
			[&](int p, const char *data) { memcpy(to + size_t(p) * own + first, data, n * sizeof(float)); });
		if (!settle(c, name, o)) return;
	}
}

// broadcast copies bytes of rank root to all.
void broadcast(Comm &c, const std::string &name, int root, const char *from, char *to, size_t bytes) {
	if (!begins(c, bytes)) return;
	size_t rounds = (bytes + ranks::room - 1) / ranks::room;
	for (size_t r = 0; r < rounds; r++) {
		size_t first = r * ranks::room, n = std::min(ranks::room, bytes - first);
		auto o = c.group.round({Broadcast, bytes * size_t(ranks::maxRanks) + size_t(root), rounds}, c.aborted,
			[&](char *mine) { if (c.group.rank == root) memcpy(mine, from + first, n); },
			[&](int p, const char *data) { if (p == root) memmove(to + first, data, n); });
		if (!settle(c, name, o)) return;
	}
}

// exchange sends a part of the same length to every other rank, and receives one from it.
void exchange(Comm &c, const std::string &name, const std::vector<const float *> &from, const std::vector<float *> &to, size_t elements) {
	if (!begins(c, elements)) return;
	const size_t most = ranks::room / sizeof(float) / size_t(c.group.size);
	size_t rounds = (elements + most - 1) / most;
	for (size_t r = 0; r < rounds; r++) {
		size_t first = r * most, n = std::min(most, elements - first);
		auto o = c.group.round({Exchange, elements, rounds}, c.aborted,
			[&](char *mine) {
				for (size_t p = 0; p < from.size(); p++)
					if (from[p]) memcpy(mine + p * most * sizeof(float), from[p] + first, n * sizeof(float));
			},
			[&](int p, const char *data) {
				if (to[size_t(p)]) memcpy(to[size_t(p)] + first, data + size_t(c.group.rank) * most * sizeof(float), n * sizeof(float));
			});
		if (!settle(c, name, o)) return;
	}
}

// queue queues the work of one call, or of the sends and receptions of a group.
ncclResult_t queue(Call &call, const std::vector<Part> &parts) {
	const Part &first = parts.front();
	Ref<Comm> c = first.comm;
	size_t n = size_t(c->group.size);
	Op op;
	op.name = first.name;
	op.launch = true;
	std::vector<const float *> from(n);
	std::vector<float *> to(n);
	for (const Part &p : parts) {
		size_t bytes = p.elements * (p.kind == Broadcast ? 1 : sizeof(float));
		bool inPlace = p.from == p.to;
		if (p.from && !(p.kind == Broadcast && p.peer != c->group.rank)) {
			op.uses.push_back({inPlace && p.kind == Sum ? Mode::ReadWrite : Mode::Read, p.from, bytes, "sendbuff", 1, 0, nullptr});
		}
		if (p.to && !(inPlace && (p.kind == Sum || p.peer == c->group.rank)))
			op.uses.push_back({Mode::Write, p.to, p.kind == GatherAll ? bytes * n : bytes, "recvbuff", 1, 0, nullptr});
	}
	for (Use &u : op.uses)
		if (resolve(call, u)) return ncclInvalidArgument;
	for (const Part &p : parts) {
		size_t at = p.kind == Exchange ? size_t(p.peer) : 0;
		if (p.from) from[at] = static_cast<const float *>(view(p.from));
		if (p.to) to[at] = static_cast<float *>(view(p.to));
	}
	std::string name = first.name;
	size_t elements = first.elements;
	Kind kind = first.kind;
	int root = first.peer;
	op.run = [=] {
		switch (kind) {
		case Sum: sum(*c, name, from[0], to[0], elements); break;
		case GatherAll: gather(*c, name, from[0], to[0], elements); break;
		case Broadcast: broadcast(*c, name, root, reinterpret_cast<const char *>(from[0]), reinterpret_cast<char *>(to[0]), elements); break;
		case Exchange: exchange(*c, name, from, to, elements); break;
		}
		return CUDA_SUCCESS;
	};
	return enqueue(call, first.stream, std::move(op)) == CUDA_SUCCESS ? ncclSuccess : ncclUnhandledCudaError;
}

// complete checks the sends and receptions of a group: the software NCCL needs them to and from all other ranks, of one length.
ncclResult_t complete(Call &call, const std::vector<Part> &parts) {
	const Part &first = parts.front();
	int n = first.comm->group.size;
	std::vector<int> sends(static_cast<size_t>(n)), receptions(static_cast<size_t>(n));
	for (const Part &p : parts) {
		if (p.comm != first.comm || p.stream != first.stream || p.elements != first.elements)
			return wrong(call, ncclInvalidUsage, kind::argument, "a group with other communicators, streams or lengths is not emulated");
		(p.sends ? sends : receptions)[size_t(p.peer)]++;
	}
	for (int p = 0; p < n; p++)
		if (p != first.comm->group.rank && (sends[size_t(p)] != 1 || receptions[size_t(p)] != 1))
			return wrong(call, ncclInvalidUsage, kind::argument, text("the group does not both send to rank %d and receive from it, once", p));
	return queue(call, parts);
}

// finish queues the work of a group: sends and receptions together, and every other call by itself.
ncclResult_t finish(Call &call, std::vector<Part> parts) {
	std::vector<Part> messages;
	for (Part &p : parts) {
		if (p.kind == Exchange) {
			messages.push_back(p);
			continue;
		}
		if (ncclResult_t r = queue(call, {p})) return r;
	}
	return messages.empty() ? ncclSuccess : complete(call, messages);
}

ncclResult_t add(Call &call, Part p, ncclDataType_t type, CUstream stream) {
	if (p.comm->state != ncclSuccess) return wrong(call, ncclInvalidUsage, kind::argument, "the communicator is not ready");
	if (p.comm->finalized) return wrong(call, ncclInvalidUsage, kind::argument, "the communicator was finalized");
	if (type != (p.kind == Broadcast ? ncclUint8 : ncclFloat32))
		return wrong(call, ncclInvalidArgument, kind::argument, "only float32 is emulated, and for ncclBroadcast bytes");
	if (p.comm->context != call.context.get()) return wrong(call, ncclInvalidUsage, kind::context, "the communicator belongs to another context");
	if (p.peer >= p.comm->group.size) return wrong(call, ncclInvalidArgument, kind::argument, text("there is no rank %d", p.peer));
	p.stream = call.stream(stream);
	if (!p.stream) return ncclInvalidArgument;
	p.name = call.name();
	if (pending().depth > 0) {
		pending().parts.push_back(p);
		return ncclSuccess;
	}
	return finish(call, {p});
}

// list makes communicators that a program doesn't free a finding.
void list() {
	static bool listed;
	if (listed) return;
	listed = true;
	engine().holders.push_back([](Context *c) {
		std::vector<std::string> all;
		for (auto &[h, comm] : handles().live)
			if (comm->context == c) all.push_back(text("NCCL communicator %p was not freed", h));
		return all;
	});
}

// connect waits for the other ranks.
void connect(const Ref<Comm> &c) {
	auto o = c->group.join(c->aborted, c->multiple);
	c->state = o == ranks::Outcome::Done ? ncclSuccess : o == ranks::Outcome::SameDevice ? ncclInvalidUsage : ncclRemoteError;
}

} // namespace

ncclResult_t ncclGetVersion(int *version) {
	NCCL_BEGIN(Nothing);
	if (!version) return wrong(call, ncclInvalidArgument, kind::argument, "version is null");
	*version = engine().settings.nccl;
	return ncclSuccess;
}

ncclResult_t ncclGetUniqueId(ncclUniqueId *id) {
	NCCL_BEGIN(Nothing);
	if (!id) return wrong(call, ncclInvalidArgument, kind::argument, "uniqueId is null");
	static int number;
	const char *folder = getenv("TMPDIR");
	std::string name = text("%s/cudasim-nccl-%d-%d", folder ? folder : "/tmp", int(getpid()), number++);
	if (name.size() >= sizeof id->internal) return wrong(call, ncclSystemError, kind::argument, "the name of the folder for temporary files is too long");
	unlink(name.c_str()); // of a process that was killed and had this number
	memset(id, 0, sizeof *id);
	memcpy(id->internal, name.c_str(), name.size());
	return ncclSuccess;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t *comm, int nranks, ncclUniqueId commId, int rank, ncclConfig_t *config) {
	NCCL_BEGIN(Current | Unsafe);
	if (!comm || nranks < 1 || nranks > ranks::maxRanks || rank < 0 || rank >= nranks)
		return wrong(call, ncclInvalidArgument, kind::argument, text("rank %d of %d", rank, nranks));
	if (!config || config->magic != 0xcafebeef || config->size < 24 || config->version < 21400)
		return wrong(call, ncclInvalidArgument, kind::argument, "the configuration was not initialised");
	list();
	auto c = std::make_shared<Comm>();
	c->context = call.context.get();
	const char *multiple = getenv("NCCL_MULTI_RANK_GPU_ENABLE");
	c->multiple = multiple && !strcmp(multiple, "1");
	std::string why = c->group.open(commId.internal, rank, nranks, call.context->device->index);
	if (!why.empty()) return wrong(call, ncclSystemError, kind::argument, why);
	*comm = ncclComm_t(handles().add(c));
	if (config->blocking == 0) {
		std::thread(connect, c).detach();
		return ncclInProgress;
	}
	call.lock.unlock();
	connect(c);
	call.lock.lock();
	return ncclResult_t(c->state.load());
}

ncclResult_t ncclCommFinalize(ncclComm_t comm) {
	NCCL_CALL(Current | Unsafe);
	c->finalized = true;
	return ncclSuccess;
}

ncclResult_t ncclCommDestroy(ncclComm_t comm) {
	NCCL_CALL(Anyhow);
	if (!c->finalized) return wrong(call, ncclInvalidUsage, kind::argument, "the communicator was not finalized");
	c->aborted = true;
	handles().remove(comm);
	return ncclSuccess;
}

ncclResult_t ncclCommAbort(ncclComm_t comm) {
	NCCL_CALL(Anyhow);
	c->aborted = true;
	c->group.leave();
	handles().remove(comm);
	return ncclSuccess;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t *asyncError) {
	NCCL_CALL(Anyhow);
	if (!asyncError) return wrong(call, ncclInvalidArgument, kind::argument, "asyncError is null");
	*asyncError = ncclResult_t(c->state.load());
	if (*asyncError == ncclInvalidUsage) lastError = text("Duplicate GPU detected : rank %d and rank %d", c->group.rank, c->group.culprit);
	if (*asyncError == ncclRemoteError) lastError = text("rank %d has gone", c->group.culprit);
	return ncclSuccess;
}

const char *ncclGetLastError(ncclComm_t) { return lastError.c_str(); }

ncclResult_t ncclGroupStart(void) {
	NCCL_BEGIN(Nothing);
	pending().depth++;
	return ncclSuccess;
}

ncclResult_t ncclGroupEnd(void) {
	NCCL_BEGIN(Current | Queues);
	Pending &p = pending();
	if (p.depth == 0) return wrong(call, ncclInvalidUsage, kind::argument, "no group was begun");
	if (--p.depth > 0) return ncclSuccess;
	std::vector<Part> parts = std::move(p.parts);
	p.parts.clear();
	return finish(call, std::move(parts));
}

ncclResult_t ncclAllReduce(const void *sendbuff, void *recvbuff, size_t count, ncclDataType_t datatype, ncclRedOp_t op, ncclComm_t comm,
	CUstream stream) {
	NCCL_CALL(Current | Queues);
	if (op != ncclSum) return wrong(call, ncclInvalidArgument, kind::argument, "only sums are emulated");
	return add(call, {Sum, true, -1, Address(sendbuff), Address(recvbuff), count, c, nullptr, ""}, datatype, stream);
}

ncclResult_t ncclAllGather(const void *sendbuff, void *recvbuff, size_t sendcount, ncclDataType_t datatype, ncclComm_t comm, CUstream stream) {
	NCCL_CALL(Current | Queues);
	return add(call, {GatherAll, true, -1, Address(sendbuff), Address(recvbuff), sendcount, c, nullptr, ""}, datatype, stream);
}

ncclResult_t ncclBroadcast(const void *sendbuff, void *recvbuff, size_t count, ncclDataType_t datatype, int root, ncclComm_t comm,
	CUstream stream) {
	NCCL_CALL(Current | Queues);
	return add(call, {Broadcast, true, root, Address(sendbuff), Address(recvbuff), count, c, nullptr, ""}, datatype, stream);
}

ncclResult_t ncclSend(const void *sendbuff, size_t count, ncclDataType_t datatype, int peer, ncclComm_t comm, CUstream stream) {
	NCCL_CALL(Current | Queues);
	return add(call, {Exchange, true, peer, Address(sendbuff), 0, count, c, nullptr, ""}, datatype, stream);
}

ncclResult_t ncclRecv(void *recvbuff, size_t count, ncclDataType_t datatype, int peer, ncclComm_t comm, CUstream stream) {
	NCCL_CALL(Current | Queues);
	return add(call, {Exchange, false, peer, 0, Address(recvbuff), count, c, nullptr, ""}, datatype, stream);
}
