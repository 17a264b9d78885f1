// The software cuDNN: batch normalisation.
//
//     xhat = (x - mean) / sqrt(var + epsilon)      y = scale*xhat + bias
//
// over n, h, w for each channel (SPATIAL), or over n for each element (PER_ACTIVATION). Sums are float64.
#include "dnn.h"

#include <algorithm>
#include <cmath>

using namespace sim;

namespace {

// A tensor in [n][h][w][c] has rows of `columns` elements, and each column has its own statistics.
size_t columnsOf(cudnnBatchNormMode_t mode, const TensorDesc &x) {
	return mode == CUDNN_BATCHNORM_PER_ACTIVATION ? size_t(x.h) * x.w * x.c : size_t(x.c);
}

cudnnStatus_t check(DnnCall &call, cudnnBatchNormMode_t mode, const TensorDesc &x, const TensorDesc &y, const TensorDesc &parameters, double epsilon) {
	bool each = mode == CUDNN_BATCHNORM_PER_ACTIVATION;
	if (!sameShape(x, y)) return call.wrong(Status::BadParam, kind::descriptor, text("x is %s, y is %s", shape(x).c_str(), shape(y).c_str()));
	if (x.type != y.type) return call.unsupported("x and y differ in type");
	if (parameters.type != CUDNN_DATA_FLOAT) return call.wrong(Status::BadParam, kind::descriptor, "scale, bias and statistics are to be float");
	if (parameters.n != 1 || parameters.c != x.c || parameters.h != (each ? x.h : 1) || parameters.w != (each ? x.w : 1))
		return call.wrong(Status::BadParam, kind::descriptor, text("scale and bias are %s for x %s", shape(parameters).c_str(), shape(x).c_str()));
	if (!(epsilon >= 0)) return call.wrong(Status::BadParam, kind::argument, text("epsilon is %g", epsilon));
	return 0;
}

struct Statistics {
	std::vector<double> mean, variance; // biased
};

Statistics statistics(const Array &x, size_t columns) {
	Statistics s = {std::vector<double>(columns, 0.0), std::vector<double>(columns, 0.0)};
	double rows = double(x.size() / columns);
	for (size_t i = 0; i < x.size(); i++) s.mean[i % columns] += x[i];
	for (double &m : s.mean) m /= rows;
	for (size_t i = 0; i < x.size(); i++) {
		double d = x[i] - s.mean[i % columns];
		s.variance[i % columns] += d * d;
	}
	for (double &v : s.variance) v /= rows;
	return s;
}

// Forward holds the operands of a forward pass in training.
struct Forward {
	Tensor x, y, scale, bias, runningMean, runningVariance, savedMean, savedInverse;
	bool running, saved;
	size_t columns;
	double factor, epsilon;
	float alpha, beta;

	// normalized computes the statistics, updates the running statistics, and returns the output.
	Array normalized(const Array &in) const {
		Array g = scale.load(), b = bias.load(), out(in.size()), inverse(columns);
		Statistics s = statistics(in, columns);
		double rows = double(in.size() / columns), unbiased = rows > 1 ? rows / (rows - 1) : 1;
		for (size_t c = 0; c < columns; c++) inverse[c] = float(1 / std::sqrt(s.variance[c] + epsilon));
		for (size_t i = 0; i < in.size(); i++) {
			size_t c = i % columns;
			out[i] = float((in[i] - s.mean[c]) * inverse[c] * g[c] + b[c]);
		}
		if (running) {
			Array m = runningMean.load(), v = runningVariance.load();
			for (size_t c = 0; c < columns; c++) {
				m[c] = float(m[c] * (1 - factor) + s.mean[c] * factor);
				v[c] = float(v[c] * (1 - factor) + s.variance[c] * unbiased * factor);
			}
			runningMean.store(m);
			runningVariance.store(v);
		}
		if (saved) {
			savedMean.store(Array(s.mean.begin(), s.mean.end()));
			savedInverse.store(inverse);
		}
		return out;
	}
};

// forwardOperands collects the operands that both forms of the forward pass have.
cudnnStatus_t forwardOperands(DnnCall &call, Task &t, Forward *f, cudnnBatchNormMode_t mode, const TensorDesc &x, const void *xData, const TensorDesc &y, void *yData,
	const TensorDesc &parameters, const void *scale, const void *bias, double factor, void *runningMean, void *runningVariance, double epsilon, void *savedMean, void *savedInverse) {
	if (cudnnStatus_t s = check(call, mode, x, y, parameters, epsilon)) return s;
	if (!runningMean != !runningVariance || !savedMean != !savedInverse)
		return call.wrong(Status::BadParam, kind::argument, "of mean and variance one is null and the other is not");
	f->columns = columnsOf(mode, x);
	f->factor = factor;
	f->epsilon = epsilon;
	f->running = runningMean != nullptr;
	f->saved = savedMean != nullptr;
	f->x = t.input("x", x, xData);
	f->scale = t.input("bnScale", parameters, scale);
	f->bias = t.input("bnBias", parameters, bias);
	f->y = t.output("y", y, yData, f->beta);
	if (f->running) {
		// With a factor of 1 the old values do not matter, but they are read and multiplied by 0.
		f->runningMean = t.inPlace("resultRunningMean", parameters, runningMean);
		f->runningVariance = t.inPlace("resultRunningVariance", parameters, runningVariance);
	}
	if (f->saved) {
		f->savedMean = t.output("resultSaveMean", parameters, savedMean);
		f->savedInverse = t.output("resultSaveInvVariance", parameters, savedInverse);
	}
	return t.status;
}

// Backward holds the operands of the backward pass.
struct Backward {
	Tensor x, dy, dx, scale, dScale, dBias, savedMean, savedInverse;
	bool saved;
	size_t columns;
	double epsilon;
	float alphaData, betaData, alphaParameters, betaParameters;

	// dx = scale*inverse/rows * (rows*dy - sum dy - xhat * sum dy*xhat)
	void run(const Array &in, const Array &grad) const {
		Array g = scale.load(), out(in.size());
		double rows = double(in.size() / columns);
		std::vector<double> mean(columns), inverse(columns), sum(columns, 0.0), product(columns, 0.0);
		if (saved) {
			Array m = savedMean.load(), v = savedInverse.load();
			std::copy(m.begin(), m.end(), mean.begin());
			std::copy(v.begin(), v.end(), inverse.begin());
		} else {
			Statistics s = statistics(in, columns);
			mean = s.mean;
			for (size_t c = 0; c < columns; c++) inverse[c] = 1 / std::sqrt(s.variance[c] + epsilon);
		}
		for (size_t i = 0; i < in.size(); i++) {
			size_t c = i % columns;
			sum[c] += grad[i];
			product[c] += grad[i] * (in[i] - mean[c]) * inverse[c];
		}
		for (size_t i = 0; i < in.size(); i++) {
			size_t c = i % columns;
			double hat = (in[i] - mean[c]) * inverse[c];
			out[i] = float(g[c] * inverse[c] / rows * (rows * grad[i] - sum[c] - hat * product[c]));
		}
		dx.store(out, alphaData, betaData);
		dScale.store(Array(product.begin(), product.end()), alphaParameters, betaParameters);
		dBias.store(Array(sum.begin(), sum.end()), alphaParameters, betaParameters);
	}
};

cudnnStatus_t backwardOperands(DnnCall &call, Task &t, Backward *b, cudnnBatchNormMode_t mode, const TensorDesc &x, const void *xData, const TensorDesc &dy, const void *dyData,
	const TensorDesc &dx, void *dxData, const TensorDesc &parameters, const void *scale, void *dScale, void *dBias, double epsilon, const void *savedMean, const void *savedInverse) {
	if (cudnnStatus_t s = check(call, mode, x, dy, parameters, epsilon)) return s;
	if (cudnnStatus_t s = check(call, mode, x, dx, parameters, epsilon)) return s;
	if (!savedMean != !savedInverse) return call.wrong(Status::BadParam, kind::argument, "of savedMean and savedInvVariance one is null and the other is not");
	b->columns = columnsOf(mode, x);
	b->epsilon = epsilon;
	b->saved = savedMean != nullptr;
	b->x = t.input("x", x, xData);
	b->dy = t.input("dy", dy, dyData);
	b->scale = t.input("bnScale", parameters, scale);
	b->dx = t.output("dx", dx, dxData, b->betaData);
	b->dScale = t.output("dBnScaleResult", parameters, dScale, b->betaParameters);
	b->dBias = t.output("dBnBiasResult", parameters, dBias, b->betaParameters);
	if (b->saved) {
		b->savedMean = t.input("savedMean", parameters, savedMean);
		b->savedInverse = t.input("savedInvVariance", parameters, savedInverse);
	}
	return t.status;
}

} // namespace

cudnnStatus_t cudnnBatchNormalizationForwardTraining(cudnnHandle_t handle, cudnnBatchNormMode_t mode, const void *alpha, const void *beta,
	const cudnnTensorDescriptor_t xDesc, const void *x, const cudnnTensorDescriptor_t yDesc, void *y,
	const cudnnTensorDescriptor_t bnScaleBiasMeanVarDesc, const void *bnScale, const void *bnBias, double exponentialAverageFactor,
	void *resultRunningMean, void *resultRunningVariance, double epsilon, void *resultSaveMean, void *resultSaveInvVariance) {
	DNN_CALL(Current | Queues);
	FIND(TensorDesc, dx, xDesc);
	FIND(TensorDesc, dy, yDesc);
	FIND(TensorDesc, dp, bnScaleBiasMeanVarDesc);
	SCALARS(alpha, beta);
	ARGUMENTS(mode, scalar(alpha), scalar(beta), xDesc, x, yDesc, y, bnScaleBiasMeanVarDesc, bnScale, bnBias, exponentialAverageFactor, resultRunningMean, resultRunningVariance, epsilon, resultSaveMean, resultSaveInvVariance);
	Task t(call);
	Forward f = {};
	f.alpha = scalar(alpha);
	f.beta = scalar(beta);
	if (cudnnStatus_t s = forwardOperands(call, t, &f, mode, *dx, x, *dy, y, *dp, bnScale, bnBias, exponentialAverageFactor, resultRunningMean,
			resultRunningVariance, epsilon, resultSaveMean, resultSaveInvVariance))
		return s;
	return t.run([f] { f.y.store(f.normalized(f.x.load()), f.alpha, f.beta); });
}

cudnnStatus_t cudnnBatchNormalizationForwardInference(cudnnHandle_t handle, cudnnBatchNormMode_t mode, const void *alpha, const void *beta,
	const cudnnTensorDescriptor_t xDesc, const void *x, const cudnnTensorDescriptor_t yDesc, void *y,
	const cudnnTensorDescriptor_t bnScaleBiasMeanVarDesc, const void *bnScale, const void *bnBias, const void *estimatedMean,
	const void *estimatedVariance, double epsilon) {
	DNN_CALL(Current | Queues);
	FIND(TensorDesc, dx, xDesc);
	FIND(TensorDesc, dy, yDesc);
	FIND(TensorDesc, dp, bnScaleBiasMeanVarDesc);
	SCALARS(alpha, beta);
	ARGUMENTS(mode, scalar(alpha), scalar(beta), xDesc, x, yDesc, y, bnScaleBiasMeanVarDesc, bnScale, bnBias, estimatedMean, estimatedVariance, epsilon);
	if (cudnnStatus_t s = check(call, mode, *dx, *dy, *dp, epsilon)) return s;
	float a = scalar(alpha), b = scalar(beta);
	size_t columns = columnsOf(mode, *dx);
	Task t(call);
	Tensor tx = t.input("x", *dx, x), ty = t.output("y", *dy, y, b), ts = t.input("bnScale", *dp, bnScale), tb = t.input("bnBias", *dp, bnBias),
		   tm = t.input("estimatedMean", *dp, estimatedMean), tv = t.input("estimatedVariance", *dp, estimatedVariance);
	return t.run([=] {
		Array in = tx.load(), g = ts.load(), bias = tb.load(), m = tm.load(), v = tv.load();
		for (size_t i = 0; i < in.size(); i++) {
			size_t c = i % columns;
			in[i] = float((in[i] - double(m[c])) / std::sqrt(v[c] + epsilon) * g[c] + bias[c]);
		}
		ty.store(in, a, b);
	});
}

cudnnStatus_t cudnnBatchNormalizationBackward(cudnnHandle_t handle, cudnnBatchNormMode_t mode, const void *alphaDataDiff,
	const void *betaDataDiff, const void *alphaParamDiff, const void *betaParamDiff, const cudnnTensorDescriptor_t xDesc, const void *x,
	const cudnnTensorDescriptor_t dyDesc, const void *dy, const cudnnTensorDescriptor_t dxDesc, void *dx,
	const cudnnTensorDescriptor_t dBnScaleBiasDesc, const void *bnScale, void *dBnScaleResult, void *dBnBiasResult, double epsilon,
	const void *savedMean, const void *savedInvVariance) {
	DNN_CALL(Current | Queues);
	FIND(TensorDesc, dX, xDesc);
	FIND(TensorDesc, dDy, dyDesc);
	FIND(TensorDesc, dDx, dxDesc);
	FIND(TensorDesc, dp, dBnScaleBiasDesc);
	SCALARS(alphaDataDiff, betaDataDiff);
	SCALARS(alphaParamDiff, betaParamDiff);
	ARGUMENTS(mode, scalar(alphaDataDiff), scalar(betaDataDiff), scalar(alphaParamDiff), scalar(betaParamDiff), xDesc, x, dyDesc, dy, dxDesc, dx, dBnScaleBiasDesc, bnScale, dBnScaleResult, dBnBiasResult, epsilon, savedMean, savedInvVariance);
	Task t(call);
	Backward b = {};
	b.alphaData = scalar(alphaDataDiff);
	b.betaData = scalar(betaDataDiff);
	b.alphaParameters = scalar(alphaParamDiff);
	b.betaParameters = scalar(betaParamDiff);
	if (cudnnStatus_t s = backwardOperands(call, t, &b, mode, *dX, x, *dDy, dy, *dDx, dx, *dp, bnScale, dBnScaleResult, dBnBiasResult, epsilon, savedMean, savedInvVariance))
		return s;
	return t.run([b] { b.run(b.x.load(), b.dy.load()); });
}

// ---- With an activation fused ------------------------------------------------------
//
// As on a GPU, the fused forms support only half in NHWC, with channels a multiple of 4, in mode SPATIAL_PERSISTENT.
// The reserve space holds one byte per element, which says whether ReLU let it through.

namespace {

cudnnStatus_t fused(DnnCall &call, cudnnBatchNormMode_t mode, cudnnBatchNormOps_t ops, const TensorDesc &x) {
	if (ops == CUDNN_BATCHNORM_OPS_BN) return 0;
	bool takes = mode == CUDNN_BATCHNORM_SPATIAL_PERSISTENT && x.type == CUDNN_DATA_HALF && nhwc(x) && x.c % 4 == 0;
	return takes ? 0 : call.unsupported("fused forms are for half, NHWC, channels a multiple of 4, SPATIAL_PERSISTENT");
}

size_t reserveBytes(cudnnBatchNormOps_t ops, const TensorDesc &x) { return ops == CUDNN_BATCHNORM_OPS_BN ? 0 : x.elements(); }

} // namespace

cudnnStatus_t cudnnGetBatchNormalizationForwardTrainingExWorkspaceSize(cudnnHandle_t handle, cudnnBatchNormMode_t mode,
	cudnnBatchNormOps_t bnOps, const cudnnTensorDescriptor_t xDesc, const cudnnTensorDescriptor_t, const cudnnTensorDescriptor_t,
	const cudnnTensorDescriptor_t, const cudnnActivationDescriptor_t, size_t *sizeInBytes) {
	DNN_CALL(Current);
	FIND(TensorDesc, x, xDesc);
	if (cudnnStatus_t s = fused(call, mode, bnOps, *x)) return s;
	*sizeInBytes = size_t(x->c) * 16;
	return 0;
}

cudnnStatus_t cudnnGetBatchNormalizationBackwardExWorkspaceSize(cudnnHandle_t handle, cudnnBatchNormMode_t mode, cudnnBatchNormOps_t bnOps,
	const cudnnTensorDescriptor_t xDesc, const cudnnTensorDescriptor_t, const cudnnTensorDescriptor_t, const cudnnTensorDescriptor_t,
	const cudnnTensorDescriptor_t, const cudnnTensorDescriptor_t, const cudnnActivationDescriptor_t, size_t *sizeInBytes) {
	DNN_CALL(Current);
	FIND(TensorDesc, x, xDesc);
	if (cudnnStatus_t s = fused(call, mode, bnOps, *x)) return s;
	*sizeInBytes = size_t(x->c) * 16;
	return 0;
}

cudnnStatus_t cudnnGetBatchNormalizationTrainingExReserveSpaceSize(cudnnHandle_t handle, cudnnBatchNormMode_t mode,
	cudnnBatchNormOps_t bnOps, const cudnnActivationDescriptor_t, const cudnnTensorDescriptor_t xDesc, size_t *sizeInBytes) {
	DNN_CALL(Current);
	FIND(TensorDesc, x, xDesc);
	if (cudnnStatus_t s = fused(call, mode, bnOps, *x)) return s;
	*sizeInBytes = reserveBytes(bnOps, *x);
	return 0;
}

cudnnStatus_t cudnnBatchNormalizationForwardTrainingEx(cudnnHandle_t handle, cudnnBatchNormMode_t mode, cudnnBatchNormOps_t bnOps,
	const void *alpha, const void *beta, const cudnnTensorDescriptor_t xDesc, const void *xData, const cudnnTensorDescriptor_t zDesc,
	const void *zData, const cudnnTensorDescriptor_t yDesc, void *yData, const cudnnTensorDescriptor_t bnScaleBiasMeanVarDesc,
	const void *bnScale, const void *bnBias, double exponentialAverageFactor, void *resultRunningMean, void *resultRunningVariance,
	double epsilon, void *resultSaveMean, void *resultSaveInvVariance, cudnnActivationDescriptor_t activationDesc, void *workspace,
	size_t workSpaceSizeInBytes, void *reserveSpace, size_t reserveSpaceSizeInBytes) {
	DNN_CALL(Current | Queues);
	FIND(TensorDesc, dx, xDesc);
	FIND(TensorDesc, dy, yDesc);
	FIND(TensorDesc, dp, bnScaleBiasMeanVarDesc);
	SCALARS(alpha, beta);
	if (cudnnStatus_t s = fused(call, mode, bnOps, *dx)) return s;
	bool relu = bnOps != CUDNN_BATCHNORM_OPS_BN, add = bnOps == CUDNN_BATCHNORM_OPS_BN_ADD_ACTIVATION;
	if (relu) {
		FIND(ActivationDesc, act, activationDesc);
		if (act->mode != CUDNN_ACTIVATION_RELU) return call.unsupported("only ReLU is fused");
	}
	Task t(call);
	Forward f = {};
	f.alpha = scalar(alpha);
	f.beta = scalar(beta);
	if (cudnnStatus_t s = forwardOperands(call, t, &f, mode, *dx, xData, *dy, yData, *dp, bnScale, bnBias, exponentialAverageFactor, resultRunningMean,
			resultRunningVariance, epsilon, resultSaveMean, resultSaveInvVariance))
		return s;
	Tensor z;
	if (add) {
		FIND(TensorDesc, dz, zDesc);
		if (!sameShape(*dz, *dx)) return call.wrong(Status::BadParam, kind::descriptor, "z and x differ in shape");
		z = t.input("zData", *dz, zData);
	}
	size_t reserve = reserveBytes(bnOps, *dx);
	if (reserveSpaceSizeInBytes < reserve)
		return call.wrong(Status::BadParam, kind::argument, text("a reserve space of %zu bytes, needed are %zu", reserveSpaceSizeInBytes, reserve));
	t.workspace(workspace, workSpaceSizeInBytes, size_t(dx->c) * 16);
	char *mask = t.buffer("reserveSpace", reserveSpace, reserve, Mode::Write);
	return t.run([=] {
		Array out = f.normalized(f.x.load()), plus;
		if (add) plus = z.load();
		for (size_t i = 0; relu && i < out.size(); i++) {
			if (add) out[i] += plus[i];
			mask[i] = out[i] > 0;
			if (!mask[i] && !std::isnan(out[i])) out[i] = 0;
		}
		f.y.store(out, f.alpha, f.beta);
	});
}

cudnnStatus_t cudnnBatchNormalizationBackwardEx(cudnnHandle_t handle, cudnnBatchNormMode_t mode, cudnnBatchNormOps_t bnOps,
	const void *alphaDataDiff, const void *betaDataDiff, const void *alphaParamDiff, const void *betaParamDiff,
	const cudnnTensorDescriptor_t xDesc, const void *xData, const cudnnTensorDescriptor_t yDesc, const void *yData,
	const cudnnTensorDescriptor_t dyDesc, const void *dyData, const cudnnTensorDescriptor_t dzDesc, void *dzData,
	const cudnnTensorDescriptor_t dxDesc, void *dxData, const cudnnTensorDescriptor_t dBnScaleBiasDesc, const void *bnScaleData,
	const void *bnBiasData, void *dBnScaleData, void *dBnBiasData, double epsilon, const void *savedMean, const void *savedInvVariance,
	cudnnActivationDescriptor_t, void *workSpace, size_t workSpaceSizeInBytes, void *reserveSpace, size_t reserveSpaceSizeInBytes) {
	DNN_CALL(Current | Queues);
	FIND(TensorDesc, dX, xDesc);
	FIND(TensorDesc, dDy, dyDesc);
	FIND(TensorDesc, dDx, dxDesc);
	FIND(TensorDesc, dp, dBnScaleBiasDesc);
	SCALARS(alphaDataDiff, betaDataDiff);
	SCALARS(alphaParamDiff, betaParamDiff);
	if (cudnnStatus_t s = fused(call, mode, bnOps, *dX)) return s;
	bool relu = bnOps != CUDNN_BATCHNORM_OPS_BN, add = bnOps == CUDNN_BATCHNORM_OPS_BN_ADD_ACTIVATION;
	Task t(call);
	Backward b = {};
	b.alphaData = scalar(alphaDataDiff);
	b.betaData = scalar(betaDataDiff);
	b.alphaParameters = scalar(alphaParamDiff);
	b.betaParameters = scalar(betaParamDiff);
	if (cudnnStatus_t s = backwardOperands(call, t, &b, mode, *dX, xData, *dDy, dyData, *dDx, dxData, *dp, bnScaleData, dBnScaleData, dBnBiasData, epsilon, savedMean, savedInvVariance))
		return s;
	Tensor dz;
	if (relu) {
		FIND(TensorDesc, dY, yDesc);
		t.input("yData", *dY, yData);
		t.input("bnBiasData", *dp, bnBiasData);
	}
	if (add) {
		FIND(TensorDesc, dDz, dzDesc);
		dz = t.output("dzData", *dDz, dzData);
	}
	size_t reserve = reserveBytes(bnOps, *dX);
	if (reserveSpaceSizeInBytes < reserve)
		return call.wrong(Status::BadParam, kind::argument, text("a reserve space of %zu bytes, needed are %zu", reserveSpaceSizeInBytes, reserve));
	t.workspace(workSpace, workSpaceSizeInBytes, size_t(dX->c) * 16);
	const char *mask = t.buffer("reserveSpace", reserveSpace, reserve, Mode::Read);
	return t.run([=] {
		Array grad = b.dy.load();
		for (size_t i = 0; relu && i < grad.size(); i++)
			if (!mask[i]) grad[i] = 0;
		if (add) dz.store(grad);
		b.run(b.x.load(), grad);
	});
}
