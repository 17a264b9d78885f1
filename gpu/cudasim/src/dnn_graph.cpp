// The software cuDNN: operation graphs of a convolution, their engines, and running them.
//
//     y = x * w;  y = x * w + bias;  y = ReLU(x * w + bias);  dx = dy * w, transposed;  dw = sum of dy x
//
// All engines compute the same. They differ in their notes and in the workspace that they need, so that a program has
// something to choose from. The list for each operation is modelled on cuDNN 9.28 on compute capability 9.0, with a
// tenth of the engines.
#include "dnn_backend.h"

#include <algorithm>

namespace sim {

namespace {

cudnnStatus_t wrong(DnnCall &call, const std::string &what) { return call.wrong(Status::BadParam, kind::descriptor, what); }

cudnnStatus_t finaliseTensor(DnnCall &call, BackendDesc &d) {
	const auto &dims = d.numbers(CUDNN_ATTR_TENSOR_DIMENSIONS), &strides = d.numbers(CUDNN_ATTR_TENSOR_STRIDES);
	if (dims.size() != strides.size()) return wrong(call, text("%zu dimensions and %zu strides", dims.size(), strides.size()));
	if (dims.size() != 4) return call.unsupported(text("%zu dimensions: the emulation has 4", dims.size()));
	for (size_t i = 0; i < 4; i++)
		if (dims[i] < 1 || strides[i] < 1) return wrong(call, text("dimension %zu is %lld, with stride %lld", i, (long long)dims[i], (long long)strides[i]));
	BackendTensor &t = d.tensor;
	auto at = [](const std::vector<int64_t> &v, size_t i) { return int(v[i]); };
	t.desc = {true, cudnnDataType_t(d.number(CUDNN_ATTR_TENSOR_DATA_TYPE)), at(dims, 0), at(dims, 1), at(dims, 2), at(dims, 3),
		at(strides, 0), at(strides, 1), at(strides, 2), at(strides, 3)};
	t.uid = d.number(CUDNN_ATTR_TENSOR_UNIQUE_ID);
	t.alignment = d.number(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT);
	t.isVirtual = d.has(CUDNN_ATTR_TENSOR_IS_VIRTUAL) && d.number(CUDNN_ATTR_TENSOR_IS_VIRTUAL);
	Type type;
	if (!typeOf(t.desc.type, &type)) return call.unsupported(text("data type %d", int(t.desc.type)));
	if (t.alignment < 1 || t.alignment % int64_t(bytesOf(type))) return wrong(call, text("an alignment of %lld bytes for %zu-byte elements", (long long)t.alignment, bytesOf(type)));
	return 0;
}

cudnnStatus_t finaliseConvolution(DnnCall &call, BackendDesc &d) {
	int64_t spatial = d.number(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS);
	std::vector<int64_t> v;
	for (int name : {CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_ATTR_CONVOLUTION_DILATIONS}) {
		if (int64_t(d.numbers(name).size()) != spatial) return wrong(call, text("attribute %d has %zu elements for %lld dimensions", name, d.numbers(name).size(), (long long)spatial));
		v.insert(v.end(), d.numbers(name).begin(), d.numbers(name).end());
	}
	if (spatial != 2) return call.unsupported(text("%lld dimensions: the emulation has 2", (long long)spatial));
	if (v[0] != v[2] || v[1] != v[3]) return call.unsupported("the emulation pads alike on both sides");
	if (*std::min_element(v.begin(), v.begin() + 4) < 0 || *std::min_element(v.begin() + 4, v.end()) < 1)
		return wrong(call, "a padding is negative, or a stride or dilation is not positive");
	d.convolution = {true, int(v[0]), int(v[1]), int(v[4]), int(v[5]), int(v[6]), int(v[7]), 1,
		cudnnConvolutionMode_t(d.number(CUDNN_ATTR_CONVOLUTION_CONV_MODE)), cudnnDataType_t(d.number(CUDNN_ATTR_CONVOLUTION_COMP_TYPE)), CUDNN_DEFAULT_MATH};
	return 0;
}

// The names of the attributes of one operation.
struct Names {
	Direction direction;
	int alpha, beta, convolution, x, w, y;
};

Names namesOf(cudnnBackendDescriptorType_t type) {
	switch (type) {
	case CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR:
		return {Direction::Forward, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA,
			CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
			CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y};
	case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR:
		return {Direction::BackwardData, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA,
			CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
			CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY};
	default:
		return {Direction::BackwardFilter, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA,
			CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
			CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY};
	}
}

cudnnStatus_t finaliseOperation(DnnCall &call, BackendDesc &d) {
	Names names = namesOf(d.type);
	auto g = std::make_shared<ConvolutionGraph>();
	g->direction = names.direction;
	g->alpha = float(d.attributes[names.alpha].reals[0]);
	g->beta = float(d.attributes[names.beta].reals[0]);
	g->x = d.descriptor(names.x).tensor;
	g->w = d.descriptor(names.w).tensor;
	g->y = d.descriptor(names.y).tensor;
	g->product = g->y.desc;
	const TensorDesc &x = g->x.desc, &w = g->w.desc;
	ConvolutionDesc c = d.descriptor(names.convolution).convolution;
	if (x.c % w.c) return wrong(call, text("x has %d channels, the filter %d", x.c, w.c));
	c.groups = x.c / w.c;
	FilterDesc filter = {true, w.type, CUDNN_TENSOR_NHWC, w.n, w.c, w.h, w.w};
	if (cudnnStatus_t s = fit(call, c, x, filter, g->y.desc, &g->geometry)) return s;
	d.graph = g;
	return 0;
}

cudnnStatus_t finalisePointwise(DnnCall &call, BackendDesc &d) {
	int64_t mode = d.number(CUDNN_ATTR_POINTWISE_MODE);
	if (mode != CUDNN_POINTWISE_ADD && mode != CUDNN_POINTWISE_RELU_FWD) return call.unsupported(text("the emulation has no pointwise mode %lld", (long long)mode));
	if (d.number(CUDNN_ATTR_POINTWISE_MATH_PREC) != CUDNN_DATA_FLOAT) return call.unsupported("the emulation computes in float");
	return 0;
}

bool adds(const BackendDesc &operation) {
	return operation.descriptor(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR).number(CUDNN_ATTR_POINTWISE_MODE) == CUDNN_POINTWISE_ADD;
}

cudnnStatus_t finalisePointwiseOperation(DnnCall &call, BackendDesc &d) {
	const TensorDesc &x = d.descriptor(CUDNN_ATTR_OPERATION_POINTWISE_XDESC).tensor.desc, &y = d.descriptor(CUDNN_ATTR_OPERATION_POINTWISE_YDESC).tensor.desc;
	if (adds(d) != d.has(CUDNN_ATTR_OPERATION_POINTWISE_BDESC)) return wrong(call, "an addition takes two operands, ReLU takes one");
	if (!sameShape(x, y)) return wrong(call, text("x is %s, y is %s", shape(x).c_str(), shape(y).c_str()));
	if (!adds(d)) return 0;
	const TensorDesc &b = d.descriptor(CUDNN_ATTR_OPERATION_POINTWISE_BDESC).tensor.desc;
	auto fits = [](int b, int y) { return b == 1 || b == y; };
	if (!fits(b.n, y.n) || !fits(b.c, y.c) || !fits(b.h, y.h) || !fits(b.w, y.w))
		return wrong(call, text("b is %s, which does not broadcast to %s", shape(b).c_str(), shape(y).c_str()));
	return 0;
}

bool same(const BackendTensor &a, const BackendTensor &b) {
	return sameShape(a.desc, b.desc) && a.desc.type == b.desc.type && a.desc.nStride == b.desc.nStride && a.desc.cStride == b.desc.cStride &&
		a.desc.hStride == b.desc.hStride && a.desc.wStride == b.desc.wStride && a.isVirtual == b.isVirtual;
}

// append adds a pointwise operation to a graph. Its input must be the graph's last tensor.
cudnnStatus_t append(DnnCall &call, ConvolutionGraph &g, const BackendDesc &operation) {
	const BackendTensor &x = operation.descriptor(CUDNN_ATTR_OPERATION_POINTWISE_XDESC).tensor;
	if (x.uid != g.y.uid || !same(x, g.y)) return wrong(call, text("tensor %lld is not what the operation before writes", (long long)x.uid));
	if (!x.isVirtual) return call.unsupported("the emulation has only virtual tensors between operations");
	if (g.direction != Direction::Forward || g.relu || (adds(operation) ? g.hasBias : !g.hasBias))
		return call.unsupported("the emulation has a bias after a forward convolution, and ReLU after that");
	if (adds(operation)) {
		g.bias = operation.descriptor(CUDNN_ATTR_OPERATION_POINTWISE_BDESC).tensor;
		const TensorDesc &b = g.bias.desc;
		if (b.n != 1 || b.h != 1 || b.w != 1 || b.c != g.geometry.k) return call.unsupported(text("the emulation adds no %s to a convolution's output", shape(b).c_str()));
		g.hasBias = true;
	} else {
		g.relu = true;
	}
	g.y = operation.descriptor(CUDNN_ATTR_OPERATION_POINTWISE_YDESC).tensor;
	return 0;
}

cudnnStatus_t finaliseGraph(DnnCall &call, BackendDesc &d) {
	const auto &operations = d.attributes[CUDNN_ATTR_OPERATIONGRAPH_OPS].descriptors;
	if (!operations[0]->graph) return call.unsupported("the emulation has graphs that begin with a convolution");
	auto g = std::make_shared<ConvolutionGraph>(*operations[0]->graph);
	std::vector<BackendTensor> tensors = {g->x, g->w, g->y};
	for (size_t i = 1; i < operations.size(); i++) {
		if (operations[i]->graph) return call.unsupported("the emulation has one convolution in a graph");
		if (cudnnStatus_t s = append(call, *g, *operations[i])) return s;
		if (adds(*operations[i])) tensors.push_back(g->bias);
		tensors.push_back(g->y);
	}
	for (size_t i = 0; i < tensors.size(); i++)
		for (size_t j = 0; j < i; j++)
			if (tensors[i].uid == tensors[j].uid) return wrong(call, text("two tensors have the identifier %lld", (long long)tensors[i].uid));
	for (const BackendTensor *t : {&g->x, &g->w, &g->y, &g->bias})
		if (t->isVirtual) return wrong(call, text("tensor %lld is virtual, and is read from outside or written for it", (long long)t->uid));
	d.graph = g;
	return 0;
}

} // namespace

cudnnStatus_t finalise(DnnCall &call, BackendDesc &d) {
	switch (d.type) {
	case CUDNN_BACKEND_TENSOR_DESCRIPTOR: return finaliseTensor(call, d);
	case CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR: return finaliseConvolution(call, d);
	case CUDNN_BACKEND_POINTWISE_DESCRIPTOR: return finalisePointwise(call, d);
	case CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR: return finalisePointwiseOperation(call, d);
	case CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR: return finaliseGraph(call, d);
	case CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR:
		if (!call.part(dnnVersion.forward)) return call.status;
		d.graph = d.descriptor(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH).graph;
		d.engines = enginesFor(*d.graph, cudnnBackendHeurMode_t(d.number(CUDNN_ATTR_ENGINEHEUR_MODE)));
		return 0;
	case CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR: {
		const BackendDesc &config = d.descriptor(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
		d.graph = config.graph;
		d.engines = config.engines;
		call.fault = faultFor(text("cudnnEngine%d", d.engines[0].number));
		return call.fault ? call.failed() : 0;
	}
	case CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR: {
		auto uids = d.numbers(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
		size_t data = d.numbers(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS).size();
		if (uids.size() != data) return wrong(call, text("%zu identifiers and %zu addresses", uids.size(), data));
		std::sort(uids.begin(), uids.end());
		auto twice = std::adjacent_find(uids.begin(), uids.end());
		return twice == uids.end() ? 0 : wrong(call, text("the identifier %lld is there twice", (long long)*twice));
	}
	case CUDNN_BACKEND_ENGINE_DESCRIPTOR:
	case CUDNN_BACKEND_ENGINECFG_DESCRIPTOR: return call.unsupported("the emulation has the engines that its heuristics propose, and no others");
	default: return finaliseOperation(call, d);
	}
}

std::vector<GraphEngine> enginesFor(const ConvolutionGraph &g, cudnnBackendHeurMode_t mode) {
	const TensorDesc &x = g.x.desc, &w = g.w.desc, &y = g.y.desc;
	bool one = x.type == w.type && x.type == y.type && (!g.hasBias || (g.bias.desc.type == x.type && g.product.type == CUDNN_DATA_FLOAT));
	bool channelsLast = nhwc(x) && nhwc(w) && nhwc(y) && nhwc(g.product);
	if (!one || !channelsLast || g.geometry.conv.compute != CUDNN_DATA_FLOAT || (g.hasBias && (g.alpha != 1 || g.beta != 0))) return {};
	const int tensorCore = CUDNN_NUMERICAL_NOTE_TENSOR_CORE, random = CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC;
	size_t filter = (size_t(w.n) * w.c * w.h * w.w * 4 + 255) / 256 * 256;
	if (mode == CUDNN_HEUR_MODE_FALLBACK) return {{1, {}, filter}, {0, {}, 0}};
	bool single = x.type == CUDNN_DATA_FLOAT;
	std::vector<GraphEngine> all = {
		{single ? 67 : 62, {tensorCore}, filter}, {single ? 67 : 62, {tensorCore}, 131}, {38, {tensorCore}, 16 * filter},
		single ? GraphEngine{46, {tensorCore, CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS}, 0} : GraphEngine{47, {tensorCore, CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION}, 0},
	};
	// For the gradient of the filters, the first proposal is an engine whose order of summation varies. For the forward
	// pass on float images whose channels are a multiple of 4, every proposed engine uses tensor cores.
	if (g.direction == Direction::BackwardFilter) all.insert(all.begin(), {20, {random}, 0});
	if (g.direction == Direction::BackwardData) all.push_back({25, {random}, filter});
	if (g.direction != Direction::Forward || !single || x.c % 4) all.push_back({28, {}, filter});
	return all;
}

cudnnStatus_t execute(DnnCall &call, const BackendDesc &plan, const std::map<int64_t, void *> &data, void *workspace) {
	const ConvolutionGraph g = *plan.graph;
	std::vector<std::pair<const char *, const BackendTensor *>> operands = {{"x", &g.x}, {"w", &g.w}, {"y", &g.y}};
	if (g.hasBias) operands.push_back({"bias", &g.bias});
	Task t(call);
	std::map<std::string, Tensor> tensors;
	const char *output = nullptr;
	for (auto &[name, operand] : operands) {
		auto at = data.find(operand->uid);
		if (at == data.end()) return wrong(call, text("the variant pack has no address for tensor %lld", (long long)operand->uid));
		if (Address(at->second) % Address(operand->alignment))
			return call.wrong(Status::BadParam, kind::argument, text("%s is not aligned to %lld bytes, as its descriptor says", name, (long long)operand->alignment));
		bool out = operand == &g.output();
		if (out) output = name;
		tensors[name] = out ? t.output(name, operand->desc, at->second, g.beta) : t.input(name, operand->desc, at->second);
	}
	for (auto &[uid, p] : data)
		if (std::none_of(operands.begin(), operands.end(), [uid = uid](auto &o) { return o.second->uid == uid; }))
			return wrong(call, text("the graph has no tensor %lld to be given an address for", (long long)uid));
	for (auto &[name, operand] : operands)
		if (name != output) t.apart(output, name);
	// A program does not pass the size of the workspace, so the memory behind its address is checked against the size
	// needed.
	t.workspace(workspace, plan.engines[0].workspace, plan.engines[0].workspace);
	return t.run([g, tensors = std::move(tensors)] {
		auto load = [&](const char *name) { return tensors.at(name).load(); };
		switch (g.direction) {
		case Direction::BackwardData: return tensors.at("x").store(convolveBackwardData(g.geometry, load("y"), load("w")), g.alpha, g.beta);
		case Direction::BackwardFilter: return tensors.at("w").store(convolveBackwardFilter(g.geometry, load("x"), load("y")), g.alpha, g.beta);
		case Direction::Forward: break;
		}
		Array out = convolve(g.geometry, load("x"), load("w")), bias;
		if (g.hasBias) bias = load("bias");
		for (size_t i = 0; i < out.size() && g.hasBias; i++) out[i] += bias[i % bias.size()];
		for (size_t i = 0; i < out.size() && g.relu; i++) out[i] = out[i] < 0 ? 0 : out[i]; // NaN stays NaN
		tensors.at("y").store(out, g.alpha, g.beta);
	});
}

} // namespace sim
