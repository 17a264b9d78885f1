// dnn.h: what the files of the software cuDNN share: descriptors, calls, and tensors in the
// form used for computing.
#pragma once
#include "dnn_status.h"
#include "numeric.h"
#include "sim.h"

#include <array>

namespace sim {

// ---- Descriptors -------------------------------------------------------------------

// TensorDesc is a tensor of up to four dimensions [n, c, h, w]; missing ones are 1.
struct TensorDesc {
	bool set = false;
	cudnnDataType_t type = CUDNN_DATA_FLOAT;
	int n = 1, c = 1, h = 1, w = 1;
	int nStride = 0, cStride = 0, hStride = 0, wStride = 0; // in elements
	size_t elements() const { return size_t(n) * c * h * w; }
};

struct FilterDesc {
	bool set = false;
	cudnnDataType_t type = CUDNN_DATA_FLOAT;
	cudnnTensorFormat_t format = CUDNN_TENSOR_NCHW;
	int k = 1, c = 1, h = 1, w = 1;
	TensorDesc tensor() const; // the same, as a tensor
};

struct ConvolutionDesc {
	bool set = false;
	int padH = 0, padW = 0, strideH = 1, strideW = 1, dilationH = 1, dilationW = 1, groups = 1;
	cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
	cudnnDataType_t compute = CUDNN_DATA_FLOAT;
	cudnnMathType_t math = CUDNN_DEFAULT_MATH;
};

struct PoolingDesc {
	bool set = false;
	cudnnPoolingMode_t mode = CUDNN_POOLING_MAX;
	cudnnNanPropagation_t nan = CUDNN_NOT_PROPAGATE_NAN;
	int windowH = 1, windowW = 1, padH = 0, padW = 0, strideH = 1, strideW = 1;
};

struct ActivationDesc {
	bool set = false;
	cudnnActivationMode_t mode = CUDNN_ACTIVATION_IDENTITY;
	cudnnNanPropagation_t nan = CUDNN_NOT_PROPAGATE_NAN;
	double coef = 0;
};

struct OpTensorDesc {
	bool set = false;
	cudnnOpTensorOp_t op = CUDNN_OP_TENSOR_ADD;
	cudnnDataType_t compute = CUDNN_DATA_FLOAT;
	cudnnNanPropagation_t nan = CUDNN_NOT_PROPAGATE_NAN;
};

struct ReduceDesc {
	bool set = false;
	cudnnReduceTensorOp_t op = CUDNN_REDUCE_TENSOR_ADD;
	cudnnDataType_t compute = CUDNN_DATA_FLOAT;
	cudnnNanPropagation_t nan = CUDNN_NOT_PROPAGATE_NAN;
	cudnnReduceTensorIndices_t indices = CUDNN_REDUCE_TENSOR_NO_INDICES;
};

struct DropoutDesc {
	bool set = false;
	float rate = 0;
	void *states = nullptr;
	uint64_t seed = 0;
	uint64_t calls = 0;
};

template <class T> Handles<T> &descriptors() {
	static auto *h = new Handles<T>;
	return *h;
}

struct Dnn {
	Context *context;
	CUstream stream = nullptr;
};

// ---- Calls -------------------------------------------------------------------------

cudnnStatus_t codeOf(Status s);

// DnnCall is a call of one of the library's functions.
class DnnCall : public Call {
public:
	DnnCall(Function &f, unsigned needs) : Call(f, needs) {}
	// failed returns the status of a call that the driver's state, or a fault, makes fail;
	// otherwise Success.
	cudnnStatus_t failed();
	cudnnStatus_t wrong(Status s, const char *kind, const std::string &what);
	// unsupported returns an error without a finding: programs may ask for features that do not
	// exist.
	cudnnStatus_t unsupported(const std::string &what);
	bool handle(cudnnHandle_t h); // false: return status
	bool part(const char *library);
	cudnnStatus_t status = 0;
	Ref<Dnn> dnn;

	// descriptor finds a descriptor that has been set; a null result means: return status.
	template <class T> const T *descriptor(const void *h, const char *name, bool set = true) {
		Ref<T> d = descriptors<T>().find(h);
		if (d && (d->set || !set)) return d.get();
		const char *what = d ? "was never set" : descriptors<T>().destroyed(h) ? "was destroyed" : h ? "is no descriptor of its kind" : "is null";
		status = wrong(Status::BadParam, d ? kind::descriptor : kind::handle, std::string(name) + " " + what);
		return nullptr;
	}
};

#define DNN_BEGIN(needs)                        \
	static ::sim::Function function_(__func__); \
	::sim::DnnCall call(function_, needs);      \
	if (cudnnStatus_t s_ = call.failed()) return s_
#define DNN_CALL(needs) \
	DNN_BEGIN(needs);   \
	if (!call.handle(handle)) return call.status
// FIND declares the descriptor behind a handle, or returns.
#define FIND(type, variable, handle_)                                \
	const type *variable = call.descriptor<type>(handle_, #handle_); \
	if (!variable) return call.status

// ---- Tensors in memory -------------------------------------------------------------

// Array holds the elements of a tensor in float32, [n][h][w][c] without gaps.
using Array = std::vector<float>;

// Tensor is a tensor in device memory.
struct Tensor {
	TensorDesc desc;
	Type type = Type::Float;
	char *data = nullptr;
	Array load() const;
	// store writes alpha*values + beta*(old values).
	void store(const Array &values, float alpha = 1, float beta = 0) const;
};

bool typeOf(cudnnDataType_t t, Type *out);
bool nhwc(const TensorDesc &d); // its strides are those of NHWC; strides of dimensions of size 1 do not matter
bool nchw(const TensorDesc &d);
bool sameShape(const TensorDesc &a, const TensorDesc &b);
std::string shape(const TensorDesc &d); // "[n,c,h,w]", for messages

// Task collects the operands of a call, and queues its work.
class Task {
public:
	explicit Task(DnnCall &c);
	// The operands. They are checked against the memory behind them.
	Tensor input(const char *name, const TensorDesc &d, const void *p);
	Tensor output(const char *name, const TensorDesc &d, void *p, float beta = 0);
	Tensor inPlace(const char *name, const TensorDesc &d, void *p); // read and written
	Tensor unchecked(const char *name, const TensorDesc &d, const void *p); // contents do not matter
	char *buffer(const char *name, const void *p, size_t bytes, Mode mode);
	// workspace checks the workspace against the size needed. Its contents are lost, as on a
	// GPU.
	void workspace(void *p, size_t bytes, size_t needed);
	void apart(const char *output, const char *input); // reports operands that overlap
	cudnnStatus_t run(std::function<void()> body);
	cudnnStatus_t status = 0; // of the operands so far

private:
	Tensor operand(const char *name, const TensorDesc &d, const void *p, Mode mode);
	void bad(Status s, const char *kind, const std::string &what);
	DnnCall &call;
	Op op;
	char *scratch = nullptr;
	size_t scratchBytes = 0;
};

// scalar reads alpha or beta, which are float32 for all types here.
inline float scalar(const void *p) {
	float f;
	memcpy(&f, p, sizeof f);
	return f;
}

// SCALARS ends the call if one of them is null.
#define SCALARS(a, b) \
	if (!(a) || !(b)) return call.wrong(Status::BadParam, kind::argument, #a " or " #b " is null")

// ---- Elementwise functions that several operations use ------------------------------

float activate(const ActivationDesc &a, float x);

} // namespace sim
