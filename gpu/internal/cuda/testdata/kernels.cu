// A kernel for TestLaunch, and what NVRTC makes of it, as far as the emulation reads it, in kernels.ptx, written by hand.

struct text {
	char bytes[11];
};

struct arguments {
	int a;
	unsigned b;
	long long c;
	unsigned long long d;
	float e;
	double f;
	text g;
	unsigned launch[6];
};

// Writes its arguments, and the sizes that it was launched with.
extern "C" __global__ void write_arguments(arguments *out, int a, unsigned b, long long c, unsigned long long d, float e, double f, text g) {
	if (blockIdx.x + blockIdx.y + blockIdx.z + threadIdx.x + threadIdx.y + threadIdx.z) return;
	out->a = a;
	out->b = b;
	out->c = c;
	out->d = d;
	out->e = e;
	out->f = f;
	out->g = g;
	out->launch[0] = gridDim.x;
	out->launch[1] = gridDim.y;
	out->launch[2] = gridDim.z;
	out->launch[3] = blockDim.x;
	out->launch[4] = blockDim.y;
	out->launch[5] = blockDim.z;
}
