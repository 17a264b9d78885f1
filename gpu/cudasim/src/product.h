// product.h: the matrix product that computes all products and convolutions.
#pragma once
#include <cstddef>

#pragma GCC visibility push(default)

namespace sim {

// Strided is a matrix whose element (i, l) is at[i*row + l*column].
struct Strided {
	const float *at;
	size_t row, column;
};

// addProduct computes c[i*ldc + j] += sum_l a(i, l) b[l*ldb + j] for i < m, j < n, l < k. The terms of each sum are
// added one by one, l ascending, so that the result does not depend on the machine.
void addProduct(size_t m, size_t n, size_t k, Strided a, const float *b, size_t ldb, float *c, size_t ldc);

} // namespace sim

#pragma GCC visibility pop
