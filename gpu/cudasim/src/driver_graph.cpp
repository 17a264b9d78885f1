// The driver: capture and graphs.
#include "sim.h"

#include <algorithm>

using namespace sim;

CUresult cuStreamBeginCapture_v2(CUstream h, CUstreamCaptureMode mode) {
	CALL(Current);
	Ref<Stream> s = call.stream(h);
	if (!s) return call.result;
	if (s->legacy) return call.wrong(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, kind::capture, "the legacy stream cannot be captured");
	if (s->capture) return call.wrong(CUDA_ERROR_ILLEGAL_STATE, kind::capture, "the stream is being captured already");
	auto c = std::make_shared<Capture>();
	c->mode = mode;
	c->origin = s;
	c->owner = thisThread();
	s->capture = c;
	engine().captures.push_back(c);
	return CUDA_SUCCESS;
}

CUresult cuStreamEndCapture(CUstream h, CUgraph *phGraph) {
	CALL(Current);
	NOT_NULL(phGraph);
	*phGraph = nullptr;
	Ref<Stream> s = call.stream(h);
	if (!s) return call.result;
	Ref<Capture> c = s->capture;
	if (!c || c->origin != s) return call.wrong(CUDA_ERROR_ILLEGAL_STATE, kind::capture, "no capture was begun on this stream");
	if (c->owner != thisThread() && c->mode != CU_STREAM_CAPTURE_MODE_RELAXED)
		return call.wrong(CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD, kind::capture, "another thread began this capture");
	auto &all = engine().captures;
	all.erase(std::remove(all.begin(), all.end(), c), all.end());
	s->capture = nullptr;
	for (const Ref<Stream> &other : c->joined) other->capture = nullptr;
	if (c->invalid) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
	if (!c->unjoined.empty())
		return call.wrong(CUDA_ERROR_STREAM_CAPTURE_UNJOINED, kind::capture, "work on another stream was recorded that this stream has not waited for");
	auto g = std::make_shared<Graph>();
	g->nodes = std::move(c->nodes);
	g->context = call.context.get();
	*phGraph = CUgraph(engine().graphs.add(g));
	return CUDA_SUCCESS;
}

CUresult cuStreamIsCapturing(CUstream h, CUstreamCaptureStatus *status) {
	CALL(Current);
	NOT_NULL(status);
	Ref<Stream> s = call.stream(h);
	if (!s) return call.result;
	*status = !s->capture ? CU_STREAM_CAPTURE_STATUS_NONE
		: s->capture->invalid ? CU_STREAM_CAPTURE_STATUS_INVALIDATED : CU_STREAM_CAPTURE_STATUS_ACTIVE;
	return CUDA_SUCCESS;
}

CUresult cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode *mode) {
	CALL(Initialised);
	NOT_NULL(mode);
	std::swap(*mode, threadCaptureMode());
	return CUDA_SUCCESS;
}

CUresult cuGraphGetNodes(CUgraph h, CUgraphNode *nodes, size_t *count) {
	CALL(Current);
	NOT_NULL(count);
	Ref<Graph> g = call.object(engine().graphs, h, "graph");
	if (!g) return call.result;
	for (size_t i = 0; nodes && i < *count && i < g->nodes.size(); i++) nodes[i] = CUgraphNode(&g->nodes[i]);
	*count = g->nodes.size();
	return CUDA_SUCCESS;
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec *phGraphExec, CUgraph h, unsigned long long) {
	CALL(Current);
	NOT_NULL(phGraphExec);
	Ref<Graph> g = call.object(engine().graphs, h, "graph");
	if (!g) return call.result;
	*phGraphExec = CUgraphExec(engine().executables.add(std::make_shared<Graph>(*g)));
	return CUDA_SUCCESS;
}

CUresult cuGraphUpload(CUgraphExec h, CUstream hStream) {
	CALL(Current);
	if (!call.object(engine().executables, h, "executable graph")) return call.result;
	return call.stream(hStream) ? CUDA_SUCCESS : call.result;
}

CUresult cuGraphLaunch(CUgraphExec h, CUstream hStream) {
	CALL(Current | Queues);
	Ref<Graph> g = call.object(engine().executables, h, "executable graph");
	Ref<Stream> s = g ? call.stream(hStream) : nullptr;
	if (!s) return call.result;
	Op op;
	op.name = call.name();
	op.nodes = Ref<std::vector<Op>>(g, &g->nodes);
	return enqueue(call, s, std::move(op));
}

CUresult cuGraphDestroy(CUgraph h) {
	CALL(Current | Anyhow);
	if (!call.object(engine().graphs, h, "graph")) return call.result;
	engine().graphs.remove(h);
	return CUDA_SUCCESS;
}

CUresult cuGraphExecDestroy(CUgraphExec h) {
	CALL(Current | Anyhow);
	if (!call.object(engine().executables, h, "executable graph")) return call.result;
	engine().executables.remove(h);
	return CUDA_SUCCESS;
}
