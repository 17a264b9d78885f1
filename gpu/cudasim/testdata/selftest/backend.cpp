// The software cuDNN's operation graphs: convolutions against loops in float64, the engines that are proposed, and every
// kind of misuse.
#include "selftest.h"
#include "../../src/numeric.h"

#include <algorithm>

using sim::Type;

namespace {

using Desc = cudnnBackendDescriptor_t;

int bad() { return cudnnGetVersion() >= 90000 ? 2000 : 3; }
int unsupported() { return cudnnGetVersion() >= 90000 ? 3000 : 9; }
int uninitialised() { return cudnnGetVersion() >= 90000 ? 1001 : 1; }

cudnnDataType_t codeOf(Type t) { return t == Type::Float ? CUDNN_DATA_FLOAT : t == Type::Half ? CUDNN_DATA_HALF : CUDNN_DATA_BFLOAT16; }

// Descriptors are destroyed at the end of their scope.
struct Owned {
	std::vector<Desc> all;
	Owned() = default;
	Owned(const Owned &) = delete;
	~Owned() { release(); }
	void release() {
		for (Desc d : all) OK(cudnnBackendDestroyDescriptor(d));
		all.clear();
	}
	Desc make(cudnnBackendDescriptorType_t type) {
		Desc d = nullptr;
		OK(cudnnBackendCreateDescriptor(type, &d));
		all.push_back(d);
		return d;
	}
	template <class T> void set(Desc d, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, std::vector<T> v) {
		OK(cudnnBackendSetAttribute(d, name, type, int64_t(v.size()), v.data()));
	}
	void integers(Desc d, cudnnBackendAttributeName_t name, std::vector<int64_t> v) { set(d, name, CUDNN_TYPE_INT64, v); }
	void descriptor(Desc d, cudnnBackendAttributeName_t name, Desc v) { set(d, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, std::vector<Desc>{v}); }
	template <class T> void one(Desc d, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, T v) { set(d, name, type, std::vector<T>{v}); }

	Desc unfinishedTensor(int64_t uid, Type t, int n, int c, int h, int w, bool isVirtual = false) {
		Desc d = make(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
		integers(d, CUDNN_ATTR_TENSOR_UNIQUE_ID, {uid});
		one(d, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, codeOf(t));
		integers(d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, {16});
		integers(d, CUDNN_ATTR_TENSOR_DIMENSIONS, {n, c, h, w});
		integers(d, CUDNN_ATTR_TENSOR_STRIDES, {h * w * c, 1, w * c, c});
		char yes = isVirtual; // a bool of C
		OK(cudnnBackendSetAttribute(d, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &yes));
		return d;
	}
	Desc done(Desc d) {
		OK(cudnnBackendFinalize(d));
		return d;
	}
	Desc tensor(int64_t uid, Type t, int n, int c, int h, int w, bool isVirtual = false) { return done(unfinishedTensor(uid, t, n, c, h, w, isVirtual)); }
	Desc convolution(int padH, int padW, int strideH, int strideW, int dilationH, int dilationW) {
		Desc d = make(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
		one(d, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
		one(d, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, CUDNN_CROSS_CORRELATION);
		integers(d, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, {2});
		integers(d, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, {padH, padW});
		integers(d, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, {padH, padW});
		integers(d, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, {strideH, strideW});
		integers(d, CUDNN_ATTR_CONVOLUTION_DILATIONS, {dilationH, dilationW});
		return done(d);
	}
	// operation describes y = x * w (type 10) or one of its gradients (11: filters, 12: data).
	Desc operation(int type, Desc convolution, Desc x, Desc w, Desc y) {
		Desc d = make(cudnnBackendDescriptorType_t(type));
		auto name = [&](int forward, int data, int filter) { return cudnnBackendAttributeName_t(type == 10 ? forward : type == 12 ? data : filter); };
		one(d, name(700, 706, 712), CUDNN_TYPE_FLOAT, 1.0f);
		one(d, name(701, 707, 713), CUDNN_TYPE_FLOAT, 0.0f);
		descriptor(d, name(702, 708, 714), convolution);
		descriptor(d, name(704, 710, 716), x);
		descriptor(d, name(703, 709, 715), w);
		descriptor(d, name(705, 711, 717), y);
		return d;
	}
	Desc pointwise(cudnnPointwiseMode_t mode, Desc x, Desc b, Desc y) {
		Desc f = make(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
		one(f, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, mode);
		one(f, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
		done(f);
		Desc d = make(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
		descriptor(d, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, f);
		descriptor(d, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x);
		if (b) descriptor(d, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b);
		descriptor(d, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
		return d;
	}
	Desc unfinishedGraph(cudnnHandle_t handle, std::vector<Desc> operations) {
		Desc g = make(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
		set(g, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, operations);
		one(g, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, handle);
		return g;
	}
	// engines asks a heuristic.
	std::vector<Desc> engines(Desc graph, cudnnBackendHeurMode_t mode) {
		Desc h = make(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
		descriptor(h, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
		one(h, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, mode);
		done(h);
		int64_t count = -1, again = -1;
		OK(cudnnBackendGetAttribute(h, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, &count, nullptr));
		std::vector<Desc> configs;
		for (int64_t i = 0; i < count; i++) configs.push_back(make(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR));
		OK(cudnnBackendGetAttribute(h, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, count, &again, configs.data()));
		SAME(again, count);
		return configs;
	}
	Desc engineOf(Desc config) {
		Desc e = make(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
		int64_t count = 0;
		OK(cudnnBackendGetAttribute(config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count, &e));
		SAME(count, 1);
		return e;
	}
	int64_t numberOf(Desc config) {
		int64_t number = -1;
		OK(cudnnBackendGetAttribute(engineOf(config), CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, nullptr, &number));
		return number;
	}
	std::vector<int> notesOf(Desc config) {
		int64_t count = 0;
		std::vector<cudnnBackendNumericalNote_t> notes(64);
		OK(cudnnBackendGetAttribute(engineOf(config), CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, 64, &count, notes.data()));
		return std::vector<int>(notes.begin(), notes.begin() + count);
	}
	Desc plan(cudnnHandle_t handle, Desc config) {
		Desc p = make(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
		one(p, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, handle);
		descriptor(p, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config);
		return p;
	}
	Desc pack(std::vector<int64_t> uids, std::vector<void *> data, void *workspace) {
		Desc v = make(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
		integers(v, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, uids);
		set(v, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, data);
		one(v, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, workspace);
		return v;
	}
};

int64_t workspaceOf(Desc plan) {
	int64_t bytes = -1;
	OK(cudnnBackendGetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, nullptr, &bytes));
	return bytes;
}

struct Handle {
	cudnnHandle_t h;
	Handle() { OK(cudnnCreate(&h)); }
	~Handle() { OK(cudnnDestroy(h)); }
};

// Numbers holds n elements of a type, on the host and on the device.
struct Numbers {
	Type type;
	std::vector<double> host;
	Memory memory;
	Numbers(Type t, size_t n, unsigned seed) : type(t), memory(n * sim::bytesOf(t)) {
		std::vector<char> bytes(n * sim::bytesOf(t));
		auto values = randoms(n, seed);
		for (size_t i = 0; i < n; i++) {
			char *at = &bytes[i * sim::bytesOf(t)];
			sim::storeOne(t, at, values[i]);
			host.push_back(sim::loadOne(t, at));
		}
		OK(cuMemcpyHtoD_v2(memory.p, bytes.data(), bytes.size()));
	}
	std::vector<float> download() const {
		std::vector<char> bytes(memory.bytes);
		OK(cuCtxSynchronize());
		OK(cuMemcpyDtoH_v2(bytes.data(), memory.p, memory.bytes));
		std::vector<float> out(host.size());
		sim::loadRun(type, bytes.data(), 1, out.size(), out.data());
		return out;
	}
};

// Case is a convolution: x [n,h,w,c], w [k,r,s,c/groups], y [n,p,q,k].
struct Case {
	int n, c, h, w, k, r, s, padH, padW, strideH, strideW, dilationH, dilationW, groups;
	int p() const { return (h + 2 * padH - dilationH * (r - 1) - 1) / strideH + 1; }
	int q() const { return (w + 2 * padW - dilationW * (s - 1) - 1) / strideW + 1; }
	// each calls f with the positions of the operands and of the result of every product.
	template <class F> void each(F f) const {
		int cg = c / groups, kg = k / groups;
		for (int in = 0; in < n; in++)
			for (int ip = 0; ip < p(); ip++)
				for (int iq = 0; iq < q(); iq++)
					for (int ik = 0; ik < k; ik++)
						for (int a = 0; a < r; a++)
							for (int b = 0; b < s; b++) {
								int i = ip * strideH - padH + a * dilationH, j = iq * strideW - padW + b * dilationW;
								if (i < 0 || j < 0 || i >= h || j >= w) continue;
								for (int cc = 0; cc < cg; cc++)
									f(size_t((in * h + i) * w + j) * c + ik / kg * cg + cc, size_t((ik * r + a) * s + b) * cg + cc, size_t((in * p() + ip) * q() + iq) * k + ik);
							}
	}
};

enum Epilogue { None, Bias, BiasRelu };

// check runs a pass on every engine that is proposed.
void check(const Case &v, Type type, int operation, Epilogue epilogue) {
	Handle dnn;
	Owned o;
	int cg = v.c / v.groups;
	Desc x = o.tensor(1, type, v.n, v.c, v.h, v.w), w = o.tensor(2, type, v.k, cg, v.r, v.s), y = o.tensor(3, type, v.n, v.k, v.p(), v.q());
	Desc conv = o.convolution(v.padH, v.padW, v.strideH, v.strideW, v.dilationH, v.dilationW);
	std::vector<Desc> operations;
	if (epilogue == None) {
		operations = {o.done(o.operation(operation, conv, x, w, y))};
	} else {
		Desc product = o.tensor(5, Type::Float, v.n, v.k, v.p(), v.q(), true), sum = epilogue == Bias ? y : o.tensor(6, Type::Float, v.n, v.k, v.p(), v.q(), true);
		operations = {o.done(o.operation(operation, conv, x, w, product)), o.done(o.pointwise(CUDNN_POINTWISE_ADD, product, o.tensor(4, type, 1, v.k, 1, 1), sum))};
		if (epilogue == BiasRelu) operations.push_back(o.done(o.pointwise(CUDNN_POINTWISE_RELU_FWD, sum, nullptr, y)));
	}
	Desc graph = o.done(o.unfinishedGraph(dnn.h, operations));
	Numbers nx(type, size_t(v.n) * v.h * v.w * v.c, 1), nw(type, size_t(v.k) * v.r * v.s * cg, 2), ny(type, size_t(v.n) * v.p() * v.q() * v.k, 3), nb(type, size_t(v.k), 4);
	Numbers &out = operation == 10 ? ny : operation == 12 ? nx : nw;
	std::vector<double> want(out.host.size());
	v.each([&](size_t ix, size_t iw, size_t iy) {
		if (operation == 10) want[iy] += nx.host[ix] * nw.host[iw];
		if (operation == 12) want[ix] += ny.host[iy] * nw.host[iw];
		if (operation == 11) want[iw] += ny.host[iy] * nx.host[ix];
	});
	for (size_t i = 0; i < want.size() && epilogue != None; i++) want[i] += nb.host[i % nb.host.size()];
	for (double &f : want)
		if (epilogue == BiasRelu) f = std::max(f, 0.0);
	Memory workspace(1 << 20);
	auto configs = o.engines(graph, CUDNN_HEUR_MODE_A), fallback = o.engines(graph, CUDNN_HEUR_MODE_FALLBACK);
	CHECK(configs.size() >= 3);
	SAME(fallback.size(), 2);
	configs.insert(configs.end(), fallback.begin(), fallback.end());
	double tolerance = type == Type::Float ? 1e-4 : type == Type::Half ? 4e-3 : 3e-2;
	for (Desc config : configs) {
		OK(cuMemsetD8_v2(out.memory.p, 0xFF, out.memory.bytes));
		Desc plan = o.done(o.plan(dnn.h, config));
		std::vector<int64_t> uids = {1, 2, 3};
		std::vector<void *> data = {nx.memory.at(), nw.memory.at(), ny.memory.at()};
		if (epilogue != None) uids.push_back(4), data.push_back(nb.memory.at());
		bool needs = workspaceOf(plan) > 0;
		OK(cudnnBackendExecute(dnn.h, plan, o.done(o.pack(uids, data, needs ? workspace.at() : nullptr))));
		NEAR(out.download(), want, tolerance);
	}
}

} // namespace

TEST(graphs) {
	Gpu gpu;
	const Case cases[] = {
		{2, 3, 7, 6, 4, 3, 3, 1, 1, 1, 1, 1, 1, 1},
		{1, 4, 9, 8, 6, 3, 2, 0, 1, 2, 3, 1, 1, 2},
		{2, 2, 8, 9, 3, 2, 3, 2, 1, 1, 2, 2, 3, 1},
		{1, 6, 5, 5, 6, 1, 1, 0, 0, 1, 1, 1, 1, 6},
	};
	for (const Case &c : cases)
		for (Type t : {Type::Float, Type::Half, Type::BFloat16}) {
			for (int operation : {10, 11, 12}) check(c, t, operation, None);
			check(c, t, 10, Bias);
			check(c, t, 10, BiasRelu);
		}
}

// The engines that a program can choose from: one with a workspace, one that is not deterministic, and some on tensor
// cores.
TEST(graph_engines) {
	Gpu gpu;
	Handle dnn;
	Owned o;
	Desc x = o.tensor(1, Type::Float, 2, 8, 5, 5), w = o.tensor(2, Type::Float, 8, 8, 3, 3), y = o.tensor(3, Type::Float, 2, 8, 5, 5), conv = o.convolution(1, 1, 1, 1, 1, 1);
	Desc filters = o.done(o.unfinishedGraph(dnn.h, {o.done(o.operation(11, conv, x, w, y))}));
	auto all = o.engines(filters, CUDNN_HEUR_MODE_A);
	SAME(o.numberOf(all[0]), 20);
	CHECK(o.notesOf(all[0]) == std::vector<int>{CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC});
	CHECK(o.notesOf(all[1]) == std::vector<int>{CUDNN_NUMERICAL_NOTE_TENSOR_CORE});
	CHECK(o.notesOf(all.back()).empty());
	SAME(o.numberOf(all[1]), o.numberOf(all[2])); // one engine, two choices
	CHECK(workspaceOf(o.done(o.plan(dnn.h, all[1]))) != workspaceOf(o.done(o.plan(dnn.h, all[2]))));
	// Without tensor cores the forward pass of float has only fallback engines.
	Desc forward = o.done(o.unfinishedGraph(dnn.h, {o.done(o.operation(10, conv, x, w, y))}));
	for (Desc config : o.engines(forward, CUDNN_HEUR_MODE_A)) CHECK(!o.notesOf(config).empty());
	auto fallback = o.engines(forward, CUDNN_HEUR_MODE_FALLBACK);
	CHECK(o.notesOf(fallback[0]).empty());
	SAME(workspaceOf(o.done(o.plan(dnn.h, fallback[1]))), 0);
	// With a bias of another type, no engine is proposed.
	Desc product = o.tensor(5, Type::Float, 2, 8, 5, 5, true), hx = o.tensor(1, Type::Half, 2, 8, 5, 5), hw = o.tensor(2, Type::Half, 8, 8, 3, 3), hy = o.tensor(3, Type::Half, 2, 8, 5, 5);
	Desc mixed = o.done(o.unfinishedGraph(dnn.h, {o.done(o.operation(10, conv, hx, hw, product)), o.done(o.pointwise(CUDNN_POINTWISE_ADD, product, o.tensor(4, Type::Float, 1, 8, 1, 1), hy))}));
	CHECK(o.engines(mixed, CUDNN_HEUR_MODE_A).empty());
	int64_t count = 0;
	OK(cudnnBackendGetAttribute(forward, CUDNN_ATTR_OPERATIONGRAPH_ENGINE_GLOBAL_COUNT, CUDNN_TYPE_INT64, 1, nullptr, &count));
	CHECK(count > 67);

	// Faults: of a call, and of one engine.
	configure("fail=cudnnEngine67#1:NOT_SUPPORTED; fail=cudnnBackendExecute#1:NOT_SUPPORTED");
	FAILS(cudnnBackendFinalize(o.plan(dnn.h, all[1])), unsupported());
	OK(cudnnBackendFinalize(o.plan(dnn.h, all[1])));
	FAILS(cudnnBackendExecute(dnn.h, nullptr, nullptr), unsupported());
}

TEST(misuse_of_descriptors) {
	Gpu gpu;
	Handle dnn;
	Owned o;
	const int64_t one = 1, two[] = {1, 1};
	int64_t got = 0;
	Desc d = nullptr;
	FAILS(cudnnBackendCreateDescriptor(CUDNN_BACKEND_TENSOR_DESCRIPTOR, nullptr), bad());
	FINDING("bad-argument", "descriptor is null");
	FAILS(cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t(18), &d), unsupported());
	d = o.make(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
	FAILS(cudnnBackendSetAttribute(d, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_FLOAT, 1, &one), bad());
	FINDING("bad-argument", "CUDNN_ATTR_TENSOR_UNIQUE_ID has elements of type 3, not 4");
	FAILS(cudnnBackendSetAttribute(d, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &one), bad());
	FINDING("bad-argument", "descriptors of type 17 have no attribute 106");
	FAILS(cudnnBackendSetAttribute(d, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 2, two), bad());
	FINDING("bad-argument", "CUDNN_ATTR_TENSOR_UNIQUE_ID has 1 elements, not 2");
	FAILS(cudnnBackendSetAttribute(d, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, nullptr), bad());
	FINDING("bad-argument", "arrayOfElements is null");
	FAILS(cudnnBackendFinalize(d), bad());
	FINDING("descriptor", "CUDNN_ATTR_TENSOR_UNIQUE_ID was never set");
	FAILS(cudnnBackendGetAttribute(d, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, nullptr, &got), uninitialised());
	FINDING("descriptor", "is read before the descriptor is finalised");
	d = o.tensor(1, Type::Half, 2, 8, 5, 5);
	FAILS(cudnnBackendSetAttribute(d, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &one), bad());
	FINDING("descriptor", "is set after the descriptor was finalised");
	FAILS(cudnnBackendFinalize(d), bad());
	FINDING("descriptor", "finalised already");
	d = o.unfinishedTensor(1, Type::Half, 2, 8, 5, 5);
	o.integers(d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, {1});
	FAILS(cudnnBackendFinalize(d), bad());
	FINDING("descriptor", "an alignment of 1 bytes for 2-byte elements");
	d = o.unfinishedTensor(1, Type::Half, 2, 8, 5, 5);
	o.integers(d, CUDNN_ATTR_TENSOR_STRIDES, {1, 1});
	FAILS(cudnnBackendFinalize(d), bad());
	FINDING("descriptor", "4 dimensions and 2 strides");
	FAILS(cudnnBackendFinalize(nullptr), bad());
	FINDING("bad-handle", "descriptor is null");
	OK(cudnnBackendCreateDescriptor(CUDNN_BACKEND_TENSOR_DESCRIPTOR, &d));
	OK(cudnnBackendDestroyDescriptor(d));
	FAILS(cudnnBackendDestroyDescriptor(d), bad());
	FINDING("bad-handle", "descriptor was destroyed");
}

TEST(misuse_of_graphs) {
	Gpu gpu;
	Handle dnn;
	Owned o;
	Desc x = o.tensor(1, Type::Float, 2, 8, 5, 5), w = o.tensor(2, Type::Float, 8, 8, 3, 3), y = o.tensor(3, Type::Float, 2, 8, 5, 5), conv = o.convolution(1, 1, 1, 1, 1, 1);
	Desc d = o.make(CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR), raw = o.unfinishedTensor(1, Type::Float, 2, 8, 5, 5);
	FAILS(cudnnBackendSetAttribute(d, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &raw), bad());
	FINDING("descriptor", "CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X was given a descriptor that is not finalised");
	FAILS(cudnnBackendSetAttribute(d, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &conv), bad());
	FINDING("would-abort", "CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X takes no descriptor of type 1");
	FAILS(cudnnBackendFinalize(o.operation(10, conv, x, w, o.tensor(3, Type::Float, 2, 8, 4, 5))), bad());
	FINDING("descriptor", "y is [2,8,4,5], and should be [2,8,5,5]");
	FAILS(cudnnBackendFinalize(o.operation(10, conv, x, o.tensor(2, Type::Float, 8, 3, 3, 3), y)), bad());
	FINDING("descriptor", "x has 8 channels, the filter 3");
	Desc product = o.tensor(5, Type::Float, 2, 8, 5, 5, true), bias = o.tensor(4, Type::Float, 1, 8, 1, 1);
	FAILS(cudnnBackendFinalize(o.pointwise(CUDNN_POINTWISE_ADD, product, o.tensor(4, Type::Float, 1, 4, 1, 1), y)), bad());
	FINDING("descriptor", "b is [1,4,1,1], which does not broadcast to [2,8,5,5]");
	FAILS(cudnnBackendFinalize(o.pointwise(CUDNN_POINTWISE_ADD, product, nullptr, y)), bad());
	FINDING("descriptor", "an addition takes two operands");
	Desc forward = o.done(o.operation(10, conv, x, w, y)), first = o.done(o.operation(10, conv, x, w, product)), add = o.done(o.pointwise(CUDNN_POINTWISE_ADD, product, bias, y));
	FAILS(cudnnBackendFinalize(o.unfinishedGraph(dnn.h, {forward, add})), bad());
	FINDING("descriptor", "tensor 5 is not what the operation before writes");
	FAILS(cudnnBackendFinalize(o.unfinishedGraph(dnn.h, {first})), bad());
	FINDING("descriptor", "tensor 5 is virtual");
	FAILS(cudnnBackendFinalize(o.unfinishedGraph(dnn.h, {o.done(o.operation(10, conv, x, o.tensor(1, Type::Float, 8, 8, 3, 3), y))})), bad());
	FINDING("descriptor", "two tensors have the identifier 1");
	FAILS(cudnnBackendFinalize(o.unfinishedGraph(cudnnHandle_t(&gpu), {forward})), bad());
	FINDING("bad-handle", "is no cuDNN handle");
	d = o.make(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
	o.descriptor(d, CUDNN_ATTR_OPERATIONGRAPH_OPS, forward);
	FAILS(cudnnBackendFinalize(d), bad());
	FINDING("descriptor", "CUDNN_ATTR_OPERATIONGRAPH_HANDLE was never set");

	Desc graph = o.done(o.unfinishedGraph(dnn.h, {forward})), plan = o.plan(dnn.h, o.engines(graph, CUDNN_HEUR_MODE_A)[0]);
	Numbers nx(Type::Float, 400, 1), nw(Type::Float, 576, 2), ny(Type::Float, 400, 3);
	void *px = nx.memory.at(), *pw = nw.memory.at(), *py = ny.memory.at();
	Memory workspace(1 << 20), small(256);
	Desc pack = o.done(o.pack({1, 2, 3}, {px, pw, py}, workspace.at()));
	FAILS(cudnnBackendExecute(dnn.h, plan, pack), bad());
	FINDING("descriptor", "executionPlan is no finalised execution plan");
	o.done(plan);
	FAILS(cudnnBackendExecute(dnn.h, plan, o.pack({1, 2, 3}, {px, pw, py}, workspace.at())), bad());
	FINDING("descriptor", "variantPack is no finalised variant pack");
	FAILS(cudnnBackendFinalize(o.pack({1, 2}, {px, pw, py}, nullptr)), bad());
	FINDING("descriptor", "2 identifiers and 3 addresses");
	FAILS(cudnnBackendFinalize(o.pack({1, 2, 2}, {px, pw, py}, nullptr)), bad());
	FINDING("descriptor", "the identifier 2 is there twice");
	auto fails = [&](std::vector<int64_t> uids, std::vector<void *> data, void *ws, const char *kind, const char *what) {
		FAILS(cudnnBackendExecute(dnn.h, plan, o.done(o.pack(uids, data, ws))), bad());
		FINDING(kind, what);
	};
	fails({1, 2}, {px, pw}, workspace.at(), "descriptor", "no address for tensor 3");
	fails({1, 2, 3, 4}, {px, pw, py, py}, workspace.at(), "descriptor", "the graph has no tensor 4");
	fails({1, 2, 3}, {px, pw, px}, workspace.at(), "bad-argument", "y overlaps x");
	fails({1, 2, 3}, {px, pw, nullptr}, workspace.at(), "bad-pointer", "y is the null pointer");
	fails({1, 2, 3}, {px, pw, nx.memory.at(4)}, workspace.at(), "bad-argument", "y is not aligned to 16 bytes");
	fails({1, 2, 3}, {px, pw, small.at()}, workspace.at(), "descriptor", "y [2,8,5,5] of float needs");
	fails({1, 2, 3}, {px, pw, py}, nullptr, "bad-argument", "a workspace of 0 bytes, needed are");
	fails({1, 2, 3}, {px, pw, py}, small.at(), "bad-pointer", "workSpace");
	OK(cudnnBackendExecute(dnn.h, plan, pack));
	OK(cuCtxSynchronize());
}

TEST(leak_of_a_plan) {
	Gpu gpu;
	Owned o;
	{
		Handle dnn;
		Desc conv = o.convolution(0, 0, 1, 1, 1, 1), forward = o.done(o.operation(10, conv, o.tensor(1, Type::Float, 1, 3, 4, 4), o.tensor(2, Type::Float, 2, 3, 1, 1), o.tensor(3, Type::Float, 1, 2, 4, 4)));
		o.done(o.plan(dnn.h, o.engines(o.done(o.unfinishedGraph(dnn.h, {forward})), CUDNN_HEUR_MODE_A)[0]));
	}
	gpu.release();
	FINDING("leak", "operation graph");
	FINDING("leak", "execution plan");
}

// Work that a setting makes slow is slow.
TEST(slow_functions) {
	Gpu gpu;
	Memory x(1 << 10);
	CUevent from, to;
	OK(cuEventCreate(&from, 0));
	OK(cuEventCreate(&to, 0));
	for (int slow : {0, 1}) {
		configure(slow ? "slow=cuMemsetD8Async:30000" : "");
		float ms;
		OK(cuEventRecord(from, nullptr));
		OK(cuMemsetD8Async(x.p, 0, x.bytes, nullptr));
		OK(cuEventRecord(to, nullptr));
		OK(cuEventSynchronize(to));
		OK(cuEventElapsedTime(&ms, from, to));
		CHECK((ms >= 29) == (slow == 1));
	}
	OK(cuEventDestroy_v2(from));
	OK(cuEventDestroy_v2(to));
	char error[200];
	CHECK(cudasimConfigure("slow=cuMemsetD8Async", error, sizeof error) != 0);
}
