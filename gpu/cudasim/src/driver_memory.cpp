// The driver: memory, copies, fills.
#include "sim.h"

#include <cstring>

using namespace sim;

namespace {

// isDevice reports whether the memory is device memory, which includes managed memory, or host
// memory, pinned or not.
bool isDevice(Address p) {
	Ref<Allocation> a = allocationAt(p);
	return a && a->kind <= Allocation::Managed;
}

// ---- Copies ------------------------------------------------------------------------

enum class Side { Host, Device, Either };

// Operand is one end of a copy: memory of the emulation, or memory of the program that the emulation
// does not know (pageable).
struct Operand {
	Address at;
	bool pageable;
};

CUresult operand(Call &call, Address p, size_t bytes, Side side, const char *name, Operand *o, Use *use, Mode mode) {
	Ref<Allocation> a = allocationAt(p);
	bool host = side == Side::Host || (side == Side::Either && !a);
	*o = {p, host && !a};
	*use = {mode, p, bytes, name, 1, 0, nullptr};
	if (o->pageable) {
		use->bytes = 0;
		if (p == 0) return call.wrong(CUDA_ERROR_INVALID_VALUE, kind::pointer, std::string(name) + " is the null pointer");
		// A device pointer that was freed, or one past an allocation's end, is not host memory
		// either.
		std::string what = describe(p);
		if (what.find("which is no device memory") == std::string::npos)
			return call.wrong(CUDA_ERROR_INVALID_VALUE, kind::pointer, text("%s is %s", name, what.c_str()));
		return CUDA_SUCCESS;
	}
	if (side == Side::Host && isDevice(p))
		return call.wrong(CUDA_ERROR_INVALID_VALUE, kind::pointer, text("%s should be host memory, and is %s", name, describe(p).c_str()));
	return resolve(call, *use);
}

CUresult copy(Call &call, Address dst, Side dstSide, Address src, Side srcSide, size_t bytes, CUstream h, bool async) {
	Ref<Stream> s = call.stream(h);
	if (!s) return call.result;
	if (bytes == 0) return CUDA_SUCCESS;
	Op op;
	op.name = call.name();
	op.uses.resize(2);
	Operand to, from;
	if (CUresult r = operand(call, dst, bytes, dstSide, "dst", &to, &op.uses[0], Mode::Write)) return r;
	if (CUresult r = operand(call, src, bytes, srcSide, "src", &from, &op.uses[1], Mode::Read)) return r;
	if (!async) {
		// A copy that the host waits for invalidates a capture like any other wait.
		for (const Ref<Capture> &c : disturbed(call.context.get())) {
			if (!(c->origin->flags & CU_STREAM_NON_BLOCKING)) continue; // enqueue finds these
			invalidate(c, call.name());
			return call.wrong(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, kind::capture,
				"the host would wait while a stream is being captured: the capture is invalid");
		}
	}
	bool overlap = dst < src + bytes && src < dst + bytes;
	if (overlap) return call.wrong(CUDA_ERROR_INVALID_VALUE, kind::argument, text("source and destination of %zu bytes overlap", bytes));
	void *d = view(dst);
	const void *p = view(src);
	if (from.pageable && async && !s->capture) {
		// The real driver, too, has read pageable memory when it returns.
		auto staged = std::make_shared<std::vector<char>>(static_cast<const char *>(p), static_cast<const char *>(p) + bytes);
		op.run = [d, staged] { return memcpy(d, staged->data(), staged->size()), CUDA_SUCCESS; };
	} else {
		op.run = [d, p, bytes] { return memcpy(d, p, bytes), CUDA_SUCCESS; };
	}
	if (CUresult r = enqueue(call, s, std::move(op))) return r;
	// The host does not wait for copies within the device, but always for copies to pageable memory.
	bool hostSide = !isDevice(dst) || !isDevice(src);
	if (s->capture || !(to.pageable || (!async && hostSide))) return CUDA_SUCCESS;
	Ref<Context> c = call.context;
	synchronise(call, s);
	return c->error;
}

template <class T> CUresult fill(Call &call, Address dst, T value, size_t n, CUstream h) {
	Ref<Stream> s = call.stream(h);
	if (!s) return call.result;
	if (n == 0) return CUDA_SUCCESS;
	if (dst % sizeof(T))
		return call.wrong(CUDA_ERROR_INVALID_VALUE, kind::argument, text("dstDevice %#llx is not aligned to %zu bytes", dst, sizeof(T)));
	Op op;
	op.name = call.name();
	op.uses.push_back({Mode::Write, dst, n * sizeof(T), "dstDevice", 1, 0, nullptr});
	if (CUresult r = resolve(call, op.uses[0])) return r;
	T *p = static_cast<T *>(view(dst));
	op.run = [p, value, n] {
		for (size_t i = 0; i < n; i++) p[i] = value;
		return CUDA_SUCCESS;
	};
	return enqueue(call, s, std::move(op));
}

Address at(const void *p) { return Address(p); }

// freeMemory waits for work that still uses the memory, as the driver does, and reports it.
CUresult freeMemory(Call &call, const Ref<Allocation> &a) {
	LastUse use;
	if (unknown(*a, &use))
		call.wrong(CUDA_SUCCESS, kind::sync, text("%s of %zu bytes is freed while %s, queued on stream %llu, may still use it: nothing has synchronised since",
			a->origin.c_str(), a->bytes, use.name.c_str(), (unsigned long long)use.stream));
	Ref<Context> c = call.context;
	for (size_t i = 0; i < c->streams.size(); i++) wait(call, c->streams[i], c->streams[i]->queued);
	if (!a->live) return call.wrong(CUDA_ERROR_INVALID_VALUE, kind::freed, "another thread freed it meanwhile");
	release(a, call.name());
	return CUDA_SUCCESS;
}

// exact finds the allocation that begins at p.
Ref<Allocation> exact(Call &call, Address p, bool device, const char *name) {
	Ref<Allocation> a = allocationAt(p);
	if (a && a->base == p && (a->kind <= Allocation::Managed) == device && a->kind != Allocation::Registered) return a;
	bool freed = engine().freed.count(p) != 0;
	call.result = call.wrong(CUDA_ERROR_INVALID_VALUE, freed ? kind::freed : kind::pointer,
		text("%s is %s%s", name, describe(p).c_str(), a && a->base != p ? ": want its beginning" : ""));
	return nullptr;
}

} // namespace

CUresult cuMemGetInfo_v2(size_t *free, size_t *total) {
	CALL(Current);
	NOT_NULL(free);
	NOT_NULL(total);
	const Settings &s = engine().settings;
	size_t taken = s.used + bytesInUse(call.context->device->index);
	*total = s.memory;
	*free = taken < s.memory ? s.memory - taken : 0;
	return CUDA_SUCCESS;
}

namespace {

CUresult newMemory(Call &call, CUdeviceptr *p, size_t bytes, Allocation::Kind k) {
	if (bytes == 0) return call.wrong(CUDA_ERROR_INVALID_VALUE, kind::argument, "bytesize is 0");
	Ref<Allocation> a = allocate(call, k, bytes);
	if (!a) return CUDA_ERROR_OUT_OF_MEMORY;
	*p = a->base;
	return CUDA_SUCCESS;
}

} // namespace

CUresult cuMemAlloc_v2(CUdeviceptr *dptr, size_t bytesize) {
	CALL(Current | Unsafe);
	NOT_NULL(dptr);
	return newMemory(call, dptr, bytesize, Allocation::Device);
}

CUresult cuMemAllocManaged(CUdeviceptr *dptr, size_t bytesize, unsigned flags) {
	CALL(Current | Unsafe);
	NOT_NULL(dptr);
	if (flags != CU_MEM_ATTACH_GLOBAL && flags != CU_MEM_ATTACH_HOST)
		return call.wrong(CUDA_ERROR_INVALID_VALUE, kind::argument, text("flags are %u", flags));
	CUresult r = newMemory(call, dptr, bytesize, Allocation::Managed);
	if (r == CUDA_SUCCESS) allocationAt(*dptr)->written.mark(0, bytesize); // the emulation does not see what the host writes
	return r;
}

CUresult cuMemFree_v2(CUdeviceptr dptr) {
	CALL(Current | Unsafe);
	if (dptr == 0) return CUDA_SUCCESS;
	Ref<Allocation> a = exact(call, dptr, true, "dptr");
	return a ? freeMemory(call, a) : call.result;
}

CUresult cuMemGetAddressRange_v2(CUdeviceptr *pbase, size_t *psize, CUdeviceptr dptr) {
	CALL(Current);
	Ref<Allocation> a = allocationAt(dptr);
	if (!a) return CUDA_ERROR_NOT_FOUND;
	if (pbase) *pbase = a->base;
	if (psize) *psize = a->bytes;
	return CUDA_SUCCESS;
}

CUresult cuMemHostAlloc(void **pp, size_t bytesize, unsigned) {
	CALL(Current | Unsafe);
	NOT_NULL(pp);
	CUdeviceptr p = 0;
	CUresult r = newMemory(call, &p, bytesize, Allocation::Pinned);
	*pp = reinterpret_cast<void *>(p);
	return r;
}

CUresult cuMemFreeHost(void *p) {
	CALL(Current | Unsafe);
	Ref<Allocation> a = exact(call, at(p), false, "p");
	return a ? freeMemory(call, a) : call.result;
}

CUresult cuMemHostRegister_v2(void *p, size_t bytesize, unsigned) {
	CALL(Current | Unsafe);
	NOT_NULL(p);
	if (bytesize == 0) return call.wrong(CUDA_ERROR_INVALID_VALUE, kind::argument, "bytesize is 0");
	Engine &e = engine();
	auto next = e.live.lower_bound(at(p));
	if (allocationAt(at(p)) || (next != e.live.end() && next->first < at(p) + bytesize)) return CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
	auto a = std::make_shared<Allocation>(Allocation::Registered, bytesize);
	a->base = at(p);
	a->data = static_cast<char *>(p);
	a->context = call.context.get();
	a->origin = text("%s number %llu", call.name().c_str(), (unsigned long long)e.nextAllocation++);
	a->written.mark(0, bytesize);
	e.live[a->base] = a;
	return CUDA_SUCCESS;
}

CUresult cuMemHostUnregister(void *p) {
	CALL(Current | Unsafe);
	Ref<Allocation> a = allocationAt(at(p));
	if (!a || a->kind != Allocation::Registered || a->base != at(p))
		return call.wrong(CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED, kind::pointer, text("p is %s", describe(at(p)).c_str()));
	return freeMemory(call, a);
}

CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr *pdptr, void *p, unsigned) {
	CALL(Current);
	NOT_NULL(pdptr);
	Ref<Allocation> a = allocationAt(at(p));
	if (!a || a->kind < Allocation::Pinned)
		return call.wrong(CUDA_ERROR_INVALID_VALUE, kind::pointer, text("p is %s", describe(at(p)).c_str()));
	*pdptr = at(p);
	return CUDA_SUCCESS;
}

CUresult cuPointerGetAttribute(void *data, CUpointer_attribute attribute, CUdeviceptr ptr) {
	CALL(Current);
	NOT_NULL(data);
	Ref<Allocation> a = allocationAt(ptr);
	if (!a) return CUDA_ERROR_INVALID_VALUE;
	bool device = a->kind <= Allocation::Managed;
	switch (attribute) {
	case CU_POINTER_ATTRIBUTE_CONTEXT: *static_cast<CUcontext *>(data) = a->context->handle; break;
	case CU_POINTER_ATTRIBUTE_MEMORY_TYPE: *static_cast<unsigned *>(data) = device ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_HOST; break;
	case CU_POINTER_ATTRIBUTE_DEVICE_POINTER: *static_cast<CUdeviceptr *>(data) = ptr; break;
	case CU_POINTER_ATTRIBUTE_HOST_POINTER:
		if (a->kind == Allocation::Device) return CUDA_ERROR_INVALID_VALUE;
		*static_cast<CUdeviceptr *>(data) = ptr;
		break;
	case CU_POINTER_ATTRIBUTE_IS_MANAGED: *static_cast<unsigned *>(data) = a->kind == Allocation::Managed; break;
	case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL: *static_cast<int *>(data) = a->context->device->index; break;
	case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR: *static_cast<CUdeviceptr *>(data) = a->base; break;
	case CU_POINTER_ATTRIBUTE_RANGE_SIZE: *static_cast<size_t *>(data) = a->bytes; break;
	default: return CUDA_ERROR_NOT_SUPPORTED;
	}
	return CUDA_SUCCESS;
}

CUresult cuMemcpy(CUdeviceptr dst, CUdeviceptr src, size_t n) {
	CALL(Current | Queues);
	return copy(call, dst, Side::Either, src, Side::Either, n, nullptr, false);
}

CUresult cuMemcpyAsync(CUdeviceptr dst, CUdeviceptr src, size_t n, CUstream h) {
	CALL(Current | Queues);
	return copy(call, dst, Side::Either, src, Side::Either, n, h, true);
}

CUresult cuMemcpyHtoD_v2(CUdeviceptr dst, const void *src, size_t n) {
	CALL(Current | Queues);
	return copy(call, dst, Side::Device, at(src), Side::Host, n, nullptr, false);
}

CUresult cuMemcpyDtoH_v2(void *dst, CUdeviceptr src, size_t n) {
	CALL(Current | Queues);
	return copy(call, at(dst), Side::Host, src, Side::Device, n, nullptr, false);
}

CUresult cuMemcpyDtoD_v2(CUdeviceptr dst, CUdeviceptr src, size_t n) {
	CALL(Current | Queues);
	return copy(call, dst, Side::Device, src, Side::Device, n, nullptr, false);
}

CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr dst, const void *src, size_t n, CUstream h) {
	CALL(Current | Queues);
	return copy(call, dst, Side::Device, at(src), Side::Host, n, h, true);
}

CUresult cuMemcpyDtoHAsync_v2(void *dst, CUdeviceptr src, size_t n, CUstream h) {
	CALL(Current | Queues);
	return copy(call, at(dst), Side::Host, src, Side::Device, n, h, true);
}

CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr dst, CUdeviceptr src, size_t n, CUstream h) {
	CALL(Current | Queues);
	return copy(call, dst, Side::Device, src, Side::Device, n, h, true);
}

CUresult cuMemsetD8_v2(CUdeviceptr dst, unsigned char v, size_t n) {
	CALL(Current | Queues);
	return fill(call, dst, v, n, nullptr);
}

CUresult cuMemsetD16_v2(CUdeviceptr dst, unsigned short v, size_t n) {
	CALL(Current | Queues);
	return fill(call, dst, v, n, nullptr);
}

CUresult cuMemsetD32_v2(CUdeviceptr dst, unsigned v, size_t n) {
	CALL(Current | Queues);
	return fill(call, dst, v, n, nullptr);
}

CUresult cuMemsetD8Async(CUdeviceptr dst, unsigned char v, size_t n, CUstream h) {
	CALL(Current | Queues);
	return fill(call, dst, v, n, h);
}

CUresult cuMemsetD16Async(CUdeviceptr dst, unsigned short v, size_t n, CUstream h) {
	CALL(Current | Queues);
	return fill(call, dst, v, n, h);
}

CUresult cuMemsetD32Async(CUdeviceptr dst, unsigned v, size_t n, CUstream h) {
	CALL(Current | Queues);
	return fill(call, dst, v, n, h);
}
