// Stream capture. Work that is queued on a capturing stream is recorded instead of run; a graph is
// this list. Replaying it in the recorded order keeps every dependency.
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

// Unsafe calls on any thread invalidate a capture in global mode; only those on its own thread
// invalidate one in thread-local mode; and those on a thread in relaxed mode invalidate none.
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
