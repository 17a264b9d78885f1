// sim.h: the engine of the software CUDA, which libcuda, libcublas and libcudnn of this folder
// share. It is test support. It keeps devices, contexts, memory, streams and graphs, runs
// queued work on threads of the host, and records every mistake that it detects (report.cpp).
//
// One mutex guards all of it. An exported function holds it from its Call to its end, except
// while it waits; work on a stream's thread takes it before and after it computes, not
// meanwhile.
#pragma once
#include "include/cuda.h"

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <type_traits>
#include <unordered_map>
#include <vector>

#pragma GCC visibility push(default)

namespace sim {

using Address = CUdeviceptr;
template <class T> using Ref = std::shared_ptr<T>;

struct Context;
struct Stream;
struct Capture;

// ---- Findings: report.cpp ----------------------------------------------------------

// The kinds of mistakes. They begin the lines of the report; README.md explains them.
namespace kind {
constexpr char argument[] = "bad-argument";
constexpr char pointer[] = "bad-pointer";
constexpr char freed[] = "use-after-free";
constexpr char overrun[] = "overrun";
constexpr char uninitialised[] = "uninitialised-read";
constexpr char handle[] = "bad-handle";
constexpr char context[] = "wrong-context";
constexpr char limits[] = "launch-limits";
constexpr char kernel[] = "kernel";
constexpr char sync[] = "missing-sync";
constexpr char capture[] = "capture";
constexpr char leak[] = "leak";
constexpr char descriptor[] = "descriptor";
constexpr char abort[] = "would-abort";
} // namespace kind

// text is sprintf into a string.
std::string text(const char *format, ...) __attribute__((format(printf, 1, 2)));

// found records a mistake. where is the function or kernel.
void found(const char *kind, const std::string &where, const std::string &what);

// findings returns the report, one finding per line; clearFindings empties it.
std::string findings();
void clearFindings();

// ---- Records of arguments: record.cpp ----------------------------------------------

// A test may ask for the arguments of the calls of one function: a function that computes cannot show that each argument
// reached the parameter that it is meant for, because many give the same result.
void recordCallsOf(const std::string &function); // from now on; forgets earlier records
bool recorded(const std::string &function);
void record(const std::string &line);
std::string records(); // one call per line

// shown is an argument in a record: a number, or an address or handle in hexadecimal.
std::string shown(double v);
std::string shown(const void *p);
template <class T> std::enable_if_t<std::is_integral_v<T> || std::is_enum_v<T>, std::string> shown(T v) { return std::to_string(static_cast<long long>(v)); }

// ---- Settings and faults: settings.cpp ---------------------------------------------

constexpr int allDevices = -2;

struct Settings {
	int devices = 1;
	size_t memory = size_t(1) << 30; // of each device, in bytes
	size_t used = 0;                 // used by another process
	int busy = -1;                   // the device that another process holds in exclusive mode; allDevices, or -1
	std::map<int, int> attributes;   // answers of cuDeviceGetAttribute, in place of the model's
	int cudnn = 0;                   // version that cuDNN reports; 0: its own
	int nccl = 21805;    // version that NCCL reports
	std::string peerFault; // what happens to one operation of NCCL: die, hang or mismatch; empty: nothing
	int peer = 0;          // the rank that it happens to
	uint64_t peerCall = 0; // and to which of its operations, from 1
	int driver = 12080;
	int cc = 80;          // compute capability, times 10
	int cubins = 0;       // whether the driver loads cubins, or refuses them
	unsigned delay = 0;   // before each launch, in microseconds
	std::map<std::string, unsigned> slow; // the same, for work that these functions and kernels queue
	int order = 0;        // of threads and blocks: 0 ascending, 1 descending
	int dry = 0;          // 1: the libraries compute nothing, and memory is zero at first and not checked; 2: kernels don't run either
	std::string kernels;  // folder of the kernels' host libraries; empty: this library's own
	std::string report;   // file to which findings are appended
};

// configure reads settings from a text (README.md, "Settings"). It returns an error message,
// or an empty string. Faults are armed from then on, and count calls from zero.
std::string configure(const std::string &settings);

// Fault is an error that a test has requested.
struct Fault {
	std::string code; // as written, unless it is a number
	int number = 0;   // of the function's own library, or of the driver
	bool driver = false;
	bool lost = false; // the device is gone for good
};

// Function is an exported function: its name and how often it was called.
struct Function {
	explicit Function(const char *name);
	const std::string name;
	uint64_t calls = 0;
};

// faultFor returns the fault requested for this call of the function or this run of the
// kernel.
std::optional<Fault> faultFor(const std::string &name);
void disarm();
uint64_t callsOf(const std::string &name); // of an exported function, or launches of a kernel
void countLaunch(const std::string &kernel);

const char *errorName(CUresult r); // nullptr for an unknown one
const char *errorText(CUresult r);
std::optional<CUresult> errorNamed(const std::string &name); // with or without CUDA_ERROR_
bool sticky(CUresult r); // an error that makes the context unusable

// ---- Handles ----------------------------------------------------------------------

void *freshHandle(); // never used before, and not an address of memory

// Handles finds the object behind a handle, and remembers those that were destroyed.
template <class T> class Handles {
public:
	void *add(Ref<T> object) {
		void *h = freshHandle();
		live[h] = std::move(object);
		return h;
	}
	Ref<T> find(const void *h) const {
		auto i = live.find(h);
		return i == live.end() ? nullptr : i->second;
	}
	void remove(const void *h) {
		if (live.erase(h)) dead.insert({h, true});
	}
	bool destroyed(const void *h) const { return dead.count(h) != 0; }
	std::unordered_map<const void *, Ref<T>> live;

private:
	std::unordered_map<const void *, bool> dead;
};

// ---- Memory: memory.cpp, written.cpp, pinned.cpp -----------------------------------

// Clock holds, for each stream, the last piece of work that is known to be done.
using Clock = std::unordered_map<uint64_t, uint64_t>;
void merge(Clock &into, const Clock &from);

// Written is the shadow of a buffer: one bit per byte, set once the byte has been written. The
// writes of kernels are not seen, but detected because the poison is gone (written.cpp).
class Written {
public:
	explicit Written(size_t bytes) : size(bytes) {}
	void mark(size_t from, size_t bytes);
	// gap returns the first byte in the range that was never written, or `none`.
	size_t gap(size_t from, size_t bytes, const char *data, bool kernelsRan);
	// any reports whether any byte of the range was written.
	bool any(size_t from, size_t bytes, const char *data, bool kernelsRan);
	static constexpr size_t none = ~size_t(0);

private:
	bool get(size_t i) const { return bits[i / 64] >> (i % 64) & 1; }
	void absorb(size_t granule, const char *data);
	size_t size;
	bool all = false;
	std::vector<uint64_t> bits; // if empty, nothing was written, or with `all` everything
};

// LastUse is the last work queued on one stream that may touch an allocation.
struct LastUse {
	uint64_t stream, number;
	std::string name;
};

struct Allocation {
	enum Kind { Device, Managed, Pinned, Registered };
	Kind kind;
	Address base;
	size_t bytes;
	char *data; // the address that the emulation uses: base, or the second view of pinned memory
	Context *context;
	std::string origin; // "cuMemAlloc_v2 number 7"
	uint64_t kernelsBefore = 0;
	bool live = true;
	std::string end; // how it ended: "cuMemFree_v2"
	Written written;
	std::vector<LastUse> uses;

	void *mapping = nullptr;
	size_t mappingBytes = 0;
	size_t slack = 0; // bytes between the mapping's first usable page and data

	Allocation(Kind k, size_t n) : kind(k), base(0), bytes(n), data(nullptr), context(nullptr), written(n) {}
};

constexpr uint32_t poisonWord = 0xFFA5FFC3; // NaN as float32, and as two float16 or bfloat16

enum class Mode { Read, Write, ReadWrite, Touch }; // Touch: a kernel may read and write it

// Use describes the use of memory by a piece of work: `count` runs of `bytes`, `stride` apart.
struct Use {
	Mode mode;
	Address at;
	size_t bytes;
	const char *name; // of the argument
	size_t count = 1, stride = 0;
	Ref<Allocation> memory; // found by resolve
	size_t extent() const { return count ? (count - 1) * stride + bytes : 0; }
};

class Call;

// resolve finds the allocation of a use and checks the range against it. If something is
// wrong, it reports that and returns CUDA_ERROR_INVALID_VALUE.
CUresult resolve(Call &call, Use &use);

Ref<Allocation> allocationAt(Address p);           // live, or null
std::string describe(Address p, size_t bytes = 1); // in words, for a report
void *view(Address p);                             // where the emulation may read and write it
Ref<Allocation> allocate(Call &call, Allocation::Kind kind, size_t bytes); // null: no memory
void release(const Ref<Allocation> &a, const std::string &how);
void checkGuards(const std::string &after);
size_t bytesInUse(int device);

// Pinned memory is mapped twice: while queued work uses it, and until the program has
// synchronised with that work, the program's view is protected; a fault there is a finding
// (pinned.cpp).
bool mapPinned(Allocation &a);
void unmapPinned(Allocation &a);
void protectPinned(const Allocation &a, size_t from, size_t bytes, bool written, uint64_t stream, uint64_t number,
	const std::string &name);
void unprotectKnown(const Clock &known); // what the program has synchronised with
void collectPinnedFindings();

// ---- Work, streams, events: stream.cpp ---------------------------------------------

// Op is a piece of work, queued or recorded.
struct Op {
	std::string name;
	std::vector<Use> uses;
	std::vector<std::pair<unsigned, size_t>> inputs; // of a kernel: parameters it only reads, and their uses
	std::function<CUresult()> run;   // on the stream's thread, without the lock
	std::function<void()> finish;    // after it, with the lock
	bool launch = false;             // launches a kernel, of the program or of a library, so the delay applies
	bool kernel = false;             // a kernel of the program
	Ref<std::vector<Op>> nodes;      // of a graph, instead of run
};

struct Queued {
	uint64_t number;
	Op op;
	std::vector<std::pair<Ref<Stream>, uint64_t>> after;
};

struct Stream {
	uint64_t id = 0;
	CUstream handle = nullptr;
	Context *context = nullptr;
	unsigned flags = 0;
	int priority = 0;
	bool legacy = false;
	std::deque<Queued> queue;
	uint64_t queued = 0, done = 0;
	Clock clock; // the work that is known to be done before the next piece of work
	std::vector<std::pair<Ref<Stream>, uint64_t>> waits; // for the next piece of work
	bool stop = false;
	Ref<Capture> capture;
};

struct Event {
	CUevent handle = nullptr;
	Context *context = nullptr;
	unsigned flags = 0;
	uint64_t recorded = 0, completed = 0; // serial numbers of records
	Ref<Stream> stream;                   // of the last record
	uint64_t number = 0;
	Clock clock;
	double time = 0; // of the last completed record, in milliseconds
	Ref<Capture> capture;
};

// enqueue checks the uses and queues the work, or records it if the stream is capturing.
CUresult enqueue(Call &call, const Ref<Stream> &s, Op op);
// synchronise waits for all work queued on s, and notes that the program knows it to be done.
void synchronise(Call &call, const Ref<Stream> &s);
void startStream(const Ref<Stream> &s);
void wait(Call &call, const Ref<Stream> &s, uint64_t number);
void programKnows(const Clock &c);
bool unknown(const Allocation &a, LastUse *use); // whether work may still use it, as far as the program knows

// ---- The journal of work: journal.cpp ----------------------------------------------

// keepJournal begins an empty journal, or ends it.
void keepJournal(bool on);
// beforeWork and afterWork are called around each piece of work, with the lock held.
void beforeWork(const Op &op);
void afterWork(const Op &op);
// journal returns a line for each piece of work: kind, name, bytes read, bytes written, separated by tabs.
std::string journal();

// ---- Capture and graphs: graph.cpp -------------------------------------------------

struct Capture {
	CUstreamCaptureMode mode;
	Ref<Stream> origin;
	unsigned long owner = 0; // the thread that began it
	bool invalid = false;
	std::string why;
	std::vector<Op> nodes;
	std::vector<Ref<Stream>> joined; // other streams that joined through events
	std::vector<Stream *> unjoined;  // those of them with work that the origin has not waited for
};

struct Graph {
	std::vector<Op> nodes;
	Context *context = nullptr;
};

unsigned long thisThread();
// invalidate makes every capture invalid that a call of this kind disturbs.
void invalidate(const Ref<Capture> &c, const std::string &why);
// disturbed returns the captures that an unsafe call on this thread breaks.
std::vector<Ref<Capture>> disturbed(Context *c);
CUstreamCaptureMode &threadCaptureMode();

// ---- Devices and contexts: context.cpp ---------------------------------------------

struct Device {
	int index = 0;
	Ref<Context> primary;
	unsigned retained = 0, primaryFlags = 0;
	bool lost = false;
	bool busy() const; // another process holds it
};

struct Context {
	CUcontext handle = nullptr;
	Device *device = nullptr;
	unsigned flags = 0;
	bool primary = false;
	bool live = true;
	CUresult error = CUDA_SUCCESS; // that every later call returns
	std::string cause;
	Ref<Stream> legacy;
	std::vector<Ref<Stream>> streams;
};

struct Module;
struct Kernel;

struct Engine {
	std::mutex mutex;
	std::condition_variable changed; // some work was done, or queued
	Settings settings;
	bool configured = false; // the environment was read
	bool initialised = false;
	std::deque<Device> devices;
	uint64_t nextStream = 1, nextAllocation = 1, kernels = 0;
	Clock programKnows;

	std::map<Address, Ref<Allocation>> live, freed;

	Handles<Context> contexts;
	Handles<Stream> streams;
	Handles<Event> events;
	Handles<Module> modules;
	Handles<Kernel> functions;
	Handles<Graph> graphs, executables;
	std::vector<Ref<Capture>> captures; // under way
	// Libraries add a function that lists what they hold in a context when it ends.
	std::vector<std::function<std::vector<std::string>(Context *)>> holders;
};

Engine &engine();

Ref<Context> currentContext(); // of this thread, or null
std::vector<Ref<Context>> &contextStack();
Ref<Context> newContext(Call &call, Device &d, bool primary);
void destroyContext(Call &call, const Ref<Context> &c, bool listLeaks = true);
void fail(Context &c, CUresult r, const std::string &cause); // for every later call
void removeModules(const Context *c);
void resetEngine();

// ---- Calls -------------------------------------------------------------------------

enum Needs : unsigned {
	Nothing = 0,
	Initialised = 1, // cuInit was called
	Current = 3,     // a context is current, and has not failed
	Unsafe = 4,      // not allowed while a capture is under way
	Queues = 8,      // queues work: an error of a kernel comes later
	Anyhow = 16,     // works in a context that has failed
};

// Call is one call of an exported function: it takes the lock, counts the call, and decides
// whether the call can proceed.
class Call {
public:
	Call(Function &f, unsigned needs);
	~Call();

	CUresult result = CUDA_SUCCESS;  // otherwise the function returns it and does nothing
	std::optional<Fault> fault;      // of a library's own numbering; also ends the function
	std::optional<Fault> queueFault; // of the work that it will queue
	Ref<Context> context;

	const std::string &name() const { return function.name; }
	// wrong reports a mistake and returns r.
	CUresult wrong(CUresult r, const char *kind, const std::string &what);

	// stream, event, … find the object behind a handle, or report a mistake and set result.
	Ref<Stream> stream(CUstream h);
	Ref<Event> event(CUevent h);
	template <class T> Ref<T> object(const Handles<T> &table, const void *h, const char *noun) {
		if (Ref<T> o = table.find(h)) return o;
		result = wrong(CUDA_ERROR_INVALID_HANDLE, kind::handle,
			table.destroyed(h) ? text("the %s %p was destroyed", noun, h) : text("%p is no %s", h, noun));
		return nullptr;
	}

	std::unique_lock<std::mutex> lock;

private:
	void begin(unsigned needs);
	Function &function;
};

// CALL begins an exported function of the driver.
#define CALL(needs)                              \
	static ::sim::Function function_(__func__);  \
	::sim::Call call(function_, needs);          \
	if (call.result != CUDA_SUCCESS) return call.result

// ARGUMENTS records the arguments of a call, in their order, if the test has asked for them.
template <class... A> void recordArguments(const std::string &function, const A &...arguments) {
	if (!recorded(function)) return;
	std::string line;
	((line += (line.empty() ? "" : " ") + shown(arguments)), ...);
	record(line);
}
#define ARGUMENTS(...) ::sim::recordArguments(call.name(), __VA_ARGS__)

#define NOT_NULL(pointer_) \
	if (!(pointer_)) return call.wrong(CUDA_ERROR_INVALID_VALUE, ::sim::kind::argument, #pointer_ " is null")

} // namespace sim

#pragma GCC visibility pop
