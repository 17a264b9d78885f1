#include "selftest.h"

#include <algorithm>
#include <fstream>
#include <sstream>

int failures;

std::map<std::string, void (*)()> &tests() {
	static std::map<std::string, void (*)()> all;
	return all;
}

void failed(const char *file, int line, const std::string &what) {
	failures++;
	const char *name = strrchr(file, '/');
	fprintf(stderr, "%s:%d: %s\n", name ? name + 1 : file, line, what.c_str());
}

void near(const char *file, int line, const char *what, const std::vector<float> &got, const std::vector<double> &want, double tolerance) {
	if (got.size() != want.size()) return failed(file, line, std::string(what) + " has " + std::to_string(got.size()) + " elements, want " + std::to_string(want.size()));
	for (size_t i = 0; i < got.size(); i++) {
		bool same = std::isnan(want[i]) ? std::isnan(got[i]) : std::fabs(got[i] - want[i]) <= tolerance * (1 + std::fabs(want[i]));
		if (same) continue;
		char text[200];
		snprintf(text, sizeof text, "%s[%zu] is %.9g, want %.9g", what, i, double(got[i]), want[i]);
		return failed(file, line, text);
	}
}

static std::vector<std::string> pending;

static void collect() {
	std::vector<char> text(1 << 20);
	cudasimReport(text.data(), text.size());
	cudasimClear();
	std::istringstream lines(text.data());
	for (std::string line; std::getline(lines, line);) pending.push_back(line);
}

void finding(const char *file, int line, const std::string &kind, const std::string &part) {
	collect();
	for (size_t i = 0; i < pending.size(); i++) {
		if (pending[i].rfind(kind + ":", 0) != 0 || pending[i].find(part) == std::string::npos) continue;
		pending.erase(pending.begin() + long(i));
		return;
	}
	std::string all;
	for (auto &p : pending) all += "\n\t" + p;
	failed(file, line, "no finding of kind " + kind + " with \"" + part + "\"; there are:" + all);
}

void noFinding(const char *file, int line) {
	collect();
	for (auto &p : pending) failed(file, line, "a finding: " + p);
	pending.clear();
}

void configure(const std::string &settings) {
	char error[500];
	if (cudasimConfigure(settings.c_str(), error, sizeof error)) failed("settings", 0, error);
}

Gpu::Gpu() {
	OK(cuInit(0));
	OK(cuDeviceGet(&device, 0));
	OK(cuDevicePrimaryCtxRetain(&context, device));
	OK(cuCtxSetCurrent(context));
}

void Gpu::release() {
	if (!released) OK(cuDevicePrimaryCtxRelease_v2(device));
	released = true;
}

Gpu::~Gpu() { release(); }

Memory::Memory(size_t n) : bytes(n) { OK(cuMemAlloc_v2(&p, n)); }

Memory::Memory(const std::vector<float> &v) : bytes(4 * v.size()) {
	OK(cuMemAlloc_v2(&p, bytes));
	OK(cuMemcpyHtoD_v2(p, v.data(), bytes));
}

Memory::~Memory() { OK(cuMemFree_v2(p)); }

std::vector<float> Memory::floats() const {
	std::vector<float> v(bytes / 4);
	OK(cuCtxSynchronize());
	OK(cuMemcpyDtoH_v2(v.data(), p, bytes));
	return v;
}

std::vector<float> randoms(size_t n, unsigned seed) {
	std::vector<float> v(n);
	uint32_t state = seed * 2654435761u + 1;
	for (float &x : v) {
		state = state * 1664525 + 1013904223;
		x = float(int32_t(state >> 8) - (1 << 23)) / float(1 << 22);
	}
	return v;
}

CUmodule module(const char *file) {
	std::ifstream in(std::string(getenv("SELFTEST_DATA") ? getenv("SELFTEST_DATA") : ".") + "/" + file);
	std::stringstream text;
	text << in.rdbuf();
	CUmodule m = nullptr;
	OK(cuModuleLoadData(&m, text.str().c_str()));
	return m;
}

CUfunction function(CUmodule m, const char *name) {
	CUfunction f = nullptr;
	OK(cuModuleGetFunction(&f, m, name));
	return f;
}

void launch(CUfunction f, unsigned grid, unsigned block, std::vector<void *> arguments, CUstream s, int want) {
	SAME(cuLaunchKernel(f, grid, 1, 1, block, 1, 1, 0, s, arguments.data(), nullptr), want);
}

int main(int argc, char **argv) {
	if (argc < 2) {
		for (auto &[name, f] : tests()) puts(name.c_str());
		return 0;
	}
	auto t = tests().find(argv[1]);
	if (t == tests().end()) {
		fprintf(stderr, "no test %s\n", argv[1]);
		return 2;
	}
	t->second();
	noFinding(argv[1], 0);
	return failures ? 1 : 0;
}
