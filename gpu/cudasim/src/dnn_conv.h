// dnn_conv.h: the geometry of convolutions, their arithmetic, and the algorithms that
// support them.
#pragma once
#include "dnn.h"

namespace sim {

// Geometry holds the sizes of a convolution: x [n,h,w,c], w [k,r,s,c/groups], y [n,p,q,k].
struct Geometry {
	int n, c, h, w, k, r, s, p, q;
	ConvolutionDesc conv;
	int cPerGroup() const { return c / conv.groups; }
	int kPerGroup() const { return k / conv.groups; }
};

// fit fills in the geometry, or reports descriptors that do not fit together.
cudnnStatus_t fit(DnnCall &call, const ConvolutionDesc &c, const TensorDesc &x, const FilterDesc &w, const TensorDesc &y, Geometry *g);

// The three products of a convolution, in float32 without gaps; w is [k][r][s][c/groups].
Array convolve(const Geometry &g, const Array &x, const Array &w);
Array convolveBackwardData(const Geometry &g, const Array &dy, const Array &w);
Array convolveBackwardFilter(const Geometry &g, const Array &x, const Array &dy);

enum class Direction { Forward, BackwardData, BackwardFilter };

// Algorithm is one entry of a direction's table.
struct Algorithm {
	int number;
	bool deterministic;
};

const std::vector<Algorithm> &algorithms(Direction d); // best first
// supports reports whether the algorithm supports the convolution; if not, why holds the
// reason.
bool supports(Direction d, int algorithm, const Geometry &g, const TensorDesc &x, const FilterDesc &w, std::string *why);
size_t workspaceBytes(Direction d, int algorithm, const Geometry &g, const FilterDesc &w);

} // namespace sim
