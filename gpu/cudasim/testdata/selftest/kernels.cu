// Kernels of the software CUDA's own tests: right ones, and some with the mistakes that it should find.

// y[i] = f*x[i]
extern "C" __global__ void test_scale(float *y, const float *x, float f, int n) {
	int i = blockIdx.x * blockDim.x + threadIdx.x;
	if (i < n) y[i] = f * x[i];
}

// x[i] += 1
extern "C" __global__ void test_increment(int *x, int n) {
	int i = blockIdx.x * blockDim.x + threadIdx.x;
	if (i < n) x[i]++;
}

// Reverses each block's elements, through shared memory.
extern "C" __global__ void test_reverse(float *y, const float *x) {
	__shared__ float tile[256];
	int base = blockIdx.x * blockDim.x;
	tile[threadIdx.x] = x[base + threadIdx.x];
	__syncthreads();
	y[base + threadIdx.x] = tile[blockDim.x - 1 - threadIdx.x];
}

// Writes y[at].
extern "C" __global__ void test_write(float *y, long long at) { y[at] = 1; }

// Reads and writes through a table of addresses.
extern "C" __global__ void test_table(float **table, int n) {
	for (int i = 0; i < n; i++) table[i][0] = 2;
}

// Only some threads reach the barrier.
extern "C" __global__ void test_late_barrier(float *y) {
	if (threadIdx.x < 8) __syncthreads();
	y[threadIdx.x] = 0;
}

// y[0] = a/b
extern "C" __global__ void test_divide(int *y, int a, int b) { y[0] = a / b; }

// Its PTX is of an older source, with a parameter less.
extern "C" __global__ void test_stale(float *y, int n, int m) { y[0] = float(n + m); }
