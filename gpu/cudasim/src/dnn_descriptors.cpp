// The software cuDNN: descriptors.
#include "dnn.h"

using namespace sim;

// CREATE_DESTROY defines the pair of functions for one kind of descriptor.
#define CREATE_DESTROY(kind_, type)                                                           \
	cudnnStatus_t cudnnCreate##kind_##Descriptor(cudnn##kind_##Descriptor_t *descriptor) {     \
		DNN_BEGIN(Nothing);                                                                    \
		if (!descriptor) return call.wrong(Status::BadParam, kind::argument, "descriptor is null"); \
		*descriptor = cudnn##kind_##Descriptor_t(descriptors<type>().add(std::make_shared<type>())); \
		return 0;                                                                              \
	}                                                                                          \
	cudnnStatus_t cudnnDestroy##kind_##Descriptor(cudnn##kind_##Descriptor_t descriptor) {     \
		DNN_BEGIN(Nothing);                                                                    \
		if (!call.descriptor<type>(descriptor, "the descriptor", false)) return call.status;   \
		descriptors<type>().remove(descriptor);                                                \
		return 0;                                                                              \
	}

CREATE_DESTROY(Tensor, TensorDesc)
CREATE_DESTROY(Filter, FilterDesc)
CREATE_DESTROY(Convolution, ConvolutionDesc)
CREATE_DESTROY(Pooling, PoolingDesc)
CREATE_DESTROY(Activation, ActivationDesc)
CREATE_DESTROY(OpTensor, OpTensorDesc)
CREATE_DESTROY(ReduceTensor, ReduceDesc)
CREATE_DESTROY(Dropout, DropoutDesc)

namespace {

// settable finds the descriptor to set.
template <class T> T *settable(DnnCall &call, const void *h) {
	return const_cast<T *>(call.descriptor<T>(h, "the descriptor", false));
}

cudnnStatus_t positive(DnnCall &call, std::initializer_list<int> dims) {
	for (int d : dims)
		if (d < 1) return call.wrong(Status::BadParam, kind::descriptor, text("a dimension of %d", d));
	return 0;
}

cudnnStatus_t setTensor(DnnCall &call, cudnnTensorDescriptor_t h, TensorDesc d) {
	TensorDesc *t = settable<TensorDesc>(call, h);
	if (!t) return call.status;
	if (cudnnStatus_t s = positive(call, {d.n, d.c, d.h, d.w})) return s;
	if (d.nStride < 1 || d.cStride < 1 || d.hStride < 1 || d.wStride < 1)
		return call.wrong(Status::BadParam, kind::descriptor, text("strides of %d, %d, %d, %d", d.nStride, d.cStride, d.hStride, d.wStride));
	d.set = true;
	*t = d;
	return 0;
}

// packed sets the strides of a tensor for a format, without gaps.
bool packed(TensorDesc *d, cudnnTensorFormat_t format) {
	if (format == CUDNN_TENSOR_NHWC) {
		d->cStride = 1;
		d->wStride = d->c;
		d->hStride = d->w * d->c;
	} else if (format == CUDNN_TENSOR_NCHW) {
		d->wStride = 1;
		d->hStride = d->w;
		d->cStride = d->h * d->w;
	} else {
		return false;
	}
	d->nStride = d->c * d->h * d->w;
	return true;
}

cudnnStatus_t tooMany(DnnCall &call, int nbDims) { return call.unsupported(text("%d dimensions: the emulation has 3 or 4", nbDims)); }

} // namespace

// ---- Tensors and filters -----------------------------------------------------------

cudnnStatus_t cudnnSetTensor4dDescriptor(cudnnTensorDescriptor_t tensorDesc, cudnnTensorFormat_t format, cudnnDataType_t dataType,
	int n, int c, int h, int w) {
	DNN_BEGIN(Nothing);
	ARGUMENTS(format, dataType, n, c, h, w);
	TensorDesc d;
	d.type = dataType;
	d.n = n;
	d.c = c;
	d.h = h;
	d.w = w;
	if (cudnnStatus_t s = positive(call, {n, c, h, w})) return s;
	if (!packed(&d, format)) return call.unsupported(text("tensor format %d", int(format)));
	return setTensor(call, tensorDesc, d);
}

cudnnStatus_t cudnnSetTensor4dDescriptorEx(cudnnTensorDescriptor_t tensorDesc, cudnnDataType_t dataType, int n, int c, int h, int w,
	int nStride, int cStride, int hStride, int wStride) {
	DNN_BEGIN(Nothing);
	return setTensor(call, tensorDesc, {true, dataType, n, c, h, w, nStride, cStride, hStride, wStride});
}

cudnnStatus_t cudnnSetTensorNdDescriptor(cudnnTensorDescriptor_t tensorDesc, cudnnDataType_t dataType, int nbDims, const int dimA[],
	const int strideA[]) {
	DNN_BEGIN(Nothing);
	if (!dimA || !strideA) return call.wrong(Status::BadParam, kind::argument, "dimA or strideA is null");
	if (nbDims < 3 || nbDims > 4) return tooMany(call, nbDims);
	bool four = nbDims == 4;
	return setTensor(call, tensorDesc, {true, dataType, dimA[0], dimA[1], dimA[2], four ? dimA[3] : 1, strideA[0], strideA[1], strideA[2],
		four ? strideA[3] : 1});
}

cudnnStatus_t cudnnSetTensorNdDescriptorEx(cudnnTensorDescriptor_t tensorDesc, cudnnTensorFormat_t format, cudnnDataType_t dataType,
	int nbDims, const int dimA[]) {
	DNN_BEGIN(Nothing);
	if (!dimA) return call.wrong(Status::BadParam, kind::argument, "dimA is null");
	if (nbDims < 3 || nbDims > 4) return tooMany(call, nbDims);
	TensorDesc d;
	d.type = dataType;
	d.n = dimA[0];
	d.c = dimA[1];
	d.h = dimA[2];
	d.w = nbDims == 4 ? dimA[3] : 1;
	if (!packed(&d, format)) return call.unsupported(text("tensor format %d", int(format)));
	return setTensor(call, tensorDesc, d);
}

cudnnStatus_t cudnnGetTensor4dDescriptor(const cudnnTensorDescriptor_t tensorDesc, cudnnDataType_t *dataType, int *n, int *c, int *h,
	int *w, int *nStride, int *cStride, int *hStride, int *wStride) {
	DNN_BEGIN(Nothing);
	FIND(TensorDesc, d, tensorDesc);
	*dataType = d->type;
	*n = d->n;
	*c = d->c;
	*h = d->h;
	*w = d->w;
	*nStride = d->nStride;
	*cStride = d->cStride;
	*hStride = d->hStride;
	*wStride = d->wStride;
	return 0;
}

cudnnStatus_t cudnnGetTensorSizeInBytes(const cudnnTensorDescriptor_t tensorDesc, size_t *size) {
	DNN_BEGIN(Nothing);
	FIND(TensorDesc, d, tensorDesc);
	Type t;
	if (!typeOf(d->type, &t)) return call.unsupported(text("data type %d", int(d->type)));
	size_t last = size_t(d->n - 1) * d->nStride + size_t(d->c - 1) * d->cStride + size_t(d->h - 1) * d->hStride + size_t(d->w - 1) * d->wStride;
	*size = (last + 1) * bytesOf(t);
	return 0;
}

cudnnStatus_t cudnnDeriveBNTensorDescriptor(cudnnTensorDescriptor_t derivedBnDesc, const cudnnTensorDescriptor_t xDesc,
	cudnnBatchNormMode_t mode) {
	DNN_BEGIN(Nothing);
	FIND(TensorDesc, x, xDesc);
	TensorDesc d;
	d.type = CUDNN_DATA_FLOAT;
	d.c = x->c;
	if (mode == CUDNN_BATCHNORM_PER_ACTIVATION) {
		d.h = x->h;
		d.w = x->w;
	}
	packed(&d, nhwc(*x) && !nchw(*x) ? CUDNN_TENSOR_NHWC : CUDNN_TENSOR_NCHW);
	return setTensor(call, derivedBnDesc, d);
}

cudnnStatus_t cudnnSetFilter4dDescriptor(cudnnFilterDescriptor_t filterDesc, cudnnDataType_t dataType, cudnnTensorFormat_t format,
	int k, int c, int h, int w) {
	DNN_BEGIN(Nothing);
	ARGUMENTS(dataType, format, k, c, h, w);
	FilterDesc *d = settable<FilterDesc>(call, filterDesc);
	if (!d) return call.status;
	if (cudnnStatus_t s = positive(call, {k, c, h, w})) return s;
	if (format != CUDNN_TENSOR_NCHW && format != CUDNN_TENSOR_NHWC) return call.unsupported(text("filter format %d", int(format)));
	*d = {true, dataType, format, k, c, h, w};
	return 0;
}

cudnnStatus_t cudnnSetFilterNdDescriptor(cudnnFilterDescriptor_t filterDesc, cudnnDataType_t dataType, cudnnTensorFormat_t format,
	int nbDims, const int filterDimA[]) {
	DNN_BEGIN(Nothing);
	FilterDesc *d = settable<FilterDesc>(call, filterDesc);
	if (!d) return call.status;
	if (!filterDimA) return call.wrong(Status::BadParam, kind::argument, "filterDimA is null");
	if (nbDims < 3 || nbDims > 4) return tooMany(call, nbDims);
	if (format != CUDNN_TENSOR_NCHW && format != CUDNN_TENSOR_NHWC) return call.unsupported(text("filter format %d", int(format)));
	int w = nbDims == 4 ? filterDimA[3] : 1;
	if (cudnnStatus_t s = positive(call, {filterDimA[0], filterDimA[1], filterDimA[2], w})) return s;
	*d = {true, dataType, format, filterDimA[0], filterDimA[1], filterDimA[2], w};
	return 0;
}

cudnnStatus_t cudnnGetFilter4dDescriptor(const cudnnFilterDescriptor_t filterDesc, cudnnDataType_t *dataType, cudnnTensorFormat_t *format,
	int *k, int *c, int *h, int *w) {
	DNN_BEGIN(Nothing);
	FIND(FilterDesc, d, filterDesc);
	*dataType = d->type;
	*format = d->format;
	*k = d->k;
	*c = d->c;
	*h = d->h;
	*w = d->w;
	return 0;
}

// ---- Convolutions ------------------------------------------------------------------

cudnnStatus_t cudnnSetConvolution2dDescriptor(cudnnConvolutionDescriptor_t convDesc, int pad_h, int pad_w, int u, int v, int dilation_h,
	int dilation_w, cudnnConvolutionMode_t mode, cudnnDataType_t computeType) {
	DNN_BEGIN(Nothing);
	ARGUMENTS(pad_h, pad_w, u, v, dilation_h, dilation_w, mode, computeType);
	ConvolutionDesc *d = settable<ConvolutionDesc>(call, convDesc);
	if (!d) return call.status;
	if (pad_h < 0 || pad_w < 0 || u < 1 || v < 1 || dilation_h < 1 || dilation_w < 1)
		return call.wrong(Status::BadParam, kind::descriptor, text("padding %d x %d, stride %d x %d, dilation %d x %d", pad_h, pad_w, u, v, dilation_h, dilation_w));
	int groups = d->groups;
	cudnnMathType_t math = d->math;
	*d = {true, pad_h, pad_w, u, v, dilation_h, dilation_w, groups, mode, computeType, math};
	return 0;
}

cudnnStatus_t cudnnSetConvolutionNdDescriptor(cudnnConvolutionDescriptor_t convDesc, int arrayLength, const int padA[],
	const int filterStrideA[], const int dilationA[], cudnnConvolutionMode_t mode, cudnnDataType_t computeType) {
	{
		DNN_BEGIN(Nothing);
		if (!padA || !filterStrideA || !dilationA) return call.wrong(Status::BadParam, kind::argument, "padA, filterStrideA or dilationA is null");
		if (arrayLength != 2) return call.unsupported(text("%d dimensions: the emulation has 2", arrayLength));
	}
	return cudnnSetConvolution2dDescriptor(convDesc, padA[0], padA[1], filterStrideA[0], filterStrideA[1], dilationA[0], dilationA[1], mode, computeType);
}

cudnnStatus_t cudnnGetConvolution2dDescriptor(const cudnnConvolutionDescriptor_t convDesc, int *pad_h, int *pad_w, int *u, int *v,
	int *dilation_h, int *dilation_w, cudnnConvolutionMode_t *mode, cudnnDataType_t *computeType) {
	DNN_BEGIN(Nothing);
	FIND(ConvolutionDesc, d, convDesc);
	*pad_h = d->padH;
	*pad_w = d->padW;
	*u = d->strideH;
	*v = d->strideW;
	*dilation_h = d->dilationH;
	*dilation_w = d->dilationW;
	*mode = d->mode;
	*computeType = d->compute;
	return 0;
}

cudnnStatus_t cudnnSetConvolutionGroupCount(cudnnConvolutionDescriptor_t convDesc, int groupCount) {
	DNN_BEGIN(Nothing);
	ARGUMENTS(groupCount);
	ConvolutionDesc *d = settable<ConvolutionDesc>(call, convDesc);
	if (!d) return call.status;
	if (groupCount < 1) return call.wrong(Status::BadParam, kind::descriptor, text("%d groups", groupCount));
	d->groups = groupCount;
	return 0;
}

cudnnStatus_t cudnnGetConvolutionGroupCount(cudnnConvolutionDescriptor_t convDesc, int *groupCount) {
	DNN_BEGIN(Nothing);
	FIND(ConvolutionDesc, d, convDesc);
	*groupCount = d->groups;
	return 0;
}

cudnnStatus_t cudnnSetConvolutionMathType(cudnnConvolutionDescriptor_t convDesc, cudnnMathType_t mathType) {
	DNN_BEGIN(Nothing);
	ARGUMENTS(mathType);
	ConvolutionDesc *d = settable<ConvolutionDesc>(call, convDesc);
	if (!d) return call.status;
	if (mathType < CUDNN_DEFAULT_MATH || mathType > CUDNN_FMA_MATH)
		return call.wrong(Status::BadParam, kind::descriptor, text("there is no math type %d", int(mathType)));
	d->math = mathType;
	return 0;
}

cudnnStatus_t cudnnGetConvolutionMathType(cudnnConvolutionDescriptor_t convDesc, cudnnMathType_t *mathType) {
	DNN_BEGIN(Nothing);
	FIND(ConvolutionDesc, d, convDesc);
	*mathType = d->math;
	return 0;
}

// ---- Pooling -----------------------------------------------------------------------

cudnnStatus_t cudnnSetPooling2dDescriptor(cudnnPoolingDescriptor_t poolingDesc, cudnnPoolingMode_t mode,
	cudnnNanPropagation_t maxpoolingNanOpt, int windowHeight, int windowWidth, int verticalPadding, int horizontalPadding,
	int verticalStride, int horizontalStride) {
	DNN_BEGIN(Nothing);
	ARGUMENTS(mode, maxpoolingNanOpt, windowHeight, windowWidth, verticalPadding, horizontalPadding, verticalStride, horizontalStride);
	PoolingDesc *d = settable<PoolingDesc>(call, poolingDesc);
	if (!d) return call.status;
	if (cudnnStatus_t s = positive(call, {windowHeight, windowWidth, verticalStride, horizontalStride})) return s;
	if (verticalPadding < 0 || horizontalPadding < 0 || verticalPadding >= windowHeight || horizontalPadding >= windowWidth)
		return call.wrong(Status::BadParam, kind::descriptor, text("padding of %d x %d for a window of %d x %d", verticalPadding, horizontalPadding, windowHeight, windowWidth));
	*d = {true, mode, maxpoolingNanOpt, windowHeight, windowWidth, verticalPadding, horizontalPadding, verticalStride, horizontalStride};
	return 0;
}

cudnnStatus_t cudnnSetPoolingNdDescriptor(cudnnPoolingDescriptor_t poolingDesc, const cudnnPoolingMode_t mode,
	const cudnnNanPropagation_t maxpoolingNanOpt, int nbDims, const int windowDimA[], const int paddingA[], const int strideA[]) {
	{
		DNN_BEGIN(Nothing);
		if (!windowDimA || !paddingA || !strideA) return call.wrong(Status::BadParam, kind::argument, "windowDimA, paddingA or strideA is null");
		if (nbDims != 2) return call.unsupported(text("%d dimensions: the emulation has 2", nbDims));
	}
	return cudnnSetPooling2dDescriptor(poolingDesc, mode, maxpoolingNanOpt, windowDimA[0], windowDimA[1], paddingA[0], paddingA[1], strideA[0], strideA[1]);
}

cudnnStatus_t cudnnGetPooling2dDescriptor(const cudnnPoolingDescriptor_t poolingDesc, cudnnPoolingMode_t *mode,
	cudnnNanPropagation_t *maxpoolingNanOpt, int *windowHeight, int *windowWidth, int *verticalPadding, int *horizontalPadding,
	int *verticalStride, int *horizontalStride) {
	DNN_BEGIN(Nothing);
	FIND(PoolingDesc, d, poolingDesc);
	*mode = d->mode;
	*maxpoolingNanOpt = d->nan;
	*windowHeight = d->windowH;
	*windowWidth = d->windowW;
	*verticalPadding = d->padH;
	*horizontalPadding = d->padW;
	*verticalStride = d->strideH;
	*horizontalStride = d->strideW;
	return 0;
}

// ---- The others --------------------------------------------------------------------

cudnnStatus_t cudnnSetActivationDescriptor(cudnnActivationDescriptor_t activationDesc, cudnnActivationMode_t mode,
	cudnnNanPropagation_t reluNanOpt, double coef) {
	DNN_BEGIN(Nothing);
	ARGUMENTS(mode, reluNanOpt, coef);
	ActivationDesc *d = settable<ActivationDesc>(call, activationDesc);
	if (!d) return call.status;
	if (mode < CUDNN_ACTIVATION_SIGMOID || mode > CUDNN_ACTIVATION_SWISH)
		return call.wrong(Status::BadParam, kind::descriptor, text("there is no activation %d", int(mode)));
	*d = {true, mode, reluNanOpt, coef};
	return 0;
}

cudnnStatus_t cudnnGetActivationDescriptor(const cudnnActivationDescriptor_t activationDesc, cudnnActivationMode_t *mode,
	cudnnNanPropagation_t *reluNanOpt, double *coef) {
	DNN_BEGIN(Nothing);
	FIND(ActivationDesc, d, activationDesc);
	*mode = d->mode;
	*reluNanOpt = d->nan;
	*coef = d->coef;
	return 0;
}

cudnnStatus_t cudnnSetOpTensorDescriptor(cudnnOpTensorDescriptor_t opTensorDesc, cudnnOpTensorOp_t opTensorOp,
	cudnnDataType_t opTensorCompType, cudnnNanPropagation_t opTensorNanOpt) {
	DNN_BEGIN(Nothing);
	OpTensorDesc *d = settable<OpTensorDesc>(call, opTensorDesc);
	if (!d) return call.status;
	*d = {true, opTensorOp, opTensorCompType, opTensorNanOpt};
	return 0;
}

cudnnStatus_t cudnnSetReduceTensorDescriptor(cudnnReduceTensorDescriptor_t reduceTensorDesc, cudnnReduceTensorOp_t reduceTensorOp,
	cudnnDataType_t reduceTensorCompType, cudnnNanPropagation_t reduceTensorNanOpt, cudnnReduceTensorIndices_t reduceTensorIndices,
	cudnnIndicesType_t) {
	DNN_BEGIN(Nothing);
	ReduceDesc *d = settable<ReduceDesc>(call, reduceTensorDesc);
	if (!d) return call.status;
	*d = {true, reduceTensorOp, reduceTensorCompType, reduceTensorNanOpt, reduceTensorIndices};
	return 0;
}
