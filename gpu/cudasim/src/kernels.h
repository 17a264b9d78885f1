// kernels.h: modules, kernels and their launches.
#pragma once
#include "ptx.h"
#include "sim.h"

#pragma GCC visibility push(default)

namespace sim {

struct HostLibrary;

// HostKernel is a kernel compiled for the host (kernels/internal/host/cuda_host.h).
struct HostKernel {
	Ref<HostLibrary> library;
	void (*launch)(unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, size_t, void **) = nullptr;
	std::vector<unsigned> sizes;
};

struct Kernel {
	CUfunction handle = nullptr;
	Context *context = nullptr;
	Entry entry;
	HostKernel host;
	unsigned maxDynamic = 48 << 10;
	bool optedIn = false; // to more than 48 KiB of shared memory
};

struct Module {
	CUmodule handle = nullptr;
	Context *context = nullptr;
	Ptx ptx;
	std::map<std::string, Ref<Kernel>> kernels;
};

struct Grid {
	unsigned gx, gy, gz, bx, by, bz, shared;
};

// findHostKernel looks a kernel up in the libraries of the kernels' folder.
bool findHostKernel(const std::string &name, HostKernel *k);

// loadModule reads PTX, or a cubin, and finds the host code of its entries. It sets call.result.
Ref<Module> loadModule(Call &call, const void *image);

// launch checks and queues a kernel. arguments are as for cuLaunchKernel.
CUresult launch(Call &call, const Ref<Kernel> &k, const Grid &g, const Ref<Stream> &s, void **parameters, void **extra);

} // namespace sim

#pragma GCC visibility pop
