// Matrix products against loops.
#include "selftest.h"
#include "../../src/numeric.h"

#include <algorithm>

using sim::Type;

namespace {

cudaDataType codeOf(Type t) { return t == Type::Float ? CUDA_R_32F : t == Type::Half ? CUDA_R_16F : CUDA_R_16BF; }

std::vector<char> stored(Type t, const std::vector<float> &v) {
	std::vector<char> bytes(v.size() * sim::bytesOf(t));
	for (size_t i = 0; i < v.size(); i++) sim::storeOne(t, &bytes[i * sim::bytesOf(t)], v[i]);
	return bytes;
}

std::vector<float> loaded(Type t, const std::vector<char> &bytes) {
	std::vector<float> v(bytes.size() / sim::bytesOf(t));
	sim::loadRun(t, bytes.data(), 1, v.size(), v.data());
	return v;
}

// check runs one product of every form, with leading dimensions larger than necessary.
void check(cublasHandle_t h, Type in, Type out, bool ta, bool tb, int m, int n, int k, float alpha, float beta, int batches) {
	int lda = (ta ? k : m) + 1, ldb = (tb ? n : k) + 2, ldc = m + 3;
	size_t sizeA = size_t(lda) * std::max(1, ta ? m : k), sizeB = size_t(ldb) * std::max(1, tb ? k : n), sizeC = size_t(ldc) * n;
	auto a = stored(in, randoms(sizeA * batches, 1)), b = stored(in, randoms(sizeB * batches, 2)), c = stored(out, randoms(sizeC * batches, 3));
	auto fa = loaded(in, a), fb = loaded(in, b), fc = loaded(out, c);
	std::vector<double> want(fc.begin(), fc.end());
	for (int z = 0; z < batches; z++)
		for (int j = 0; j < n; j++)
			for (int i = 0; i < m; i++) {
				double sum = 0;
				for (int l = 0; l < k; l++) {
					double x = fa[z * sizeA + size_t(ta ? l + i * lda : i + l * lda)], y = fb[z * sizeB + size_t(tb ? j + l * ldb : l + j * ldb)];
					sum += x * y;
				}
				double &w = want[z * sizeC + size_t(i + j * ldc)];
				w = alpha * sum + beta * w;
			}
	Memory da(a.size()), db(b.size()), dc(c.size());
	OK(cuMemcpyHtoD_v2(da.p, a.data(), a.size()));
	OK(cuMemcpyHtoD_v2(db.p, b.data(), b.size()));
	OK(cuMemcpyHtoD_v2(dc.p, c.data(), c.size()));
	auto opA = ta ? CUBLAS_OP_T : CUBLAS_OP_N, opB = tb ? CUBLAS_OP_T : CUBLAS_OP_N;
	if (batches == 1 && in == Type::Float)
		OK(cublasSgemm_v2(h, opA, opB, m, n, k, &alpha, static_cast<float *>(da.at()), lda, static_cast<float *>(db.at()), ldb, &beta, static_cast<float *>(dc.at()), ldc));
	else if (batches == 1)
		OK(cublasGemmEx(h, opA, opB, m, n, k, &alpha, da.at(), codeOf(in), lda, db.at(), codeOf(in), ldb, &beta, dc.at(), codeOf(out), ldc, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT));
	else
		OK(cublasGemmStridedBatchedEx(h, opA, opB, m, n, k, &alpha, da.at(), codeOf(in), lda, (long long)sizeA, db.at(), codeOf(in), ldb, (long long)sizeB, &beta, dc.at(), codeOf(out), ldc,
			(long long)sizeC, batches, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT));
	OK(cuCtxSynchronize());
	OK(cuMemcpyDtoH_v2(c.data(), dc.p, c.size()));
	NEAR(loaded(out, c), want, out == Type::Float ? 1e-5 : out == Type::Half ? 1e-3 : 8e-3);
}

} // namespace

TEST(products) {
	Gpu gpu;
	cublasHandle_t h;
	OK(cublasCreate_v2(&h));
	int major = 0;
	OK(cublasGetProperty(MAJOR_VERSION, &major));
	SAME(major, 12);
	for (bool ta : {false, true})
		for (bool tb : {false, true})
			for (int batches : {1, 3}) {
				check(h, Type::Float, Type::Float, ta, tb, 5, 7, 11, 1.5f, 0, batches);
				check(h, Type::Float, Type::Float, ta, tb, 17, 3, 1, 1, 0.5f, batches);
				check(h, Type::Half, Type::Half, ta, tb, 6, 4, 9, 0.25f, 1, batches);
				check(h, Type::BFloat16, Type::BFloat16, ta, tb, 4, 8, 5, 0.25f, 0, batches);
				check(h, Type::Half, Type::Float, ta, tb, 4, 8, 5, 1, 0, batches);
			}
	check(h, Type::Float, Type::Float, false, false, 4, 4, 0, 1, 0.5f, 1);
	float one = 1, zero = 0;
	int i = 0;
	FAILS(cublasGemmEx(h, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, &i, CUDA_R_8I, 1, &i, CUDA_R_8I, 1, &zero, &i, CUDA_R_32F, 1, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
		CUBLAS_STATUS_NOT_SUPPORTED);
	// Alpha and beta in device memory.
	{
		Memory scalars(std::vector<float>{2, 0}), a(std::vector<float>{3}), b(std::vector<float>{5}), c(4);
		float *f = static_cast<float *>(scalars.at());
		OK(cublasSetPointerMode_v2(h, CUBLAS_POINTER_MODE_DEVICE));
		OK(cuMemsetD32_v2(c.p, 0, 1));
		OK(cublasSgemm_v2(h, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, f, static_cast<float *>(a.at()), 1, static_cast<float *>(b.at()), 1, f + 1, static_cast<float *>(c.at()), 1));
		CHECK(c.floats()[0] == 30);
	}
	OK(cublasDestroy_v2(h));
}

TEST(sixteen_bits) {
	// Every half, and every bfloat16, survives the conversion to float and back; halves are rounded to the nearest,
	// ties to even.
	for (unsigned i = 0; i < 65536; i++) {
		float h = sim::halfToFloat(uint16_t(i)), b = sim::bfloat16ToFloat(uint16_t(i));
		if (!std::isnan(h)) CHECK(sim::floatToHalf(h) == i);
		if (!std::isnan(b)) CHECK(sim::floatToBfloat16(b) == i);
		CHECK(std::isnan(h) == ((i & 0x7C00) == 0x7C00 && (i & 0x3FF)));
	}
	for (unsigned i = 0; i < 0x7BFF; i++) {
		float low = sim::halfToFloat(uint16_t(i)), high = sim::halfToFloat(uint16_t(i + 1)), middle = (low + high) / 2;
		CHECK(sim::floatToHalf(middle) == (i & 1 ? i + 1 : i));
		CHECK(sim::floatToHalf(std::nextafterf(middle, 0)) == i);
		CHECK(sim::floatToHalf(std::nextafterf(middle, 1e9f)) == i + 1);
	}
	CHECK(sim::halfToFloat(0x3C00) == 1 && sim::halfToFloat(0x0001) == 0x1p-24f && sim::halfToFloat(0x7BFF) == 65504);
	CHECK(sim::floatToHalf(65519.9f) == 0x7BFF && sim::floatToHalf(65520) == 0x7C00 && std::isnan(sim::halfToFloat(sim::floatToHalf(NAN))));
	CHECK(sim::bfloat16ToFloat(0x3F80) == 1 && sim::floatToBfloat16(1.00390625f) == 0x3F80 && sim::floatToBfloat16(1.01171875f) == 0x3F82);
}
