// Kernels run as host code: the folder of the libraries holds the project's .cu files compiled for the host, and the
// PTX of a module says which kernels it has and what their parameters are.
#include "cubin.h"
#include "kernels.h"
#include "trap.h"

#include <algorithm>
#include <cstring>
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

namespace sim {

// ---- Host libraries ----------------------------------------------------------------

// A library keeps the current block in globals, so only one launch at a time can use it. After a launch that was cut
// off, its fibers are unusable, so a new copy of the library is loaded.
struct HostLibrary {
	std::string path;
	void *handle = nullptr;
	unsigned copy = 0;
	std::mutex running;
};

namespace {

std::vector<Ref<HostLibrary>> libraries;
std::string folderRead;

std::string ownFolder() {
	Dl_info info;
	if (!dladdr(reinterpret_cast<void *>(&ownFolder), &info)) return ".";
	std::string path = info.dli_fname;
	size_t slash = path.rfind('/');
	return slash == std::string::npos ? "." : path.substr(0, slash);
}

void prepareLibrary(HostLibrary &l) {
	auto failure = reinterpret_cast<void (*)(void (*)(const char *))>(dlsym(l.handle, "host_set_failure"));
	if (failure) failure([](const char *line) { trapFailure(line); });
}

void setOrder(const HostLibrary &l, int order) {
	auto set = reinterpret_cast<void (*)(int)>(dlsym(l.handle, "host_set_order"));
	if (set) set(order);
}

void readFolder() {
	std::string folder = engine().settings.kernels;
	if (folder.empty()) folder = ownFolder();
	if (folder == folderRead) return;
	folderRead = folder;
	libraries.clear();
	DIR *d = opendir(folder.c_str());
	if (!d) return;
	std::vector<std::string> names;
	while (dirent *e = readdir(d)) names.push_back(e->d_name);
	closedir(d);
	std::sort(names.begin(), names.end());
	for (const std::string &name : names) {
		if (name.rfind("libkernels_", 0) != 0) continue;
		auto l = std::make_shared<HostLibrary>();
		l->path = folder + "/" + name;
		l->handle = dlopen(l->path.c_str(), RTLD_NOW | RTLD_LOCAL);
		if (!l->handle) {
			found(kind::kernel, name, dlerror());
			continue;
		}
		prepareLibrary(*l);
		libraries.push_back(l);
	}
}

// loadCopy loads the library a second time, from a copy in memory, with its own globals.
bool loadCopy(HostLibrary &l) {
	int in = open(l.path.c_str(), O_RDONLY | O_CLOEXEC), out = memfd_create("cudasim-kernels", 0);
	if (in < 0 || out < 0) return false;
	char buffer[1 << 16];
	for (ssize_t n; (n = read(in, buffer, sizeof buffer)) > 0;)
		if (write(out, buffer, size_t(n)) != n) return false;
	close(in);
	l.handle = dlopen(text("/proc/self/fd/%d", out).c_str(), RTLD_NOW | RTLD_LOCAL);
	if (!l.handle) return false;
	l.copy++;
	prepareLibrary(l);
	return true;
}

bool bind(const Ref<HostLibrary> &l, const std::string &name, HostKernel *k) {
	void *launch = dlsym(l->handle, ("host_launch_" + name).c_str());
	void *parameters = dlsym(l->handle, ("host_parameters_" + name).c_str());
	if (!launch || !parameters) return false;
	k->library = l;
	memcpy(&k->launch, &launch, sizeof launch);
	unsigned (*count)(unsigned *, unsigned);
	memcpy(&count, &parameters, sizeof parameters);
	unsigned sizes[256];
	unsigned n = std::min(count(sizes, 256), 256u);
	k->sizes.assign(sizes, sizes + n);
	return true;
}

} // namespace

bool findHostKernel(const std::string &name, HostKernel *k) {
	readFolder();
	for (const Ref<HostLibrary> &l : libraries)
		if (bind(l, name, k)) return true;
	return false;
}

// ---- Modules -----------------------------------------------------------------------

namespace {

// newestPtx returns the newest PTX version that a driver accepts: 7.0 with CUDA 11.0, 8.0 with 12.0, 9.0 with 13.0, and
// one minor version more with each minor release.
int newestPtx(int driver) {
	int major = driver / 1000, minor = driver % 1000 / 10;
	int first = major >= 13 ? 90 : major == 12 ? 80 : major == 11 ? 70 : 60;
	int last = major == 12 ? 88 : first + 9;
	// CUDA 12.7 introduced 8.6, and CUDA 12.8 introduced 8.7.
	int step = major == 12 && minor >= 7 ? minor - 1 : minor;
	return std::min(first + step, last);
}

std::string sizesText(const std::vector<unsigned> &sizes) {
	std::string s;
	for (unsigned n : sizes) s += (s.empty() ? "" : ", ") + std::to_string(n);
	return "(" + s + ")";
}

// readPtx finds out what PTX has, or sets call.result.
void readPtx(Call &call, const char *image, Ptx *ptx) {
	std::string wrong = parsePtx(image, ptx);
	const Settings &s = engine().settings;
	if (!wrong.empty()) {
		call.result = call.wrong(CUDA_ERROR_INVALID_PTX, kind::kernel, wrong);
	} else if (ptx->version > newestPtx(s.driver)) {
		call.result = CUDA_ERROR_UNSUPPORTED_PTX_VERSION;
	} else if (ptx->target > s.cc) {
		call.result = CUDA_ERROR_INVALID_PTX;
	}
}

// readCubin is the same for a cubin. A driver takes those of the device's major version, up to its own minor version. What
// PTX says about parameters is not in a cubin, so that launches of its kernels are checked less.
void readCubin(Call &call, const void *image, Ptx *ptx) {
	Cubin cubin;
	std::string wrong = parseCubin(image, &cubin);
	const Settings &s = engine().settings;
	if (!wrong.empty()) {
		call.result = call.wrong(CUDA_ERROR_INVALID_IMAGE, kind::kernel, wrong);
	} else if (!s.cubins || cubin.target / 10 != s.cc / 10 || cubin.target > s.cc) {
		call.result = CUDA_ERROR_NO_BINARY_FOR_GPU;
	}
	for (const std::string &name : cubin.kernels) {
		Entry e;
		HostKernel host;
		e.name = name;
		if (findHostKernel(name, &host)) e.sizes = host.sizes;
		ptx->entries.push_back(e);
	}
}

} // namespace

Ref<Module> loadModule(Call &call, const void *image) {
	auto m = std::make_shared<Module>();
	if (isCubin(image)) readCubin(call, image, &m->ptx);
	else readPtx(call, static_cast<const char *>(image), &m->ptx);
	if (call.result != CUDA_SUCCESS) return nullptr;
	m->context = call.context.get();
	m->handle = CUmodule(engine().modules.add(m));
	for (const Entry &e : m->ptx.entries) {
		auto k = std::make_shared<Kernel>();
		k->context = m->context;
		k->entry = e;
		k->handle = CUfunction(engine().functions.add(k));
		if (findHostKernel(e.name, &k->host) && k->host.sizes != e.sizes)
			found(kind::kernel, e.name, "the PTX has parameters of " + sizesText(e.sizes) + " bytes, its source of " +
				sizesText(k->host.sizes) + ": one of them is out of date");
		m->kernels[e.name] = k;
	}
	return m;
}

void removeModules(const Context *c) {
	Engine &e = engine();
	std::vector<Ref<Module>> gone;
	for (auto &[h, m] : e.modules.live)
		if (m->context == c) gone.push_back(m);
	for (const Ref<Module> &m : gone) {
		for (auto &[name, k] : m->kernels) e.functions.remove(k->handle);
		e.modules.remove(m->handle);
	}
}

// ---- Launches ----------------------------------------------------------------------

namespace {

CUresult checkLimits(Call &call, const Kernel &k, const Grid &g) {
	auto wrong = [&](const std::string &what) {
		return call.wrong(CUDA_ERROR_INVALID_VALUE, kind::limits, k.entry.name + ": " + what);
	};
	uint64_t threads = uint64_t(g.bx) * g.by * g.bz;
	if (!g.gx || !g.gy || !g.gz || !threads)
		return wrong(text("a grid of %u x %u x %u blocks of %u x %u x %u threads: none may be 0", g.gx, g.gy, g.gz, g.bx, g.by, g.bz));
	if (g.gx > 0x7FFFFFFF || g.gy > 65535 || g.gz > 65535)
		return wrong(text("a grid of %u x %u x %u blocks: at most 2147483647 x 65535 x 65535", g.gx, g.gy, g.gz));
	if (threads > 1024 || g.bz > 64) return wrong(text("blocks of %u x %u x %u threads: at most 1024, and z at most 64", g.bx, g.by, g.bz));
	if (threads > k.entry.maxThreads) return wrong(text("blocks of %llu threads: its launch bounds say %u", (unsigned long long)threads, k.entry.maxThreads));
	uint64_t shared = uint64_t(g.shared) + k.entry.sharedBytes;
	if (g.shared > k.maxDynamic || (!k.optedIn && shared > 48u << 10))
		return wrong(text("%u bytes of dynamic and %u of static shared memory: at most %u %s", g.shared, k.entry.sharedBytes,
			k.optedIn ? k.maxDynamic : 48u << 10, k.optedIn ? "of dynamic" : "together"));
	return CUDA_SUCCESS;
}

// Arguments are the arguments of a kernel, by value.
struct Arguments {
	std::vector<char> bytes;
	std::vector<void *> pointers;
};

// gather copies the arguments through a pipe, so that a bad pointer gives an error instead of a fault.
int gather(const std::vector<iovec> &from, char *to, size_t bytes) {
	int ends[2];
	if (pipe(ends) != 0) return -1;
	size_t written = 0;
	int bad = -1;
	for (size_t i = 0; i < from.size() && bad < 0; i++) {
		ssize_t n = write(ends[1], from[i].iov_base, from[i].iov_len);
		if (n != ssize_t(from[i].iov_len)) bad = int(i);
		else written += size_t(n);
	}
	if (bad < 0 && read(ends[0], to, bytes) != ssize_t(written)) bad = 0;
	close(ends[0]);
	close(ends[1]);
	return bad;
}

CUresult packedArguments(Call &call, const Kernel &k, void **extra, Arguments *a) {
	const void *buffer = nullptr;
	size_t size = 0;
	for (int i = 0; extra[i] != CU_LAUNCH_PARAM_END && i < 8; i += 2) {
		if (extra[i] == CU_LAUNCH_PARAM_BUFFER_POINTER) buffer = extra[i + 1];
		if (extra[i] == CU_LAUNCH_PARAM_BUFFER_SIZE) size = *static_cast<size_t *>(extra[i + 1]);
	}
	size_t offset = 0;
	std::vector<size_t> offsets;
	for (unsigned n : k.entry.sizes) {
		size_t align = n % 8 == 0 ? 8 : n % 4 == 0 ? 4 : n % 2 == 0 ? 2 : 1;
		offset = (offset + align - 1) / align * align;
		offsets.push_back(offset);
		offset += n;
	}
	if (!buffer || size < offset)
		return call.wrong(CUDA_ERROR_INVALID_VALUE, kind::argument, text("%s: %zu bytes of parameters, the kernel has %zu", k.entry.name.c_str(), size, offset));
	a->bytes.assign(static_cast<const char *>(buffer), static_cast<const char *>(buffer) + offset);
	for (size_t o : offsets) a->pointers.push_back(a->bytes.data() + o);
	return CUDA_SUCCESS;
}

CUresult arguments(Call &call, const Kernel &k, void **parameters, void **extra, Arguments *a) {
	if (extra && !parameters) return packedArguments(call, k, extra, a);
	const auto &sizes = k.entry.sizes;
	if (sizes.empty()) return CUDA_SUCCESS;
	if (!parameters)
		return call.wrong(CUDA_ERROR_INVALID_VALUE, kind::argument, text("%s: no parameters, the kernel has %zu", k.entry.name.c_str(), sizes.size()));
	size_t total = 0;
	for (unsigned n : sizes) total += (n + 15) / 16 * 16;
	a->bytes.resize(total);
	std::vector<iovec> from;
	std::vector<char> packed(total);
	size_t bytes = 0;
	for (size_t i = 0; i < sizes.size(); i++) {
		from.push_back({parameters[i], sizes[i]});
		bytes += sizes[i];
	}
	int bad = gather(from, packed.data(), bytes);
	if (bad >= 0)
		return call.wrong(CUDA_ERROR_INVALID_VALUE, kind::argument, text("%s: parameter %d of %zu: there are no %u bytes at %p",
			k.entry.name.c_str(), bad, sizes.size(), sizes[size_t(bad)], parameters[bad]));
	size_t in = 0, out = 0;
	for (unsigned n : sizes) {
		memcpy(a->bytes.data() + out, packed.data() + in, n);
		a->pointers.push_back(a->bytes.data() + out);
		in += n;
		out += (n + 15) / 16 * 16;
	}
	return CUDA_SUCCESS;
}

Address wordAt(const Arguments &a, unsigned parameter, unsigned offset) {
	Address p;
	memcpy(&p, static_cast<char *>(a.pointers[parameter]) + offset, sizeof p);
	return p;
}

// pointerUses finds the memory that the arguments point to. If the PTX uses a parameter as an address, it must be one,
// or null; any other word that happens to be an address counts as one.
CUresult pointerUses(Call &call, const Kernel &k, const Arguments &a, Op *op) {
	for (unsigned i = 0; i < k.entry.sizes.size(); i++) {
		for (unsigned o = 0; o + 8 <= k.entry.sizes[i]; o += 8) {
			Address p = wordAt(a, i, o);
			const PointerParameter *known = nullptr;
			for (const PointerParameter &q : k.entry.pointers)
				if (q.parameter == i && q.offset == o) known = &q;
			if (p == 0 || (!known && p < 4096)) continue;
			Ref<Allocation> m = allocationAt(p);
			std::string what = describe(p);
			bool ours = what.find("which is no device memory") == std::string::npos;
			if (!m && (known || ours)) {
				bool freed = what.find(" freed") != std::string::npos;
				return call.wrong(CUDA_ERROR_ILLEGAL_ADDRESS, freed ? kind::freed : kind::pointer,
					text("%s: parameter %u is %s", k.entry.name.c_str(), i, what.c_str()));
			}
			if (!m) continue;
			size_t rest = m->bytes - size_t(p - m->base);
			op->uses.push_back({Mode::Touch, p, rest, "a parameter", 1, 0, m});
			bool input = known && known->read && !known->written;
			if (input) op->inputs.push_back({i, op->uses.size() - 1});
		}
	}
	return CUDA_SUCCESS;
}

} // namespace

CUresult launch(Call &call, const Ref<Kernel> &k, const Grid &g, const Ref<Stream> &s, void **parameters, void **extra) {
	if (CUresult r = checkLimits(call, *k, g)) return r;
	auto a = std::make_shared<Arguments>();
	if (CUresult r = arguments(call, *k, parameters, extra, a.get())) return r;
	Op op;
	op.name = k->entry.name;
	op.launch = op.kernel = true;
	if (CUresult r = pointerUses(call, *k, *a, &op)) {
		// As on a GPU, the launch itself succeeds, but the context is lost.
		op.uses.clear();
		op.run = [r] { return r; };
		return enqueue(call, s, std::move(op));
	}
	if (!k->host.launch) return call.wrong(CUDA_ERROR_NOT_FOUND, kind::kernel, k->entry.name + " is not among the kernels that were compiled for the host");
	std::optional<Fault> fault = faultFor(k->entry.name);
	if (fault && !sticky(CUresult(fault->number))) return CUresult(fault->number);
	if (fault) call.queueFault = fault;
	op.run = [k, g, a] {
		HostLibrary &l = *k->host.library;
		std::lock_guard<std::mutex> hold(l.running);
		HostKernel host = k->host;
		if (l.copy) bind(k->host.library, k->entry.name, &host);
		setOrder(l, engine().settings.order);
		Trapped t = guarded([&] { host.launch(g.gx, g.gy, g.gz, g.bx, g.by, g.bz, g.shared, a->pointers.data()); });
		if (t.ok()) return CUDA_SUCCESS;
		loadCopy(l);
		std::lock_guard<std::mutex> engineHeld(engine().mutex);
		return explain(k->entry.name, t);
	};
	return enqueue(call, s, std::move(op));
}

} // namespace sim
