// Bad accesses. A kernel that accesses memory outside its buffers faults, as on a GPU: the handler
// jumps out of it, and the launch ends with an illegal address. A program that touches pinned
// memory that queued work still uses faults too: the handler records that, and the program
// continues.
#include "trap.h"

#include <atomic>
#include <csetjmp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

namespace sim {

namespace {

// Slot belongs to one thread of a stream. The table is read by signal handlers, so it has no lock.
struct Slot {
	std::atomic<bool> taken{false};
	pthread_t thread;
	std::atomic<bool> armed{false};
	sigjmp_buf env;
	int signal;
	Address address;
	char failure[512];
};

constexpr int slots = 512;
Slot table[slots];
thread_local Slot *mine;

// Kernels are compiled with checks for undefined behaviour, which end in SIGILL or, on arm64, SIGTRAP.
const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
constexpr int signalCount = sizeof signals / sizeof *signals;
struct sigaction before[signalCount];

Slot *slotOf(pthread_t t) {
	for (Slot &s : table)
		if (s.taken.load(std::memory_order_acquire) && pthread_equal(s.thread, t)) return &s;
	return nullptr;
}

bool isWrite(void *context) {
#if defined(__x86_64__)
	return static_cast<ucontext_t *>(context)->uc_mcontext.gregs[REG_ERR] & 2;
#else
	(void)context;
	return true;
#endif
}

void passOn(int signal, siginfo_t *info, void *context) {
	int i = 0;
	while (signals[i] != signal) i++;
	const struct sigaction &old = before[i];
	if (old.sa_flags & SA_SIGINFO) return old.sa_sigaction(signal, info, context);
	if (old.sa_handler != SIG_DFL && old.sa_handler != SIG_IGN) return old.sa_handler(signal);
	struct sigaction standard = {};
	standard.sa_handler = SIG_DFL;
	sigaction(signal, &standard, nullptr); // the access is repeated, and ends the process
}

void handler(int signal, siginfo_t *info, void *context) {
	Address at = Address(info->si_addr);
	Slot *s = slotOf(pthread_self());
	if ((signal == SIGSEGV || signal == SIGBUS) && pinnedFault(at, isWrite(context), s == nullptr)) return;
	if (!s || !s->armed.load()) return passOn(signal, info, context);
	s->signal = signal;
	s->address = at;
	s->armed = false;
	siglongjmp(s->env, 1);
}

} // namespace

void installTraps() {
	static std::once_flag once;
	std::call_once(once, [] {
		for (int i = 0; i < signalCount; i++) {
			struct sigaction a = {};
			a.sa_sigaction = handler;
			a.sa_flags = SA_SIGINFO | SA_ONSTACK;
			sigemptyset(&a.sa_mask);
			sigaction(signals[i], &a, &before[i]);
		}
	});
}

void enterStreamThread() {
	installTraps();
	constexpr size_t size = 128 << 10;
	stack_t stack = {};
	stack.ss_sp = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	stack.ss_size = size;
	if (stack.ss_sp != MAP_FAILED) sigaltstack(&stack, nullptr);
	// All other signals of the process go to the program's threads.
	sigset_t all;
	sigfillset(&all);
	for (int s : signals) sigdelset(&all, s);
	sigdelset(&all, SIGABRT);
	pthread_sigmask(SIG_SETMASK, &all, nullptr);
	for (Slot &s : table) {
		if (s.taken.load()) continue;
		s.thread = pthread_self();
		s.taken.store(true, std::memory_order_release);
		mine = &s;
		return;
	}
}

void leaveStreamThread() {
	if (mine) mine->taken = false;
	mine = nullptr;
	stack_t stack = {}, none = {};
	none.ss_flags = SS_DISABLE;
	if (sigaltstack(&none, &stack) == 0 && stack.ss_sp) munmap(stack.ss_sp, stack.ss_size);
}

Trapped guarded(const std::function<void()> &f) {
	Trapped t;
	Slot *s = mine;
	if (!s) {
		f();
		return t;
	}
	s->signal = 0;
	s->failure[0] = 0;
	if (sigsetjmp(s->env, 1) == 0) {
		s->armed = true;
		f();
		s->armed = false;
		return t;
	}
	t.faulted = s->signal != 0;
	t.signal = s->signal;
	t.address = s->address;
	t.failure = s->failure;
	return t;
}

void trapFailure(const char *line) {
	Slot *s = mine;
	if (!s || !s->armed) {
		fprintf(stderr, "software emulation: %s\n", line);
		abort();
	}
	snprintf(s->failure, sizeof s->failure, "%s", line);
	s->armed = false;
	siglongjmp(s->env, 1);
}

} // namespace sim
