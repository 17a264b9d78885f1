// table.cuh: one launch over a list of tensors. The list is a table in device memory, and a second
// table divides it into chunks: block b works on chunks[b]. kernels.Chunks makes the second table;
// its elements are kernels.Chunk.
#pragma once

// Chunk is elements [from, to) of one tensor of the list.
struct Chunk {
	int tensor, from, to;
};
