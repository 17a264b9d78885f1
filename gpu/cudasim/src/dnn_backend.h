// dnn_backend.h: descriptors of cuDNN's graph interface: attributes by name (dnn_backend.cpp), and what they come to
// (dnn_graph.cpp).
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

// ConvolutionGraph is the one kind of graph that there is: a convolution, and after a forward one a bias and ReLU.
struct ConvolutionGraph {
	Direction direction = Direction::Forward;
	Geometry geometry = {};
	BackendTensor x, w, y, bias; // y is what the last operation writes
	TensorDesc product;          // what the convolution writes
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
	bool set = true; // there is nothing to set it as a whole
	bool finalized = false;
	std::map<int, Value> attributes;

	// What finalising makes of the attributes; of which type each is follows from the descriptor's.
	BackendTensor tensor;
	ConvolutionDesc convolution;      // without groups, which the tensors tell
	Ref<ConvolutionGraph> graph;      // of convolutions, graphs, heuristics, configurations, engines and plans
	std::vector<GraphEngine> engines; // of heuristics; one of configurations, engines and plans
	Context *context = nullptr;       // of the handle that a graph or a plan was made for

	bool has(int name) const { return attributes.count(name) != 0; }
	int64_t number(int name) const { return attributes.at(name).numbers[0]; }
	const std::vector<int64_t> &numbers(int name) const { return attributes.at(name).numbers; }
	const BackendDesc &descriptor(int name) const { return *attributes.at(name).descriptors[0]; }
};

// finalise makes of a descriptor's attributes what they come to, or reports what is wrong with them.
cudnnStatus_t finalise(DnnCall &call, BackendDesc &d);

// execute queues a plan on the addresses of its tensors, by their identifiers.
cudnnStatus_t execute(DnnCall &call, const BackendDesc &plan, const std::map<int64_t, void *> &data, void *workspace);

} // namespace sim
