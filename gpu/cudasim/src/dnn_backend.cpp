// The software cuDNN: descriptors of the graph interface. The attributes of a descriptor, their types and numbers
// of elements, and which are required follow cuDNN's documentation. The real library accepts some of what is
// reported here.
#include "dnn_backend.h"

using namespace sim;

namespace {

enum Access { Required, Optional, ReadOnly };

struct Rule {
	cudnnBackendDescriptorType_t descriptor;
	cudnnBackendAttributeName_t name;
	const char *text;
	cudnnBackendAttributeType_t type;
	int64_t least, most; // elements
	Access access;
};

constexpr int64_t any = 1 << 20;

#define RULE(descriptor, name, type, least, most, access) \
	{CUDNN_BACKEND_##descriptor##_DESCRIPTOR, CUDNN_ATTR_##name, "CUDNN_ATTR_" #name, CUDNN_TYPE_##type, least, most, access}
#define OPERATION(descriptor, prefix, x, w, y)                                          \
	RULE(OPERATION_CONVOLUTION_##descriptor, prefix##_ALPHA, FLOAT, 1, 1, Required),     \
	RULE(OPERATION_CONVOLUTION_##descriptor, prefix##_BETA, FLOAT, 1, 1, Required),      \
	RULE(OPERATION_CONVOLUTION_##descriptor, prefix##_CONV_DESC, BACKEND_DESCRIPTOR, 1, 1, Required), \
	RULE(OPERATION_CONVOLUTION_##descriptor, prefix##_##x, BACKEND_DESCRIPTOR, 1, 1, Required), \
	RULE(OPERATION_CONVOLUTION_##descriptor, prefix##_##w, BACKEND_DESCRIPTOR, 1, 1, Required), \
	RULE(OPERATION_CONVOLUTION_##descriptor, prefix##_##y, BACKEND_DESCRIPTOR, 1, 1, Required)

const Rule rules[] = {
	RULE(TENSOR, TENSOR_UNIQUE_ID, INT64, 1, 1, Required),
	RULE(TENSOR, TENSOR_DATA_TYPE, DATA_TYPE, 1, 1, Required),
	RULE(TENSOR, TENSOR_BYTE_ALIGNMENT, INT64, 1, 1, Required),
	RULE(TENSOR, TENSOR_DIMENSIONS, INT64, 1, 8, Required),
	RULE(TENSOR, TENSOR_STRIDES, INT64, 1, 8, Required),
	RULE(TENSOR, TENSOR_IS_VIRTUAL, BOOLEAN, 1, 1, Optional),
	RULE(CONVOLUTION, CONVOLUTION_COMP_TYPE, DATA_TYPE, 1, 1, Required),
	RULE(CONVOLUTION, CONVOLUTION_CONV_MODE, CONVOLUTION_MODE, 1, 1, Required),
	RULE(CONVOLUTION, CONVOLUTION_SPATIAL_DIMS, INT64, 1, 1, Required),
	RULE(CONVOLUTION, CONVOLUTION_DILATIONS, INT64, 1, 8, Required),
	RULE(CONVOLUTION, CONVOLUTION_FILTER_STRIDES, INT64, 1, 8, Required),
	RULE(CONVOLUTION, CONVOLUTION_PRE_PADDINGS, INT64, 1, 8, Required),
	RULE(CONVOLUTION, CONVOLUTION_POST_PADDINGS, INT64, 1, 8, Required),
	RULE(POINTWISE, POINTWISE_MODE, POINTWISE_MODE, 1, 1, Required),
	RULE(POINTWISE, POINTWISE_MATH_PREC, DATA_TYPE, 1, 1, Required),
	RULE(POINTWISE, POINTWISE_NAN_PROPAGATION, NAN_PROPOGATION, 1, 1, Optional),
	OPERATION(FORWARD, OPERATION_CONVOLUTION_FORWARD, X, W, Y),
	OPERATION(BACKWARD_DATA, OPERATION_CONVOLUTION_BWD_DATA, DX, W, DY),
	OPERATION(BACKWARD_FILTER, OPERATION_CONVOLUTION_BWD_FILTER, X, DW, DY),
	RULE(OPERATION_POINTWISE, OPERATION_POINTWISE_PW_DESCRIPTOR, BACKEND_DESCRIPTOR, 1, 1, Required),
	RULE(OPERATION_POINTWISE, OPERATION_POINTWISE_XDESC, BACKEND_DESCRIPTOR, 1, 1, Required),
	RULE(OPERATION_POINTWISE, OPERATION_POINTWISE_BDESC, BACKEND_DESCRIPTOR, 1, 1, Optional),
	RULE(OPERATION_POINTWISE, OPERATION_POINTWISE_YDESC, BACKEND_DESCRIPTOR, 1, 1, Required),
	RULE(OPERATIONGRAPH, OPERATIONGRAPH_HANDLE, HANDLE, 1, 1, Required),
	RULE(OPERATIONGRAPH, OPERATIONGRAPH_OPS, BACKEND_DESCRIPTOR, 1, any, Required),
	RULE(OPERATIONGRAPH, OPERATIONGRAPH_ENGINE_GLOBAL_COUNT, INT64, 1, 1, ReadOnly),
	RULE(ENGINEHEUR, ENGINEHEUR_OPERATION_GRAPH, BACKEND_DESCRIPTOR, 1, 1, Required),
	RULE(ENGINEHEUR, ENGINEHEUR_MODE, HEUR_MODE, 1, 1, Required),
	RULE(ENGINEHEUR, ENGINEHEUR_RESULTS, BACKEND_DESCRIPTOR, 0, any, ReadOnly),
	RULE(ENGINECFG, ENGINECFG_ENGINE, BACKEND_DESCRIPTOR, 1, 1, Required),
	RULE(ENGINE, ENGINE_OPERATION_GRAPH, BACKEND_DESCRIPTOR, 1, 1, Required),
	RULE(ENGINE, ENGINE_GLOBAL_INDEX, INT64, 1, 1, Required),
	RULE(ENGINE, ENGINE_NUMERICAL_NOTE, NUMERICAL_NOTE, 0, any, ReadOnly),
	RULE(EXECUTION_PLAN, EXECUTION_PLAN_HANDLE, HANDLE, 1, 1, Required),
	RULE(EXECUTION_PLAN, EXECUTION_PLAN_ENGINE_CONFIG, BACKEND_DESCRIPTOR, 1, 1, Required),
	RULE(EXECUTION_PLAN, EXECUTION_PLAN_WORKSPACE_SIZE, INT64, 1, 1, ReadOnly),
	RULE(VARIANT_PACK, VARIANT_PACK_UNIQUE_IDS, INT64, 1, any, Required),
	RULE(VARIANT_PACK, VARIANT_PACK_DATA_POINTERS, VOID_PTR, 1, any, Required),
	RULE(VARIANT_PACK, VARIANT_PACK_WORKSPACE, VOID_PTR, 1, 1, Required),
};

// The type of descriptor that an attribute takes; for a graph, all operations.
struct Holds {
	cudnnBackendAttributeName_t name;
	std::vector<cudnnBackendDescriptorType_t> types;
};

const Holds *holdsOf(cudnnBackendAttributeName_t name) {
	static const std::vector<Holds> all = {
		{CUDNN_ATTR_OPERATIONGRAPH_OPS, {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
			CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR}},
		{CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR}},
		{CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR}},
		{CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR}},
		{CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, {CUDNN_BACKEND_POINTWISE_DESCRIPTOR}},
		{CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, {CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR}},
		{CUDNN_ATTR_ENGINEHEUR_RESULTS, {CUDNN_BACKEND_ENGINECFG_DESCRIPTOR}},
		{CUDNN_ATTR_ENGINE_OPERATION_GRAPH, {CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR}},
		{CUDNN_ATTR_ENGINECFG_ENGINE, {CUDNN_BACKEND_ENGINE_DESCRIPTOR}},
		{CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, {CUDNN_BACKEND_ENGINECFG_DESCRIPTOR}},
		{cudnnBackendAttributeName_t(-1), {CUDNN_BACKEND_TENSOR_DESCRIPTOR}}, // all other attributes
	};
	for (const Holds &h : all)
		if (h.name == name) return &h;
	return &all.back();
}

bool holds(cudnnBackendAttributeName_t name, cudnnBackendDescriptorType_t type) {
	for (auto t : holdsOf(name)->types)
		if (t == type) return true;
	return false;
}

bool known(cudnnBackendDescriptorType_t type) {
	for (const Rule &r : rules)
		if (r.descriptor == type) return true;
	return false;
}

// ruleFor returns the rule for an attribute of a descriptor, or reports that the descriptor has no such attribute.
const Rule *ruleFor(DnnCall &call, const BackendDesc &d, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type) {
	auto wrong = [&](const std::string &what) {
		call.status = call.wrong(Status::BadParam, kind::argument, what);
		return nullptr;
	};
	for (const Rule &r : rules) {
		if (r.descriptor != d.type || r.name != name) continue;
		bool real = r.type == CUDNN_TYPE_FLOAT && type == CUDNN_TYPE_DOUBLE;
		return r.type == type || real ? &r : wrong(text("%s has elements of type %d, not %d", r.text, int(r.type), int(type)));
	}
	return wrong(text("descriptors of type %d have no attribute %d", int(d.type), int(name)));
}

size_t bytesOf(cudnnBackendAttributeType_t t) {
	switch (t) {
	case CUDNN_TYPE_HANDLE:
	case CUDNN_TYPE_INT64:
	case CUDNN_TYPE_DOUBLE:
	case CUDNN_TYPE_VOID_PTR:
	case CUDNN_TYPE_BACKEND_DESCRIPTOR: return 8;
	case CUDNN_TYPE_BOOLEAN: return 1;
	default: return 4;
	}
}

int64_t integerAt(const char *from, size_t bytes) {
	int64_t wide = 0;
	int32_t narrow = 0;
	if (bytes == 4) return memcpy(&narrow, from, 4), narrow;
	return memcpy(&wide, from, bytes), wide;
}

Ref<BackendDesc> find(DnnCall &call, const void *h, const char *what) {
	if (!call.descriptor<BackendDesc>(h, what, false)) return nullptr;
	return descriptors<BackendDesc>().find(h);
}

// read copies the elements of an attribute.
bool read(DnnCall &call, const Rule &r, cudnnBackendAttributeType_t type, int64_t count, const void *elements, Value *to) {
	const char *from = static_cast<const char *>(elements);
	for (int64_t i = 0; i < count; i++, from += bytesOf(type)) {
		if (type == CUDNN_TYPE_FLOAT) {
			to->reals.push_back(scalar(from));
		} else if (type == CUDNN_TYPE_DOUBLE) {
			double f;
			memcpy(&f, from, 8);
			to->reals.push_back(f);
		} else if (type != CUDNN_TYPE_BACKEND_DESCRIPTOR) {
			to->numbers.push_back(integerAt(from, bytesOf(type)));
		} else {
			void *h;
			memcpy(&h, from, sizeof h);
			Ref<BackendDesc> d = find(call, h, r.text);
			if (!d) return false;
			if (!holds(r.name, d->type)) {
				call.status = call.wrong(Status::BadParam, kind::abort, text("%s takes no descriptor of type %d; the real library may end the process here", r.text, int(d->type)));
				return false;
			}
			if (!d->finalized) {
				call.status = call.wrong(Status::BadParam, kind::descriptor, std::string(r.text) + " was given a descriptor that is not finalised");
				return false;
			}
			to->descriptors.push_back(d);
		}
	}
	return true;
}

// give fills in a program's descriptor from one that the library made.
bool give(DnnCall &call, const Rule &r, void *element, BackendDesc made) {
	void *h;
	memcpy(&h, element, sizeof h);
	Ref<BackendDesc> d = find(call, h, r.text);
	if (!d) return false;
	if (d->finalized || !holds(r.name, d->type)) {
		call.status = call.wrong(Status::BadParam, kind::descriptor, std::string(r.text) + " fills in descriptors of its type that are not finalised");
		return false;
	}
	made.type = d->type;
	made.finalized = true;
	*d = std::move(made);
	return true;
}

// The handle must still exist when its graphs and plans are used.
void listPlans() {
	static bool listed;
	if (listed) return;
	listed = true;
	engine().holders.push_back([](Context *c) {
		std::vector<std::string> all;
		for (auto &[h, d] : descriptors<BackendDesc>().live)
			if (d->context == c) {
				all.push_back(text("cuDNN %s %p was not destroyed", d->type == CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR ? "execution plan" : "operation graph", h));
				d->context = nullptr;
			}
		return all;
	});
}

// FIND_BACKEND declares the descriptor behind a handle, or returns.
#define FIND_BACKEND(variable, handle_)                        \
	Ref<BackendDesc> variable = find(call, handle_, #handle_); \
	if (!variable) return call.status

} // namespace

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t descriptorType, cudnnBackendDescriptor_t *descriptor) {
	DNN_BEGIN(Nothing);
	if (!descriptor) return call.wrong(Status::BadParam, kind::argument, "descriptor is null");
	if (!known(descriptorType)) return call.unsupported(text("the emulation has no descriptors of type %d", int(descriptorType)));
	auto d = std::make_shared<BackendDesc>();
	d->type = descriptorType;
	*descriptor = descriptors<BackendDesc>().add(d);
	return 0;
}

cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t descriptor) {
	DNN_BEGIN(Nothing);
	FIND_BACKEND(d, descriptor);
	descriptors<BackendDesc>().remove(descriptor);
	return 0;
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t attributeName,
	cudnnBackendAttributeType_t attributeType, int64_t elementCount, const void *arrayOfElements) {
	DNN_BEGIN(Nothing);
	FIND_BACKEND(d, descriptor);
	const Rule *r = ruleFor(call, *d, attributeName, attributeType);
	if (!r) return call.status;
	if (d->finalized) return call.wrong(Status::BadParam, kind::descriptor, std::string(r->text) + " is set after the descriptor was finalised");
	if (r->access == ReadOnly) return call.wrong(Status::BadParam, kind::argument, std::string(r->text) + " can only be read");
	if (elementCount < r->least || elementCount > r->most)
		return call.wrong(Status::BadParam, kind::argument, text("%s has %lld elements, not %lld", r->text, (long long)r->most, (long long)elementCount));
	if (!arrayOfElements) return call.wrong(Status::BadParam, kind::argument, "arrayOfElements is null");
	Value v;
	if (!read(call, *r, attributeType, elementCount, arrayOfElements, &v)) return call.status;
	d->attributes[attributeName] = std::move(v);
	return 0;
}

cudnnStatus_t cudnnBackendGetAttribute(const cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t attributeName,
	cudnnBackendAttributeType_t attributeType, int64_t requestedElementCount, int64_t *elementCount, void *arrayOfElements) {
	DNN_BEGIN(Nothing);
	FIND_BACKEND(d, descriptor);
	const Rule *r = ruleFor(call, *d, attributeName, attributeType);
	if (!r) return call.status;
	if (!d->finalized) return call.wrong(Status::NotInitialized, kind::descriptor, std::string(r->text) + " is read before the descriptor is finalised");
	if (requestedElementCount < 0 || (requestedElementCount > 0 && !arrayOfElements))
		return call.wrong(Status::BadParam, kind::argument, text("%lld elements are asked for, to be written to %p", (long long)requestedElementCount, arrayOfElements));
	std::vector<int64_t> numbers;
	std::vector<BackendDesc> made;
	switch (int(attributeName)) {
	case CUDNN_ATTR_OPERATIONGRAPH_ENGINE_GLOBAL_COUNT: numbers = {80}; break;
	case CUDNN_ATTR_ENGINE_GLOBAL_INDEX: numbers = {d->engines[0].number}; break;
	case CUDNN_ATTR_ENGINE_NUMERICAL_NOTE: numbers.assign(d->engines[0].notes.begin(), d->engines[0].notes.end()); break;
	case CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE: numbers = {int64_t(d->engines[0].workspace)}; break;
	case CUDNN_ATTR_ENGINEHEUR_RESULTS:
	case CUDNN_ATTR_ENGINECFG_ENGINE:
		for (const GraphEngine &e : d->engines) {
			made.emplace_back();
			made.back().graph = d->graph;
			made.back().engines = {e};
		}
		break;
	default: return call.unsupported(text("the emulation does not read %s", r->text));
	}
	char *to = static_cast<char *>(arrayOfElements);
	size_t count = numbers.size() + made.size(), bytes = bytesOf(attributeType);
	if (elementCount) *elementCount = int64_t(count);
	for (size_t i = 0; i < count && i < size_t(requestedElementCount); i++, to += bytes) {
		if (i < numbers.size()) memcpy(to, &numbers[i], bytes); // little-endian
		else if (!give(call, *r, to, made[i])) return call.status;
	}
	return 0;
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t descriptor) {
	DNN_BEGIN(Nothing);
	FIND_BACKEND(d, descriptor);
	if (d->finalized) return call.wrong(Status::BadParam, kind::descriptor, "the descriptor is finalised already");
	for (const Rule &r : rules)
		if (r.descriptor == d->type && r.access == Required && !d->has(r.name))
			return call.wrong(Status::BadParam, kind::descriptor, std::string(r.text) + " was never set");
	for (int name : {CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_ATTR_EXECUTION_PLAN_HANDLE}) {
		if (!d->has(name)) continue;
		call.context = currentContext();
		if (!call.context) return call.wrong(Status::BadParam, kind::context, "no context is current");
		if (!call.handle(cudnnHandle_t(d->number(name)))) return call.status;
		d->context = call.context.get();
		listPlans();
	}
	if (cudnnStatus_t s = finalise(call, *d)) {
		d->context = nullptr;
		return s;
	}
	d->finalized = true;
	return 0;
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t executionPlan, cudnnBackendDescriptor_t variantPack) {
	DNN_CALL(Current | Queues);
	FIND_BACKEND(plan, executionPlan);
	FIND_BACKEND(pack, variantPack);
	if (plan->type != CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR || !plan->finalized)
		return call.wrong(Status::BadParam, kind::descriptor, "executionPlan is no finalised execution plan");
	if (pack->type != CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR || !pack->finalized)
		return call.wrong(Status::BadParam, kind::descriptor, "variantPack is no finalised variant pack");
	if (plan->context != call.context.get()) return call.wrong(Status::BadParam, kind::context, "the plan was made for a handle of another context");
	const auto &uids = pack->numbers(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS), &data = pack->numbers(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
	std::map<int64_t, void *> at;
	for (size_t i = 0; i < uids.size(); i++) at[uids[i]] = reinterpret_cast<void *>(data[i]);
	for (auto [uid, data] : at) ARGUMENTS(uid, data);
	ARGUMENTS(plan->engines[0].number, reinterpret_cast<void *>(pack->number(CUDNN_ATTR_VARIANT_PACK_WORKSPACE)));
	return execute(call, *plan, at, reinterpret_cast<void *>(pack->number(CUDNN_ATTR_VARIANT_PACK_WORKSPACE)));
}
