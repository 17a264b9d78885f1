// Tensors of the software cuDNN: layouts, the memory that a descriptor covers, loads and stores.
#include "dnn.h"

#include <algorithm>

namespace sim {

bool typeOf(cudnnDataType_t t, Type *out) {
	switch (t) {
	case CUDNN_DATA_FLOAT: *out = Type::Float; return true;
	case CUDNN_DATA_HALF: *out = Type::Half; return true;
	case CUDNN_DATA_BFLOAT16: *out = Type::BFloat16; return true;
	default: return false;
	}
}

namespace {

struct Dimension {
	int size, stride;
};

// inOrder reports whether the strides describe a tensor without gaps. The innermost dimension
// comes first.
bool inOrder(std::initializer_list<Dimension> innermostFirst) {
	long long want = 1;
	for (Dimension d : innermostFirst) {
		if (d.size != 1 && d.stride != want) return false;
		want *= d.size;
	}
	return true;
}

// runs appends to uses the memory that the dimensions from i on cover, sorted by decreasing
// stride.
void runs(const std::vector<Dimension> &dims, size_t i, Use use, size_t elementBytes, std::vector<Use> *uses) {
	// Innermost dimensions without gaps form one run.
	size_t inner = dims.size();
	size_t elements = 1;
	while (inner > i && size_t(dims[inner - 1].stride) == elements) elements *= size_t(dims[--inner].size);
	use.bytes = elements * elementBytes;
	if (inner == i) {
		uses->push_back(use);
		return;
	}
	if (inner == i + 1) {
		use.count = size_t(dims[i].size);
		use.stride = size_t(dims[i].stride) * elementBytes;
		uses->push_back(use);
		return;
	}
	for (int k = 0; k < dims[i].size; k++) {
		runs(dims, i + 1, use, elementBytes, uses);
		use.at += Address(dims[i].stride) * elementBytes;
	}
}

std::vector<Use> usesOf(const TensorDesc &d, Use use, size_t elementBytes) {
	std::vector<Dimension> dims;
	for (Dimension x : {Dimension{d.n, d.nStride}, {d.c, d.cStride}, {d.h, d.hStride}, {d.w, d.wStride}})
		if (x.size > 1) dims.push_back(x);
	std::stable_sort(dims.begin(), dims.end(), [](Dimension a, Dimension b) { return a.stride > b.stride; });
	std::vector<Use> uses;
	runs(dims, 0, use, elementBytes, &uses);
	return uses;
}

size_t extent(const TensorDesc &d) {
	return 1 + size_t(d.n - 1) * d.nStride + size_t(d.c - 1) * d.cStride + size_t(d.h - 1) * d.hStride + size_t(d.w - 1) * d.wStride;
}

} // namespace

bool nhwc(const TensorDesc &d) { return inOrder({{d.c, d.cStride}, {d.w, d.wStride}, {d.h, d.hStride}, {d.n, d.nStride}}); }
bool nchw(const TensorDesc &d) { return inOrder({{d.w, d.wStride}, {d.h, d.hStride}, {d.c, d.cStride}, {d.n, d.nStride}}); }

bool sameShape(const TensorDesc &a, const TensorDesc &b) { return a.n == b.n && a.c == b.c && a.h == b.h && a.w == b.w; }

std::string shape(const TensorDesc &d) { return text("[%d,%d,%d,%d]", d.n, d.c, d.h, d.w); }

TensorDesc FilterDesc::tensor() const {
	TensorDesc t;
	t.set = true;
	t.type = type;
	t.n = k;
	t.c = c;
	t.h = h;
	t.w = w;
	t.nStride = c * h * w;
	bool channelsLast = format == CUDNN_TENSOR_NHWC;
	t.cStride = channelsLast ? 1 : h * w;
	t.hStride = channelsLast ? w * c : w;
	t.wStride = channelsLast ? c : 1;
	return t;
}

Array Tensor::load() const {
	Array a(desc.elements());
	size_t bytes = bytesOf(type), c = size_t(desc.c);
	if (nhwc(desc)) {
		loadRun(type, data, 1, a.size(), a.data());
		return a;
	}
	float *to = a.data();
	for (int n = 0; n < desc.n; n++)
		for (int h = 0; h < desc.h; h++)
			for (int w = 0; w < desc.w; w++, to += c) {
				size_t at = size_t(n) * desc.nStride + size_t(h) * desc.hStride + size_t(w) * desc.wStride;
				loadRun(type, data + at * bytes, size_t(desc.cStride), c, to);
			}
	return a;
}

void Tensor::store(const Array &values, float alpha, float beta) const {
	size_t bytes = bytesOf(type);
	if (nhwc(desc) && type == Type::Float && alpha == 1 && beta == 0) {
		memcpy(data, values.data(), 4 * values.size());
		return;
	}
	const float *from = values.data();
	for (int n = 0; n < desc.n; n++)
		for (int h = 0; h < desc.h; h++)
			for (int w = 0; w < desc.w; w++) {
				size_t at = size_t(n) * desc.nStride + size_t(h) * desc.hStride + size_t(w) * desc.wStride;
				for (int c = 0; c < desc.c; c++) blend(type, data + (at + size_t(c) * desc.cStride) * bytes, *from++, alpha, beta);
			}
}

Task::Task(DnnCall &c) : call(c) {
	op.name = call.name();
	op.launch = true;
}

void Task::bad(Status s, const char *kind, const std::string &what) {
	if (!status) status = call.wrong(s, kind, what);
}

Tensor Task::operand(const char *name, const TensorDesc &d, const void *p, Mode mode) {
	Tensor t;
	t.desc = d;
	if (status) return t;
	if (!typeOf(d.type, &t.type)) {
		status = call.unsupported(text("%s has data type %d", name, int(d.type)));
		return t;
	}
	if (!p) {
		bad(Status::BadParam, kind::pointer, text("%s is the null pointer", name));
		return t;
	}
	size_t bytes = bytesOf(t.type), needed = extent(d) * bytes;
	if (Address(p) % bytes) {
		bad(Status::BadParam, kind::argument, text("%s is not aligned to its %zu-byte elements", name, bytes));
		return t;
	}
	Ref<Allocation> a = allocationAt(Address(p));
	if (a && needed > a->bytes - size_t(Address(p) - a->base)) {
		bad(Status::BadParam, kind::descriptor, text("%s %s of %s needs %s", name, shape(d).c_str(), nameOf(t.type), describe(Address(p), needed).c_str()));
		return t;
	}
	for (Use &u : usesOf(d, {mode, Address(p), 0, name, 1, 0, nullptr}, bytes)) {
		if (resolve(call, u)) {
			status = codeOf(Status::BadParam);
			return t;
		}
		op.uses.push_back(u);
	}
	t.data = static_cast<char *>(view(Address(p)));
	return t;
}

Tensor Task::input(const char *name, const TensorDesc &d, const void *p) { return operand(name, d, p, Mode::Read); }
Tensor Task::output(const char *name, const TensorDesc &d, void *p, float beta) { return operand(name, d, p, beta != 0 ? Mode::ReadWrite : Mode::Write); }
Tensor Task::inPlace(const char *name, const TensorDesc &d, void *p) { return operand(name, d, p, Mode::ReadWrite); }
Tensor Task::unchecked(const char *name, const TensorDesc &d, const void *p) { return operand(name, d, p, Mode::Touch); }

char *Task::buffer(const char *name, const void *p, size_t bytes, Mode mode) {
	if (status || bytes == 0) return nullptr;
	Use u = {mode, Address(p), bytes, name, 1, 0, nullptr};
	if (resolve(call, u)) {
		status = codeOf(Status::BadParam);
		return nullptr;
	}
	op.uses.push_back(u);
	return static_cast<char *>(view(Address(p)));
}

void Task::workspace(void *p, size_t bytes, size_t needed) {
	if (status) return;
	if (bytes < needed || (needed && !p)) {
		bad(Status::BadParam, kind::argument, text("a workspace of %zu bytes, needed are %zu", p ? bytes : 0, needed));
		return;
	}
	scratch = buffer("workSpace", p, needed, Mode::Touch);
	scratchBytes = scratch ? needed : 0;
}

void Task::apart(const char *output, const char *input) {
	for (const Use &a : op.uses)
		for (const Use &b : op.uses)
			if (a.name == output && b.name == input && a.at < b.at + b.extent() && b.at < a.at + a.extent())
				return bad(Status::BadParam, kind::argument, text("%s overlaps %s", output, input));
}

cudnnStatus_t Task::run(std::function<void()> body) {
	if (status) return status;
	Ref<Stream> s = call.stream(call.dnn->stream);
	if (!s) return codeOf(Status::ExecutionFailed);
	char *p = scratch;
	size_t bytes = scratchBytes;
	op.run = [body = std::move(body), p, bytes] {
		if (bytes) memset(p, 0xFF, bytes); // NaN, to expose code that expects the workspace to keep its contents
		body();
		return CUDA_SUCCESS;
	};
	return enqueue(call, s, std::move(op)) == CUDA_SUCCESS ? 0 : codeOf(Status::ExecutionFailed);
}

} // namespace sim
