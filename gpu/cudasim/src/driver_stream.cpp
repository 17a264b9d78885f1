// The driver: streams and events.
#include "sim.h"

#include <algorithm>
#include <chrono>

using namespace sim;

namespace {

double milliseconds() {
	auto t = std::chrono::steady_clock::now().time_since_epoch();
	return std::chrono::duration<double, std::milli>(t).count();
}

CUresult newStream(Call &call, CUstream *out, unsigned flags, int priority) {
	if (flags > CU_STREAM_NON_BLOCKING) return call.wrong(CUDA_ERROR_INVALID_VALUE, kind::argument, text("flags are %u", flags));
	auto s = std::make_shared<Stream>();
	s->context = call.context.get();
	s->flags = flags;
	s->priority = std::min(0, std::max(-5, priority));
	s->handle = CUstream(engine().streams.add(s));
	startStream(s);
	call.context->streams.push_back(s);
	*out = s->handle;
	return CUDA_SUCCESS;
}

// notCapturing reports a call that would wait for, or ask about, work that is only being recorded.
CUresult notCapturing(Call &call, const Ref<Capture> &c) {
	if (!c) return CUDA_SUCCESS;
	if (c->invalid) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
	invalidate(c, call.name());
	return call.wrong(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, kind::capture, "the stream is being captured: the capture is invalid");
}

bool done(const Event &e) { return e.completed == e.recorded; }

} // namespace

CUresult cuStreamCreate(CUstream *phStream, unsigned flags) {
	CALL(Current | Unsafe);
	NOT_NULL(phStream);
	return newStream(call, phStream, flags, 0);
}

CUresult cuStreamCreateWithPriority(CUstream *phStream, unsigned flags, int priority) {
	CALL(Current | Unsafe);
	NOT_NULL(phStream);
	return newStream(call, phStream, flags, priority);
}

// The stream runs until all queued work is done; its handle is invalid from now on.
CUresult cuStreamDestroy_v2(CUstream h) {
	CALL(Current | Anyhow);
	Ref<Stream> s = call.stream(h);
	if (!s) return call.result;
	if (s->legacy) return call.wrong(CUDA_ERROR_INVALID_HANDLE, kind::handle, "the legacy stream cannot be destroyed");
	if (s->capture) invalidate(s->capture, call.name());
	if (s->capture) call.wrong(CUDA_SUCCESS, kind::capture, "the stream is being captured: the capture is invalid");
	s->stop = true;
	engine().streams.remove(h);
	engine().changed.notify_all();
	return CUDA_SUCCESS;
}

CUresult cuStreamSynchronize(CUstream h) {
	CALL(Current);
	Ref<Stream> s = call.stream(h);
	if (!s) return call.result;
	if (CUresult r = notCapturing(call, s->capture)) return r;
	Ref<Context> c = call.context;
	synchronise(call, s);
	return c->error;
}

CUresult cuStreamQuery(CUstream h) {
	CALL(Current);
	Ref<Stream> s = call.stream(h);
	if (!s) return call.result;
	if (CUresult r = notCapturing(call, s->capture)) return r;
	if (s->done < s->queued) return CUDA_ERROR_NOT_READY;
	programKnows(s->clock);
	return call.context->error;
}

CUresult cuStreamGetFlags(CUstream h, unsigned *flags) {
	CALL(Current);
	NOT_NULL(flags);
	Ref<Stream> s = call.stream(h);
	if (!s) return call.result;
	*flags = s->flags;
	return CUDA_SUCCESS;
}

CUresult cuStreamGetPriority(CUstream h, int *priority) {
	CALL(Current);
	NOT_NULL(priority);
	Ref<Stream> s = call.stream(h);
	if (!s) return call.result;
	*priority = s->priority;
	return CUDA_SUCCESS;
}

CUresult cuStreamWaitEvent(CUstream h, CUevent event, unsigned) {
	CALL(Current | Queues);
	Ref<Stream> s = call.stream(h);
	Ref<Event> e = s ? call.event(event) : nullptr;
	if (!e) return call.result;
	if (e->capture) {
		Ref<Capture> c = e->capture;
		if (c->invalid) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
		if (s->capture && s->capture != c) return CUDA_ERROR_STREAM_CAPTURE_MERGE;
		if (!s->capture) { // the stream joins the capture
			s->capture = c;
			c->joined.push_back(s);
		}
		if (s == c->origin) c->unjoined.erase(std::remove(c->unjoined.begin(), c->unjoined.end(), e->stream.get()), c->unjoined.end());
		return CUDA_SUCCESS;
	}
	if (s->capture) {
		invalidate(s->capture, call.name());
		return call.wrong(CUDA_ERROR_STREAM_CAPTURE_ISOLATION, kind::capture, "a captured stream cannot wait for an event outside: the capture is invalid");
	}
	if (e->recorded == 0) return CUDA_SUCCESS;
	s->waits.push_back({e->stream, e->number});
	merge(s->clock, e->clock);
	Op op; // who waits for the stream waits for the event
	op.name = call.name();
	return enqueue(call, s, std::move(op));
}

CUresult cuLaunchHostFunc(CUstream h, CUhostFn fn, void *userData) {
	CALL(Current | Queues);
	NOT_NULL(fn);
	Ref<Stream> s = call.stream(h);
	if (!s) return call.result;
	Op op;
	op.name = call.name();
	op.run = [fn, userData] { return fn(userData), CUDA_SUCCESS; };
	return enqueue(call, s, std::move(op));
}

// ---- Events ------------------------------------------------------------------------

CUresult cuEventCreate(CUevent *phEvent, unsigned flags) {
	CALL(Current);
	NOT_NULL(phEvent);
	auto e = std::make_shared<Event>();
	e->context = call.context.get();
	e->flags = flags;
	e->handle = CUevent(engine().events.add(e));
	*phEvent = e->handle;
	return CUDA_SUCCESS;
}

CUresult cuEventDestroy_v2(CUevent h) {
	CALL(Current | Anyhow);
	if (!call.event(h)) return call.result;
	engine().events.remove(h);
	return CUDA_SUCCESS;
}

CUresult cuEventRecord(CUevent h, CUstream hStream) {
	CALL(Current | Queues);
	Ref<Event> e = call.event(h);
	Ref<Stream> s = e ? call.stream(hStream) : nullptr;
	if (!s) return call.result;
	if (s->capture) {
		if (s->capture->invalid) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
		e->capture = s->capture;
		e->stream = s;
		return CUDA_SUCCESS;
	}
	Op op;
	op.name = call.name();
	uint64_t serial = e->recorded + 1;
	op.finish = [e, serial] {
		e->completed = std::max(e->completed, serial);
		e->time = milliseconds();
	};
	if (CUresult r = enqueue(call, s, std::move(op))) return r;
	e->recorded = serial;
	e->capture = nullptr;
	e->stream = s;
	e->number = s->queued;
	e->clock = s->clock;
	return CUDA_SUCCESS;
}

CUresult cuEventQuery(CUevent h) {
	CALL(Current | Unsafe);
	Ref<Event> e = call.event(h);
	if (!e) return call.result;
	if (e->capture) return CUDA_ERROR_CAPTURED_EVENT;
	if (!done(*e)) return CUDA_ERROR_NOT_READY;
	programKnows(e->clock);
	return CUDA_SUCCESS;
}

CUresult cuEventSynchronize(CUevent h) {
	CALL(Current | Unsafe);
	Ref<Event> e = call.event(h);
	if (!e) return call.result;
	if (e->capture) return CUDA_ERROR_CAPTURED_EVENT;
	Ref<Context> c = call.context;
	Clock clock = e->clock;
	if (e->recorded) wait(call, e->stream, e->number);
	programKnows(clock);
	return c->error;
}

CUresult cuEventElapsedTime(float *milliseconds, CUevent hStart, CUevent hEnd) {
	CALL(Current);
	NOT_NULL(milliseconds);
	Ref<Event> start = call.event(hStart), end = start ? call.event(hEnd) : nullptr;
	if (!end) return call.result;
	if ((start->flags | end->flags) & CU_EVENT_DISABLE_TIMING)
		return call.wrong(CUDA_ERROR_INVALID_HANDLE, kind::argument, "an event was created without timing");
	if (!start->recorded || !end->recorded)
		return call.wrong(CUDA_ERROR_INVALID_HANDLE, kind::argument, "an event was never recorded");
	if (!done(*start) || !done(*end)) return CUDA_ERROR_NOT_READY;
	*milliseconds = float(end->time - start->time);
	return CUDA_SUCCESS;
}
