// The matrix product: tiles of c stay in registers while multiples of one row of b after the other are added
// to them.
#include "product.h"

#include <algorithm>
#include <cstring>

// The same code for two widths of registers. Neither fuses a multiplication and an addition, which would round
// differently.
#if defined(__x86_64__) && defined(__linux__) && !defined(__clang__)
#define WIDTHS __attribute__((target_clones("avx2", "default")))
#else
#define WIDTHS
#endif

namespace sim {

namespace {

typedef float Vector __attribute__((vector_size(32)));
constexpr size_t lanes = 8, tileRows = 4, tileColumns = 2 * lanes, depth = 256;

// tile adds to rows x tileColumns elements of c.
template <int rows> inline __attribute__((always_inline)) void tile(size_t k, Strided a, const float *b, size_t ldb, float *c, size_t ldc) {
	Vector sum[rows][2];
	for (int i = 0; i < rows; i++) memcpy(sum[i], c + i * ldc, sizeof sum[i]);
	for (size_t l = 0; l < k; l++, b += ldb) {
		Vector left, right;
		memcpy(&left, b, sizeof left);
		memcpy(&right, b + lanes, sizeof right);
		for (int i = 0; i < rows; i++) {
			float f = a.at[i * a.row + l * a.column];
			sum[i][0] += f * left;
			sum[i][1] += f * right;
		}
	}
	for (int i = 0; i < rows; i++) memcpy(c + i * ldc, sum[i], sizeof sum[i]);
}

// edge adds to fewer columns than a tile has.
inline __attribute__((always_inline)) void edge(size_t m, size_t n, size_t k, Strided a, const float *b, size_t ldb, float *c, size_t ldc) {
	for (size_t i = 0; i < m; i++)
		for (size_t l = 0; l < k; l++) {
			float f = a.at[i * a.row + l * a.column];
			for (size_t j = 0; j < n; j++) c[i * ldc + j] += f * b[l * ldb + j];
		}
}

} // namespace

WIDTHS void addProduct(size_t m, size_t n, size_t k, Strided a, const float *b, size_t ldb, float *c, size_t ldc) {
	for (size_t l = 0; l < k; l += depth) {
		size_t terms = std::min(depth, k - l);
		const float *rows = b + l * ldb;
		Strided part = {a.at + l * a.column, a.row, a.column};
		size_t j = 0;
		for (; j + tileColumns <= n; j += tileColumns) {
			size_t i = 0;
			for (; i + tileRows <= m; i += tileRows)
				tile<tileRows>(terms, {part.at + i * a.row, a.row, a.column}, rows + j, ldb, c + i * ldc + j, ldc);
			for (; i < m; i++)
				tile<1>(terms, {part.at + i * a.row, a.row, a.column}, rows + j, ldb, c + i * ldc + j, ldc);
		}
		if (j < n) edge(m, n - j, terms, part, rows + j, ldb, c + j, ldc);
	}
}

} // namespace sim
