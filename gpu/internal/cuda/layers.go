//go:build cuda && linux && cgo && (amd64 || arm64)

package cuda

// #include "calls.h"
import "C"

import (
	"runtime"

	"gorgonia.org/cu"
	cudnn "gorgonia.org/cu/dnn"
)

// Pool queues y = alpha pool(x) + beta y.
func (d *DNN) Pool(p *PoolingDesc, alpha float32, xDesc *TensorDesc, x cu.DevicePtr, beta float32, yDesc *TensorDesc,
	y cu.DevicePtr) error {
	status := C.shim_pool(d.handle, poolingHandle(p), C.float(alpha), tensorHandle(xDesc), C.address(x), C.float(beta),
		tensorHandle(yDesc), C.address(y))
	keepAlive(p, xDesc, yDesc)
	return cudnnError("pooling forward", status)
}

// PoolBackward queues dx = alpha times the gradient + beta dx. Max pooling reads x and y to find
// the maximum again.
func (d *DNN) PoolBackward(p *PoolingDesc, alpha float32, yDesc *TensorDesc, y, dy cu.DevicePtr, beta float32,
	xDesc *TensorDesc, x, dx cu.DevicePtr) error {
	status := C.shim_pool_backward(d.handle, poolingHandle(p), C.float(alpha), tensorHandle(yDesc), C.address(y),
		C.address(dy), C.float(beta), tensorHandle(xDesc), C.address(x), C.address(dx))
	keepAlive(p, xDesc, yDesc)
	return cudnnError("pooling backward", status)
}

// Activate queues y = alpha activation(x) + beta y. y may be x.
func (d *DNN) Activate(a *ActivationDesc, alpha float32, desc *TensorDesc, x cu.DevicePtr, beta float32,
	y cu.DevicePtr) error {
	status := C.shim_activate(d.handle, activationHandle(a), C.float(alpha), tensorHandle(desc), C.address(x),
		C.float(beta), C.address(y))
	keepAlive(a, desc, desc)
	return cudnnError("activation forward", status)
}

// ActivateBackward queues dx = alpha dy activation'(x) + beta dx. dx may be dy.
func (d *DNN) ActivateBackward(a *ActivationDesc, alpha float32, desc *TensorDesc, y, dy, x cu.DevicePtr, beta float32,
	dx cu.DevicePtr) error {
	status := C.shim_activate_backward(d.handle, activationHandle(a), C.float(alpha), tensorHandle(desc), C.address(y),
		C.address(dy), C.address(x), C.float(beta), C.address(dx))
	keepAlive(a, desc, desc)
	return cudnnError("activation backward", status)
}

// Softmax queues y = alpha softmax(x) + beta y, over the channels at each pixel, or its logarithm
// with the algorithm cudnn.Log.
func (d *DNN) Softmax(algorithm cudnn.SoftmaxAlgorithm, alpha float32, desc *TensorDesc, x cu.DevicePtr, beta float32,
	y cu.DevicePtr) error {
	status := C.shim_softmax(d.handle, C.cudnnSoftmaxAlgorithm_t(algorithm), C.CUDNN_SOFTMAX_MODE_CHANNEL, C.float(alpha),
		tensorHandle(desc), C.address(x), C.float(beta), C.address(y))
	runtime.KeepAlive(desc)
	return cudnnError("softmax forward", status)
}

// SoftmaxBackward queues dx = alpha times the gradient + beta dx, where y is the output of Softmax.
func (d *DNN) SoftmaxBackward(algorithm cudnn.SoftmaxAlgorithm, alpha float32, desc *TensorDesc, y, dy cu.DevicePtr,
	beta float32, dx cu.DevicePtr) error {
	status := C.shim_softmax_backward(d.handle, C.cudnnSoftmaxAlgorithm_t(algorithm), C.CUDNN_SOFTMAX_MODE_CHANNEL,
		C.float(alpha), tensorHandle(desc), C.address(y), C.address(dy), C.float(beta), C.address(dx))
	runtime.KeepAlive(desc)
	return cudnnError("softmax backward", status)
}

// BatchNorm describes a batch normalisation per channel: it averages over all other dimensions.
type BatchNorm struct {
	Mode       cudnn.BatchNormMode // Spatial, or SpatialPersistent, which is faster and may overflow float16
	X          *TensorDesc         // of x, y and their gradients
	Parameters *TensorDesc         // [1,1,1,c], float32 even if X is float16 or bfloat16
	Epsilon    float64
}

// BatchNormTrain queues y = scale (x - mean)/sqrt(variance + epsilon) + bias with the batch's mean and biased variance.
// savedMean and savedInvStd, 1/sqrt(variance + epsilon), are for Backward. The running statistics become (1 - factor)
// old + factor new, with the unbiased variance. Either pair may be 0.
func (d *DNN) BatchNormTrain(b *BatchNorm, x, y, scale, bias cu.DevicePtr, factor float64, runningMean, runningVariance,
	savedMean, savedInvStd cu.DevicePtr) error {
	status := C.shim_batchnorm_training(d.handle, C.cudnnBatchNormMode_t(b.Mode), tensorHandle(b.X), C.address(x),
		C.address(y), tensorHandle(b.Parameters), C.address(scale), C.address(bias), C.double(factor),
		C.address(runningMean), C.address(runningVariance), C.double(b.Epsilon), C.address(savedMean),
		C.address(savedInvStd))
	runtime.KeepAlive(b)
	return cudnnError("batch normalisation forward", status)
}

// BatchNormInfer queues the normalisation with the given statistics.
func (d *DNN) BatchNormInfer(b *BatchNorm, x, y, scale, bias, mean, variance cu.DevicePtr) error {
	status := C.shim_batchnorm_inference(d.handle, C.cudnnBatchNormMode_t(b.Mode), tensorHandle(b.X), C.address(x),
		C.address(y), tensorHandle(b.Parameters), C.address(scale), C.address(bias), C.address(mean),
		C.address(variance), C.double(b.Epsilon))
	runtime.KeepAlive(b)
	return cudnnError("batch normalisation inference", status)
}

// BatchNormBackward queues dx, and dscale and dbias, to which it adds beta times their old values.
func (d *DNN) BatchNormBackward(b *BatchNorm, x, dy, dx, scale, dscale, dbias cu.DevicePtr, beta float32, savedMean,
	savedInvStd cu.DevicePtr) error {
	status := C.shim_batchnorm_backward(d.handle, C.cudnnBatchNormMode_t(b.Mode), tensorHandle(b.X), C.address(x),
		C.address(dy), C.address(dx), tensorHandle(b.Parameters), C.address(scale), C.address(dscale), C.address(dbias),
		C.float(beta), C.double(b.Epsilon), C.address(savedMean), C.address(savedInvStd))
	runtime.KeepAlive(b)
	return cudnnError("batch normalisation backward", status)
}

// keepAlive keeps gorgonia's finalizers from destroying descriptors until a call is done.
func keepAlive[T any](d *T, a, b *TensorDesc) {
	runtime.KeepAlive(d)
	runtime.KeepAlive(a)
	runtime.KeepAlive(b)
}
