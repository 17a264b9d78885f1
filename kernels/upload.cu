// upload.cu: several small tensors from host memory to the device in one launch, where as many copies would take longer
// to queue and to start than to run: a step's image indices, hyperparameters and counters.
//
// Each of the four pieces is `words` words of 4 bytes, 0 for none. from is pinned host memory, which a GPU reads at
// the address that the host uses.
//
// Launch: 256 threads, grid (any, 4); blockIdx.y is the piece.
// Bytes per word: 4.

extern "C" __global__ void __launch_bounds__(256)
upload(int *to0, const int *from0, int words0, int *to1, const int *from1, int words1, int *to2, const int *from2, int words2,
	int *to3, const int *from3, int words3) {
	int *to = to0;
	const int *from = from0;
	int words = words0;
	if (blockIdx.y == 1) {
		to = to1;
		from = from1;
		words = words1;
	} else if (blockIdx.y == 2) {
		to = to2;
		from = from2;
		words = words2;
	} else if (blockIdx.y == 3) {
		to = to3;
		from = from3;
		words = words3;
	}
	for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < words; i += gridDim.x * blockDim.x) to[i] = from[i];
}
