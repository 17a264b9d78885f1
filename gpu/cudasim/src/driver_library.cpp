// The driver: what NVIDIA's own libraries look up when they are loaded. The emulation runs none of their code: what they
// load becomes a handle with which nothing can be launched, and everything else is refused.
#include "sim.h"

using namespace sim;

namespace {

// loaded gives a handle that stands for nothing.
CUresult loaded(void **handle) { return *handle = freshHandle(), CUDA_SUCCESS; }

} // namespace

#pragma GCC visibility push(default)
extern "C" {

CUresult cuLibraryLoadData(void **library) { return loaded(library); }
CUresult cuLibraryLoadFromFile(void **library) { return loaded(library); }
CUresult cuLibraryGetKernel(void **kernel) { return loaded(kernel); }
CUresult cuLibraryUnload(void) { return CUDA_SUCCESS; }
CUresult cuKernelGetFunction(void **function) { return loaded(function); }
CUresult cuKernelGetAttribute(int *value) { return *value = 0, CUDA_SUCCESS; }
CUresult cuKernelSetAttribute(void) { return CUDA_SUCCESS; }

#define REFUSED(name) \
	CUresult name(void) { return CUDA_ERROR_NOT_SUPPORTED; }
REFUSED(cuLaunchCooperativeKernel)
REFUSED(cuLaunchKernelEx)
REFUSED(cuLinkAddData)
REFUSED(cuLinkComplete)
REFUSED(cuLinkCreate)
REFUSED(cuLinkDestroy)
REFUSED(cuOccupancyMaxPotentialClusterSize)
REFUSED(cuStreamGetCtx)
REFUSED(cuTensorMapEncodeIm2col)
REFUSED(cuTensorMapEncodeTiled)

} // extern "C"
#pragma GCC visibility pop
