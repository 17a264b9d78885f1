//go:build cuda && linux && cgo && (amd64 || arm64)

package cuda

// #include "calls.h"
import "C"

import (
	"fmt"
	"runtime"
	"time"

	"gorgonia.org/cu"
	cudnn "gorgonia.org/cu/dnn"
)

// Pass is one of the three passes of a convolution.
type Pass int

// The passes: y from x and w; dx from dy and w; dw from dy and x.
const (
	Forward        Pass = C.PASS_FORWARD
	BackwardData   Pass = C.PASS_BACKWARD_DATA
	BackwardFilter Pass = C.PASS_BACKWARD_FILTER
)

func (p Pass) String() string {
	return [...]string{"convolution forward", "convolution backward data", "convolution backward filter"}[p]
}

// Convolution has the descriptors of y = x * w. A gradient has the descriptor of the tensor
// that it belongs to.
type Convolution struct {
	X    *TensorDesc
	W    *FilterDesc
	Conv *ConvolutionDesc
	Y    *TensorDesc
}

func (c *Convolution) c() C.struct_convolution {
	return C.struct_convolution{tensorHandle(c.X), filterHandle(c.W), convolutionHandle(c.Conv), tensorHandle(c.Y)}
}

// Algorithm is one of cuDNN's ways to compute a pass.
type Algorithm struct {
	Number        int // cuDNN's number of the algorithm, for the pass
	Math          cudnn.MathType
	Workspace     int64         // bytes
	Time          time.Duration // measured by FindAlgorithms; 0 from Algorithms
	Deterministic bool
}

// Algorithms asks cuDNN's heuristics for the algorithms that can compute the pass, in order of
// expected speed, fastest first.
func (d *DNN) Algorithms(p Pass, c *Convolution) ([]Algorithm, error) {
	var count C.int
	var found [C.SHIM_MAX_ALGORITHMS]C.struct_algorithm
	status := C.shim_heuristics(d.handle, C.enum_pass(p), c.c(), &count, &found[0])
	runtime.KeepAlive(c)
	if status != C.CUDNN_STATUS_SUCCESS {
		return nil, cudnnError(p.String()+": asking for an algorithm", status)
	}
	return usable(found[:count], false), nil
}

// FindAlgorithms runs every algorithm for the pass that fits in the workspace, on the given
// device memory, and returns those that worked, fastest first. It overwrites the output of the
// pass.
func (d *DNN) FindAlgorithms(p Pass, c *Convolution, x, w, y, workspace cu.DevicePtr, size int64) ([]Algorithm, error) {
	var count C.int
	var found [C.SHIM_MAX_ALGORITHMS]C.struct_algorithm
	status := C.shim_find(d.handle, C.enum_pass(p), c.c(), C.address(x), C.address(w), C.address(y),
		C.address(workspace), C.size_t(size), &count, &found[0])
	runtime.KeepAlive(c)
	if status != C.CUDNN_STATUS_SUCCESS {
		return nil, cudnnError(p.String()+": measuring algorithms", status)
	}
	return usable(found[:count], true), nil
}

// usable returns the algorithms that cuDNN reports as working.
func usable(found []C.struct_algorithm, measured bool) []Algorithm {
	var all []Algorithm
	for _, f := range found {
		if f.status != C.CUDNN_STATUS_SUCCESS {
			continue
		}
		a := Algorithm{
			Number: int(f.algo), Math: cudnn.MathType(f.math_type), Workspace: int64(f.memory),
			Deterministic: f.determinism == C.CUDNN_DETERMINISTIC,
		}
		if measured {
			a.Time = time.Duration(float64(f.time) * float64(time.Millisecond))
		}
		all = append(all, a)
	}
	return all
}

// WorkspaceSize returns the bytes of device memory that the algorithm needs, with the
// convolution's current math type. If the algorithm can't compute the pass, the error is a
// device.ErrNotSupported.
func (d *DNN) WorkspaceSize(p Pass, c *Convolution, algorithm int) (int64, error) {
	var size C.size_t
	status := C.shim_workspace(d.handle, C.enum_pass(p), c.c(), C.int(algorithm), &size)
	runtime.KeepAlive(c)
	if status != C.CUDNN_STATUS_SUCCESS {
		return 0, cudnnError(fmt.Sprintf("%v: sizing the workspace of algorithm %d", p, algorithm), status)
	}
	return int64(size), nil
}

// Convolve queues a pass: y, dx or dw = alpha times the result + beta times the old values.
// The other two tensors are read.
func (d *DNN) Convolve(p Pass, c *Convolution, algorithm int, alpha float32, x, w, y, workspace cu.DevicePtr, size int64,
	beta float32) error {
	status := C.shim_convolve(d.handle, C.enum_pass(p), c.c(), C.int(algorithm), C.float(alpha), C.address(x),
		C.address(w), C.address(y), C.address(workspace), C.size_t(size), C.float(beta))
	runtime.KeepAlive(c)
	return cudnnError(p.String(), status)
}

// ConvolveBiasActivate queues the fused operation y = activation(alpha (x * w) + beta z + bias).
// zDesc and z may be y's, and are not read if beta is 0. The activation must be ReLU, or Identity
// with the algorithm ImplicitPrecompGemm.
func (d *DNN) ConvolveBiasActivate(c *Convolution, algorithm int, x, w, workspace cu.DevicePtr, size int64,
	alpha, beta float32, zDesc *TensorDesc, z cu.DevicePtr, biasDesc *TensorDesc, bias cu.DevicePtr,
	activation *ActivationDesc, y cu.DevicePtr) error {
	status := C.shim_convolve_bias_activation(d.handle, c.c(), C.int(algorithm), C.address(x), C.address(w),
		C.address(workspace), C.size_t(size), C.float(alpha), C.float(beta), tensorHandle(zDesc), C.address(z),
		tensorHandle(biasDesc), C.address(bias), activationHandle(activation), C.address(y))
	runtime.KeepAlive(c)
	return cudnnError("convolution with bias and activation", status)
}

// BackwardBias queues db = alpha times the sum of dy over all dimensions except channels + beta db.
func (d *DNN) BackwardBias(alpha float32, dyDesc *TensorDesc, dy cu.DevicePtr, beta float32, dbDesc *TensorDesc,
	db cu.DevicePtr) error {
	status := C.shim_convolve_backward_bias(d.handle, C.float(alpha), tensorHandle(dyDesc), C.address(dy),
		C.float(beta), tensorHandle(dbDesc), C.address(db))
	runtime.KeepAlive(dyDesc)
	runtime.KeepAlive(dbDesc)
	return cudnnError("convolution backward bias", status)
}

// AddTensor queues c = alpha a + beta c, with a repeated along its dimensions of size 1, such as a bias.
func (d *DNN) AddTensor(alpha float32, aDesc *TensorDesc, a cu.DevicePtr, beta float32, cDesc *TensorDesc,
	c cu.DevicePtr) error {
	status := C.shim_add_tensor(d.handle, C.float(alpha), tensorHandle(aDesc), C.address(a), C.float(beta),
		tensorHandle(cDesc), C.address(c))
	runtime.KeepAlive(aDesc)
	runtime.KeepAlive(cDesc)
	return cudnnError("adding a tensor", status)
}
