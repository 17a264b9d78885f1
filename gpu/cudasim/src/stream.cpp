// Streams. Each stream has a thread, which runs the queued work in order. Work that must wait for another stream refers
// to a piece of work there; a piece of work only ever waits for earlier work, so deadlock is impossible.
//
// A clock with one number per stream records which work the program knows to be done. Work that is in fact done, but
// with which the program has not synchronised, counts as pending, so findings do not depend on timing.
#include "sim.h"
#include "trap.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstring>
#include <new>
#include <thread>

namespace sim {

namespace {

// prepare checks the memory of an op that is about to run. The caller holds the lock.
CUresult prepare(Op &op) {
	if (engine().settings.dry) return CUDA_SUCCESS; // what was not computed was not written
	for (Use &u : op.uses) {
		if (!u.memory) continue;
		Allocation &a = *u.memory;
		if (!a.live) {
			found(kind::freed, op.name, text("%s is %s before this ran", u.name, describe(u.at).c_str()));
			return CUDA_ERROR_ILLEGAL_ADDRESS;
		}
		if (u.mode == Mode::Write || u.mode == Mode::Touch) continue;
		bool kernels = engine().kernels > a.kernelsBefore;
		for (size_t i = 0; i < u.count; i++) {
			size_t from = size_t(u.at - a.base) + i * u.stride, gap = a.written.gap(from, u.bytes, a.data, kernels);
			if (gap == Written::none) continue;
			found(kind::uninitialised, op.name,
				text("%s holds %s, which was never written", u.name, describe(a.base + gap).c_str()));
			a.written.mark(from, u.bytes); // told once
			break;
		}
	}
	for (auto &[parameter, i] : op.inputs) {
		const Use &u = op.uses[i];
		Allocation &a = *u.memory;
		if (a.written.any(size_t(u.at - a.base), u.bytes, a.data, engine().kernels > a.kernelsBefore)) continue;
		found(kind::uninitialised, op.name,
			text("parameter %u, which the kernel reads, is %s: nothing was ever written there", parameter, describe(u.at).c_str()));
		a.written.mark(size_t(u.at - a.base), u.bytes); // told once
	}
	return CUDA_SUCCESS;
}

void markWritten(const Op &op) {
	for (const Use &u : op.uses) {
		if (!u.memory || u.mode == Mode::Read || u.mode == Mode::Touch) continue;
		for (size_t i = 0; i < u.count; i++)
			u.memory->written.mark(size_t(u.at - u.memory->base) + i * u.stride, u.bytes);
	}
}

// clearResults writes zeros where an op of a library writes its results.
void clearResults(const Op &op) {
	for (const Use &u : op.uses)
		if (u.memory && (u.mode == Mode::Write || u.mode == Mode::ReadWrite))
			for (size_t i = 0; i < u.count; i++) memset(u.memory->data + size_t(u.at - u.memory->base) + i * u.stride, 0, u.bytes);
}

// perform runs one piece of work. The lock is held before and after the work, but not during it.
CUresult perform(std::unique_lock<std::mutex> &lock, Op &op) {
	if (op.nodes) {
		for (Op &node : *op.nodes)
			if (CUresult r = perform(lock, node)) return r;
		return CUDA_SUCCESS;
	}
	if (CUresult r = prepare(op)) return r;
	if (op.kernel) {
		engine().kernels++;
		countLaunch(op.name);
	}
	const Settings &settings = engine().settings;
	unsigned delay = op.launch ? settings.delay : 0;
	if (auto slow = settings.slow.find(op.name); slow != settings.slow.end()) delay += slow->second;
	CUresult r = CUDA_SUCCESS;
	bool skip = op.launch && (settings.dry == 2 || (settings.dry && !op.kernel));
	if (settings.dry == 1 && skip) clearResults(op);
	beforeWork(op);
	lock.unlock();
	if (delay) std::this_thread::sleep_for(std::chrono::microseconds(delay));
	Trapped t;
	if (op.run && !skip) {
		t = guarded([&] {
			try {
				r = op.run();
			} catch (const std::bad_alloc &) {
				r = CUDA_ERROR_OUT_OF_MEMORY;
			}
		});
	}
	lock.lock();
	afterWork(op);
	if (!t.ok()) r = explain(op.name, t);
	if (r == CUDA_ERROR_OUT_OF_MEMORY) {
		found(kind::kernel, op.name, "the emulation has no memory for its own use");
		r = CUDA_ERROR_LAUNCH_FAILED;
	}
	if (op.kernel) checkGuards(op.name);
	if (r != CUDA_SUCCESS) return r;
	markWritten(op);
	if (op.finish) op.finish();
	return CUDA_SUCCESS;
}

bool ready(const Queued &q) {
	for (auto &[stream, number] : q.after)
		if (stream->done < number) return false;
	return true;
}

void streamMain(Ref<Stream> s) {
	enterStreamThread();
	Engine &e = engine();
	std::unique_lock<std::mutex> lock(e.mutex);
	for (;;) {
		e.changed.wait(lock, [&] { return s->queue.empty() ? s->stop : ready(s->queue.front()); });
		if (s->queue.empty()) break;
		Queued q = std::move(s->queue.front());
		s->queue.pop_front();
		Context &c = *s->context;
		// After an error, all work that is still queued is dropped.
		if (c.error == CUDA_SUCCESS) {
			if (CUresult r = perform(lock, q.op)) fail(c, r, q.op.name);
		} else if (q.op.finish) {
			q.op.finish();
		}
		s->done = q.number;
		e.changed.notify_all();
	}
	lock.unlock();
	leaveStreamThread();
}

// order makes the next piece of work on s wait as the rules of the legacy stream require: it waits for all blocking
// streams, and they wait for it.
void order(const Ref<Stream> &s) {
	for (const Ref<Stream> &other : s->context->streams) {
		bool related = s->legacy ? !(other->flags & CU_STREAM_NON_BLOCKING) : other->legacy && !(s->flags & CU_STREAM_NON_BLOCKING);
		if (other == s || !related || other->queued == 0) continue;
		s->waits.push_back({other, other->queued});
		merge(s->clock, other->clock);
	}
}

// note records that the work with this number may use the memory.
void note(const Op &op, uint64_t stream, uint64_t number) {
	for (const Use &u : op.uses) {
		if (!u.memory) continue;
		Allocation &a = *u.memory;
		auto old = std::find_if(a.uses.begin(), a.uses.end(), [&](const LastUse &l) { return l.stream == stream; });
		if (old != a.uses.end()) *old = {stream, number, op.name};
		else a.uses.push_back({stream, number, op.name});
		if (a.kind == Allocation::Pinned && u.mode != Mode::Touch)
			protectPinned(a, size_t(u.at - a.base), u.extent(), u.mode != Mode::Read, stream, number, op.name);
	}
	if (op.nodes)
		for (const Op &node : *op.nodes) note(node, stream, number);
}

CUresult record(Call &call, const Ref<Stream> &s, Op op) {
	Capture &c = *s->capture;
	if (c.invalid) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
	if (op.nodes) {
		for (const Op &node : *op.nodes) c.nodes.push_back(node);
	} else {
		c.nodes.push_back(std::move(op));
	}
	if (s != c.origin && std::find(c.unjoined.begin(), c.unjoined.end(), s.get()) == c.unjoined.end())
		c.unjoined.push_back(s.get());
	(void)call;
	return CUDA_SUCCESS;
}

// implicit reports whether work on the legacy stream would have to wait for a capturing stream.
CUresult implicit(Call &call, const Ref<Stream> &s) {
	if (!s->legacy) return CUDA_SUCCESS;
	for (const Ref<Capture> &c : engine().captures) {
		if (c->origin->context != s->context || (c->origin->flags & CU_STREAM_NON_BLOCKING)) continue;
		invalidate(c, call.name());
		return call.wrong(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, kind::capture,
			"the legacy stream would have to wait for a stream that is being captured: the capture is invalid");
	}
	return CUDA_SUCCESS;
}

} // namespace

CUresult explain(const std::string &name, const Trapped &t) {
	if (!t.faulted) {
		found(kind::kernel, name, t.failure);
		return CUDA_ERROR_LAUNCH_FAILED;
	}
	if (t.signal == SIGFPE) {
		found(kind::kernel, name, "divides an integer by zero");
		return CUDA_ERROR_LAUNCH_FAILED;
	}
	if (t.signal == SIGILL || t.signal == SIGTRAP) {
		found(kind::kernel, name, "does what C++ leaves undefined: an index beyond an array, a shift, an overflow or a misaligned access");
		return CUDA_ERROR_LAUNCH_FAILED;
	}
	found(kind::overrun, name, "reached " + describe(t.address));
	return CUDA_ERROR_ILLEGAL_ADDRESS;
}

void startStream(const Ref<Stream> &s) {
	s->id = engine().nextStream++;
	std::thread(streamMain, s).detach();
}

CUresult enqueue(Call &call, const Ref<Stream> &s, Op op) {
	if (CUresult r = implicit(call, s)) return r;
	for (Use &u : op.uses)
		if (!u.memory)
			if (CUresult r = resolve(call, u)) return r;
	if (call.queueFault) {
		CUresult r = CUresult(call.queueFault->number);
		bool lost = call.queueFault->lost;
		Device *d = call.context->device;
		op.nodes = nullptr;
		op.run = [r, lost, d] {
			if (lost) d->lost = true;
			return r;
		};
	}
	if (s->capture) return record(call, s, std::move(op));
	order(s);
	uint64_t number = ++s->queued;
	s->clock[s->id] = number;
	note(op, s->id, number);
	s->queue.push_back({number, std::move(op), std::move(s->waits)});
	s->waits.clear();
	engine().changed.notify_all();
	return CUDA_SUCCESS;
}

void wait(Call &call, const Ref<Stream> &s, uint64_t number) {
	engine().changed.wait(call.lock, [&] { return s->done >= number; });
}

void programKnows(const Clock &c) {
	merge(engine().programKnows, c);
	unprotectKnown(engine().programKnows);
}

void synchronise(Call &call, const Ref<Stream> &s) {
	Clock clock = s->clock;
	wait(call, s, s->queued);
	programKnows(clock);
	checkGuards(call.name());
}

} // namespace sim
