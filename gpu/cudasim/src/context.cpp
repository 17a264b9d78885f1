// Devices, contexts, and the common part of all calls.
#include "sim.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>

namespace sim {

namespace {

std::atomic<uint64_t> handles{1};

} // namespace

// Handles lie in a part of the address space without memory, so that no code can use one
// as a pointer.
void *freshHandle() { return reinterpret_cast<void *>(0xC0DA000000000000u + 64 * handles++); }

// Never destroyed, because threads of streams outlive main.
Engine &engine() {
	static Engine *e = new Engine;
	return *e;
}

namespace {

void readEnvironment() {
	engine().configured = true;
	const char *settings = getenv("CUDASIM");
	std::string wrong = settings ? configure(settings) : "";
	if (!wrong.empty()) found(kind::argument, "CUDASIM", wrong);
}

} // namespace

void merge(Clock &into, const Clock &from) {
	for (auto &[stream, number] : from) {
		uint64_t &n = into[stream];
		n = std::max(n, number);
	}
}

bool Device::busy() const { return engine().settings.busy == allDevices || engine().settings.busy == index; }

// ---- Contexts ----------------------------------------------------------------------

std::vector<Ref<Context>> &contextStack() {
	thread_local std::vector<Ref<Context>> stack;
	return stack;
}

Ref<Context> currentContext() {
	auto &s = contextStack();
	return s.empty() ? nullptr : s.back();
}

Ref<Context> newContext(Call &call, Device &d, bool primary) {
	Engine &e = engine();
	if (d.busy() || d.lost) {
		call.result = d.lost ? CUDA_ERROR_UNKNOWN : CUDA_ERROR_DEVICE_UNAVAILABLE;
		return nullptr;
	}
	auto c = std::make_shared<Context>();
	c->device = &d;
	c->primary = primary;
	c->handle = CUcontext(e.contexts.add(c));
	c->legacy = std::make_shared<Stream>();
	c->legacy->context = c.get();
	c->legacy->legacy = true;
	startStream(c->legacy);
	c->streams.push_back(c->legacy);
	return c;
}

namespace {

std::vector<std::string> leaks(const Context *c) {
	Engine &e = engine();
	std::vector<std::string> all;
	for (auto &[base, a] : e.live)
		if (a->context == c) all.push_back(text("%zu bytes of %s were not freed", a->bytes, a->origin.c_str()));
	for (const Ref<Stream> &s : c->streams)
		if (!s->legacy && !s->stop) all.push_back(text("stream %llu was not destroyed", (unsigned long long)s->id));
	for (auto &[h, event] : e.events.live)
		if (event->context == c) all.push_back(text("event %p was not destroyed", h));
	for (auto &[h, graph] : e.graphs.live)
		if (graph->context == c) all.push_back(text("graph %p was not destroyed", h));
	for (auto &[h, graph] : e.executables.live)
		if (graph->context == c) all.push_back(text("executable graph %p was not destroyed", h));
	return all;
}

template <class T> void removeOf(Handles<T> &table, const Context *c) {
	std::vector<const void *> gone;
	for (auto &[h, object] : table.live)
		if (object->context == c) gone.push_back(h);
	for (const void *h : gone) table.remove(h);
}

} // namespace

void destroyContext(Call &call, const Ref<Context> &c, bool listLeaks) {
	Engine &e = engine();
	for (size_t i = 0; i < c->streams.size(); i++) synchronise(call, c->streams[i]); // which releases the lock meanwhile
	if (listLeaks) {
		for (const std::string &leak : leaks(c.get())) found(kind::leak, call.name(), leak);
		for (auto &holder : e.holders)
			for (const std::string &leak : holder(c.get())) found(kind::leak, call.name(), leak);
	}
	std::vector<Ref<Allocation>> gone;
	for (auto &[base, a] : e.live)
		if (a->context == c.get()) gone.push_back(a);
	for (const Ref<Allocation> &a : gone) release(a, call.name());
	for (const Ref<Stream> &s : c->streams) {
		s->stop = true;
		s->capture = nullptr;
		e.streams.remove(s->handle);
	}
	for (size_t i = 0; i < e.captures.size();)
		if (e.captures[i]->origin->context == c.get()) e.captures.erase(e.captures.begin() + long(i));
		else i++;
	removeOf(e.events, c.get());
	removeOf(e.graphs, c.get());
	removeOf(e.executables, c.get());
	removeModules(c.get());
	c->live = false;
	e.contexts.remove(c->handle);
	e.changed.notify_all();
}

void fail(Context &c, CUresult r, const std::string &cause) {
	if (c.error != CUDA_SUCCESS) return;
	c.error = r;
	c.cause = cause;
}

void resetEngine() {
	static Function function("cudasimReset");
	Call call(function, Nothing);
	Engine &e = engine();
	std::vector<Ref<Context>> all;
	for (auto &[h, c] : e.contexts.live) all.push_back(c);
	for (const Ref<Context> &c : all) destroyContext(call, c, false);
	clearFindings();
	disarm();
	recordCallsOf("");
	e.settings = Settings();
	e.initialised = false;
	e.devices.clear();
	contextStack().clear();
	readEnvironment();
}

// ---- Calls -------------------------------------------------------------------------

Call::Call(Function &f, unsigned needs) : lock(engine().mutex), function(f) {
	f.calls++;
	begin(needs);
}

Call::~Call() = default;

CUresult Call::wrong(CUresult r, const char *kind, const std::string &what) {
	found(kind, function.name, what);
	return r;
}

void Call::begin(unsigned needs) {
	Engine &e = engine();
	if (!e.configured) readEnvironment();
	fault = faultFor(function.name);
	context = currentContext();
	if ((needs & Initialised) && !e.initialised) {
		result = wrong(CUDA_ERROR_NOT_INITIALIZED, kind::context, "called before cuInit");
		return;
	}
	if ((needs & Current) == Current) {
		if (!context) {
			result = wrong(CUDA_ERROR_INVALID_CONTEXT, kind::context, "no context is current on this thread");
			return;
		}
		if (!context->live) {
			result = wrong(CUDA_ERROR_CONTEXT_IS_DESTROYED, kind::context, "the context that is current on this thread was destroyed");
			return;
		}
		if (context->device->lost) result = CUDA_ERROR_UNKNOWN;
		if (context->error != CUDA_SUCCESS) result = context->error;
		if (result != CUDA_SUCCESS && !(needs & Anyhow)) return;
		result = CUDA_SUCCESS;
	}
	if (needs & Unsafe) {
		auto broken = disturbed(context.get());
		for (const Ref<Capture> &c : broken) invalidate(c, function.name);
		if (!broken.empty()) {
			result = wrong(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, kind::capture, "not allowed while a stream is being captured: the capture is invalid");
			return;
		}
	}
	if (!fault || !fault->driver) return;
	CUresult r = CUresult(fault->number);
	if (fault->lost && context) context->device->lost = true;
	if ((needs & Queues) && sticky(r)) {
		queueFault = fault; // the program learns of it when the work has failed
	} else {
		if (sticky(r) && context) fail(*context, r, function.name);
		result = r;
	}
	fault.reset();
}

Ref<Stream> Call::stream(CUstream h) {
	// The legacy stream, and the per-thread default stream, which behaves like it here.
	if (h == nullptr || h == CU_STREAM_LEGACY || h == CU_STREAM_PER_THREAD) return context->legacy;
	Ref<Stream> s = object(engine().streams, h, "stream");
	if (!s) return nullptr;
	if (s->context == context.get()) return s;
	result = wrong(CUDA_ERROR_INVALID_HANDLE, kind::context, text("stream %llu belongs to another context", (unsigned long long)s->id));
	return nullptr;
}

Ref<Event> Call::event(CUevent h) {
	Ref<Event> e = object(engine().events, h, "event");
	if (!e || e->context == context.get()) return e;
	result = wrong(CUDA_ERROR_INVALID_HANDLE, kind::context, text("event %p belongs to another context", (void *)h));
	return nullptr;
}

} // namespace sim
