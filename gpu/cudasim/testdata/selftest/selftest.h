// selftest.h: the framework for the tests of the software CUDA itself. One test runs in one process:
// selftest NAME. A test says which findings it provokes; any other finding fails it, and so does a
// missing one.
#pragma once
#include "../../src/include/cublas_v2.h"
#include "../../src/include/cuda.h"
#include "../../src/include/cudnn.h"

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

extern "C" {
size_t cudasimReport(char *to, size_t capacity);
void cudasimClear(void);
size_t cudasimConfigure(const char *settings, char *error, size_t capacity);
unsigned long long cudasimCalls(const char *function);
void cudasimDisarm(void);
void cudasimReset(void);
}

// ---- Registration ------------------------------------------------------------------

std::map<std::string, void (*)()> &tests();

struct Registration {
	Registration(const char *name, void (*f)()) { tests()[name] = f; }
};

#define TEST(name)                                       \
	static void name();                                  \
	static Registration registration_##name(#name, name); \
	static void name()

// ---- Checks ------------------------------------------------------------------------

extern int failures;
void failed(const char *file, int line, const std::string &what);

#define CHECK(condition) \
	do { if (!(condition)) failed(__FILE__, __LINE__, #condition); } while (0)
// SAME compares two integers or statuses.
#define SAME(got, want)                                                                                     \
	do {                                                                                                    \
		long long g_ = (long long)(got), w_ = (long long)(want);                                            \
		if (g_ != w_) failed(__FILE__, __LINE__, std::string(#got " is ") + std::to_string(g_) + ", want " + std::to_string(w_)); \
	} while (0)
#define OK(call) SAME(call, 0)
#define FAILS(call, code) SAME(call, code)

// NEAR compares a result with a reference of doubles.
void near(const char *file, int line, const char *what, const std::vector<float> &got, const std::vector<double> &want, double tolerance);
#define NEAR(got, want, tolerance) near(__FILE__, __LINE__, #got, got, want, tolerance)

// finding expects a line of the report that begins with the kind and contains the text, and removes it.
// takeFindings returns the report and clears it.
void finding(const char *file, int line, const std::string &kind, const std::string &part);
#define FINDING(kind, part) finding(__FILE__, __LINE__, kind, part)
#define NO_FINDING() noFinding(__FILE__, __LINE__)
void noFinding(const char *file, int line);

// ---- Help --------------------------------------------------------------------------

// Settings go to the engine before its first use.
void configure(const std::string &settings);

// Gpu is a context, current on this thread, that is released with all that belongs to it.
struct Gpu {
	CUcontext context = nullptr;
	CUdevice device = 0;
	bool released = false;
	Gpu();
	~Gpu();
	void release();
};

// Device memory that is freed at the end of its scope.
struct Memory {
	CUdeviceptr p = 0;
	size_t bytes = 0;
	explicit Memory(size_t n);
	explicit Memory(const std::vector<float> &v);
	~Memory();
	Memory(const Memory &) = delete;
	void *at(size_t offset = 0) const { return reinterpret_cast<void *>(p + offset); }
	std::vector<float> floats() const;
};

std::vector<float> randoms(size_t n, unsigned seed);
CUmodule module(const char *file = "kernels.ptx");
CUfunction function(CUmodule m, const char *name);
void launch(CUfunction f, unsigned grid, unsigned block, std::vector<void *> arguments, CUstream s = nullptr, int want = 0);
