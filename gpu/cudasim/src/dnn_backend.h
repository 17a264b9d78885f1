// dnn_backend.h: descriptors of cuDNN's graph interface: their attributes by name (dnn_backend.cpp), and the objects
// made from them (dnn_graph.cpp).
#pragma once
#include "dnn_conv.h"

#include <map>

namespace sim {

struct BackendDesc;

// Value is an attribute as it was set: numbers of any integer type, or reals, or descriptors.
struct Value {
	std::vector<int64_t> numbers;
	std::vector<double> reals;
	std::vector<Ref<BackendDesc>> descriptors;
};

// BackendTensor is a tensor of a graph.
struct BackendTensor {
	TensorDesc desc;
	int64_t uid = 0, alignment = 0;
	bool isVirtual = false;
};

// ConvolutionGraph is the only kind of graph: a convolution, followed in the forward pass by an optional bias and
// ReLU.
struct ConvolutionGraph {
	Direction direction = Direction::Forward;
	Geometry geometry = {};
	BackendTensor x, w, y, bias; // the output of the last operation is y
	TensorDesc product;          // the output of the convolution
	bool hasBias = false, relu = false;
	float alpha = 1, beta = 0;
	const BackendTensor &output() const { return direction == Direction::Forward ? y : direction == Direction::BackwardData ? x : w; }
};

// GraphEngine is an engine with a choice, which decides its workspace.
struct GraphEngine {
	int number;
	std::vector<int> notes;
	size_t workspace;
};

// enginesFor lists the engines that a heuristic proposes for a graph, best first.
std::vector<GraphEngine> enginesFor(const ConvolutionGraph &g, cudnnBackendHeurMode_t mode);

struct BackendDesc {
	cudnnBackendDescriptorType_t type;
	bool set = true; // no function sets it as a whole
	bool finalized = false;
	std::map<int, Value> attributes;

	// The results of finalising the attributes; the type of the descriptor decides which of them is set.
	BackendTensor tensor;
	ConvolutionDesc convolution;      // without groups, which follow from the tensors
	Ref<ConvolutionGraph> graph;      // of convolutions, graphs, heuristics, configurations, engines and plans
	std::vector<GraphEngine> engines; // of heuristics; one of configurations, engines and plans
	Context *context = nullptr;       // of the handle that a graph or a plan was made for

	bool has(int name) const { return attributes.count(name) != 0; }
	int64_t number(int name) const { return attributes.at(name).numbers[0]; }
	const std::vector<int64_t> &numbers(int name) const { return attributes.at(name).numbers; }
	const BackendDesc &descriptor(int name) const { return *attributes.at(name).descriptors[0]; }
};

// finalise makes the result from the attributes of a descriptor, or reports what is wrong with them.
cudnnStatus_t finalise(DnnCall &call, BackendDesc &d);

// execute queues a plan on the addresses of its tensors, by their identifiers.
cudnnStatus_t execute(DnnCall &call, const BackendDesc &plan, const std::map<int64_t, void *> &data, void *workspace);

} // namespace sim
