// ptx.h: what the PTX of a module says about its kernels.
#pragma once
#include <string>
#include <vector>

namespace sim {

// Pointer is a place in a kernel's parameters from which the kernel takes an address of global memory.
struct PointerParameter {
	unsigned parameter, offset;
	bool read = false, written = false;
};

struct Entry {
	std::string name;
	std::vector<unsigned> sizes; // of the parameters, in bytes
	std::vector<PointerParameter> pointers;
	unsigned sharedBytes = 0;    // static
	unsigned maxThreads = 1024;  // per block, from .maxntid or .reqntid
};

struct Ptx {
	int version = 0; // 81 for ISA 8.1
	int target = 0;  // 75 for sm_75
	std::vector<Entry> entries;
};

// parsePtx reads a module. It returns an error message, or an empty string.
std::string parsePtx(const std::string &text, Ptx *ptx);

} // namespace sim
