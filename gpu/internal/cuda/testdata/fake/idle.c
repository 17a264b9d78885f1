// A libcuda for a machine without a device: what parts of cuDNN are linked with, and look up as they are loaded. There is
// no device and nothing runs, but code that cuDNN has compiled for a device loads.
enum { no_device = 100 };
#define NO_DEVICE(name) \
	int name(void) { return no_device; }
#define SUCCESS(name) \
	int name(void) { return 0; }
// What is found or loaded is a handle that stands for nothing.
#define HANDLE(name) \
	int name(void **handle) { return *handle = (void *)&name, 0; }
NO_DEVICE(cuInit)
NO_DEVICE(cuCtxGetCurrent)
NO_DEVICE(cuCtxGetLimit)
NO_DEVICE(cuCtxPopCurrent)
NO_DEVICE(cuCtxPushCurrent)
NO_DEVICE(cuDeviceGet)
NO_DEVICE(cuDeviceGetCount)
NO_DEVICE(cuGetErrorName)
NO_DEVICE(cuGetErrorString)
NO_DEVICE(cuLaunchCooperativeKernel)
NO_DEVICE(cuLaunchKernel)
NO_DEVICE(cuLaunchKernelEx)
NO_DEVICE(cuLinkAddData)
NO_DEVICE(cuLinkComplete)
NO_DEVICE(cuLinkCreate)
NO_DEVICE(cuLinkDestroy)
NO_DEVICE(cuOccupancyMaxPotentialClusterSize)
NO_DEVICE(cuStreamGetCtx)
NO_DEVICE(cuTensorMapEncodeIm2col)
NO_DEVICE(cuTensorMapEncodeTiled)
HANDLE(cuKernelGetFunction)
HANDLE(cuLibraryGetKernel)
HANDLE(cuLibraryLoadData)
HANDLE(cuLibraryLoadFromFile)
HANDLE(cuModuleGetFunction)
HANDLE(cuModuleLoadData)
SUCCESS(cuKernelSetAttribute)
SUCCESS(cuLibraryUnload)
SUCCESS(cuModuleUnload)

int cuDriverGetVersion(int *version) { return *version = 12080, 0; }
int cuKernelGetAttribute(int *value) { return *value = 0, 0; }
