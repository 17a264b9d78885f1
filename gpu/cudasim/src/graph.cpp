// Stream capture. What is queued on a capturing stream is written down instead; a graph is this list.
// It is replayed in the order in which it was recorded, which keeps every dependency.
#include "sim.h"

#include <algorithm>
#include <sys/syscall.h>
#include <unistd.h>

namespace sim {

unsigned long thisThread() { return static_cast<unsigned long>(syscall(SYS_gettid)); }

CUstreamCaptureMode &threadCaptureMode() {
	thread_local CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_GLOBAL;
	return mode;
}

void invalidate(const Ref<Capture> &c, const std::string &why) {
	if (c->invalid) return;
	c->invalid = true;
	c->why = why;
}

// A capture in global mode is disturbed by unsafe calls of any thread, one in thread-local
// mode by those of its own, and none by a thread that has relaxed its own mode.
std::vector<Ref<Capture>> disturbed(Context *context) {
	std::vector<Ref<Capture>> all;
	CUstreamCaptureMode mine = threadCaptureMode();
	for (const Ref<Capture> &c : engine().captures) {
		if (c->origin->context != context || c->mode == CU_STREAM_CAPTURE_MODE_RELAXED) continue;
		bool own = c->owner == thisThread();
		if (mine == CU_STREAM_CAPTURE_MODE_RELAXED) continue;
		if (!own && (c->mode == CU_STREAM_CAPTURE_MODE_THREAD_LOCAL || mine == CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)) continue;
		all.push_back(c);
	}
	return all;
}

} // namespace sim
