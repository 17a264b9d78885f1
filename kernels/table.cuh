// table.cuh: one launch over a list of tensors. The list is a table in device memory, and so is
// the way it is cut up: block b works on chunks[b]. kernels.Chunks makes that table; its element is
// kernels.Chunk.
#pragma once

// Chunk is elements [from, to) of one tensor of the list.
struct Chunk {
	int tensor, from, to;
};
