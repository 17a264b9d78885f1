//go:build cuda && linux && cgo && (amd64 || arm64)

package cuda

// #include "calls.h"
import "C"

import (
	"fmt"
	"unsafe"

	"gorgonia.org/cu"
	cublas "gorgonia.org/cu/blas"
	cudnn "gorgonia.org/cu/dnn"
)

// BLAS is a cuBLAS handle for the current context. gorgonia's functions accept it too.
type BLAS struct {
	cublas.Standard
	handle C.cublasHandle_t
}

// NewBLAS loads cuBLAS if it isn't loaded, and creates a handle.
func NewBLAS() (*BLAS, error) {
	if err := blas.need(); err != nil {
		return nil, err
	}
	b := &BLAS{}
	if err := b.Init(); err != nil {
		return nil, Check("starting cuBLAS", err)
	}
	b.handle = *(*C.cublasHandle_t)(unsafe.Pointer(&b.Standard))
	return b, nil
}

// Close destroys the handle.
func (h *BLAS) Close() error { return Check("closing cuBLAS", h.Standard.Close()) }

// SetStream makes cuBLAS queue its work on the stream. It resets the workspace.
func (h *BLAS) SetStream(s cu.Stream) error {
	return cublasError("giving cuBLAS a stream", C.cublasSetStream_v2(h.handle, streamHandle(s)))
}

// SetWorkspace gives cuBLAS device memory to work in, aligned to 256 bytes, for all calls until
// SetStream. A product recorded into a graph needs it, because it must not use cuBLAS's own
// workspace.
func (h *BLAS) SetWorkspace(p cu.DevicePtr, bytes int64) error {
	return cublasError("giving cuBLAS a workspace",
		C.shim_set_workspace(h.handle, C.address(p), C.size_t(bytes)))
}

// SetFloat32Sums makes the partial sums float32 if C has 16 bits: cuBLAS may otherwise round them to C's type before it
// adds them. It undoes SetTF32.
func (h *BLAS) SetFloat32Sums() error {
	return cublasError("setting cuBLAS's math mode",
		C.cublasSetMathMode(h.handle, C.CUBLAS_DEFAULT_MATH|C.CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION))
}

// SetTF32 says whether float32 products may round their operands to TF32, for tensor cores.
func (h *BLAS) SetTF32(allow bool) error {
	mode := C.cublasMath_t(C.CUBLAS_DEFAULT_MATH)
	if allow {
		mode = C.CUBLAS_TF32_TENSOR_OP_MATH
	}
	return cublasError("setting cuBLAS's math mode", C.cublasSetMathMode(h.handle, mode))
}

// Compute is the type in which a product is computed.
type Compute C.cublasComputeType_t

// Products of float16 and bfloat16 operands are exact in all of them.
const (
	ComputeFloat32     Compute = C.CUBLAS_COMPUTE_32F           // float32; TF32 after SetTF32(true)
	ComputeTF32        Compute = C.CUBLAS_COMPUTE_32F_FAST_TF32 // float32 operands rounded to TF32
	ComputeFloat32Only Compute = C.CUBLAS_COMPUTE_32F_PEDANTIC  // no tensor cores for float32 operands, regardless of SetTF32
)

// Product is a matrix product of row-major matrices on the device:
//
//	C[m,n] = alpha op(A)[m,k] op(B)[k,n] + beta C[m,n]
//
// op transposes if TransA or TransB is set. Each ld is the number of elements from one row to
// the next in the stored matrix, before op.
type Product struct {
	TransA, TransB      bool
	M, N, K             int
	TypeA, TypeB, TypeC DataType // Float32, Float16 or BFloat16; A and B have the same type
	LDA, LDB, LDC       int
	Compute             Compute
}

// Gemm queues the product. cuBLAS's matrices are column-major, so it sees the transposes of
// ours; it is asked for C' = op(B)' op(A)'.
func (h *BLAS) Gemm(p *Product, alpha float32, a, b cu.DevicePtr, beta float32, out cu.DevicePtr) error {
	status := C.shim_gemm(h.handle, operation(p.TransB), operation(p.TransA), C.int(p.N), C.int(p.M), C.int(p.K),
		C.float(alpha), C.address(b), cudaType(p.TypeB), C.int(p.LDB), C.address(a), cudaType(p.TypeA), C.int(p.LDA),
		C.float(beta), C.address(out), cudaType(p.TypeC), C.int(p.LDC), C.cublasComputeType_t(p.Compute))
	if status != C.CUBLAS_STATUS_SUCCESS {
		return cublasError(p.String(), status)
	}
	return nil
}

// GemmBatch queues count products of matrices that follow each other without gaps, in a, in b and in out.
func (h *BLAS) GemmBatch(p *Product, count int, alpha float32, a, b cu.DevicePtr, beta float32, out cu.DevicePtr) error {
	status := C.shim_gemm_batch(h.handle, operation(p.TransB), operation(p.TransA), C.int(p.N), C.int(p.M), C.int(p.K),
		C.float(alpha), C.address(b), cudaType(p.TypeB), C.int(p.LDB), C.longlong(p.K*p.N),
		C.address(a), cudaType(p.TypeA), C.int(p.LDA), C.longlong(p.M*p.K),
		C.float(beta), C.address(out), cudaType(p.TypeC), C.int(p.LDC), C.longlong(p.M*p.N), C.int(count), C.cublasComputeType_t(p.Compute))
	if status != C.CUBLAS_STATUS_SUCCESS {
		return cublasError(fmt.Sprintf("%d times %s", count, p), status)
	}
	return nil
}

// Sgemm is Gemm for float32 matrices, in the math mode set by SetTF32; the product's types and
// Compute are ignored.
func (h *BLAS) Sgemm(p *Product, alpha float32, a, b cu.DevicePtr, beta float32, out cu.DevicePtr) error {
	status := C.shim_sgemm(h.handle, operation(p.TransB), operation(p.TransA), C.int(p.N), C.int(p.M), C.int(p.K),
		C.float(alpha), C.address(b), C.int(p.LDB), C.address(a), C.int(p.LDA),
		C.float(beta), C.address(out), C.int(p.LDC))
	if status != C.CUBLAS_STATUS_SUCCESS {
		return cublasError(p.String(), status)
	}
	return nil
}

// String describes the product for errors, such as "product of [64,128] and [128,10]".
func (p *Product) String() string {
	return fmt.Sprintf("product of [%d,%d] and [%d,%d]", p.M, p.K, p.K, p.N)
}

func operation(transpose bool) C.cublasOperation_t {
	if transpose {
		return C.CUBLAS_OP_T
	}
	return C.CUBLAS_OP_N
}

// cudaType returns cuBLAS's number for an element type.
func cudaType(t DataType) C.cudaDataType {
	switch t {
	case cudnn.Float:
		return C.CUDA_R_32F
	case cudnn.Half:
		return C.CUDA_R_16F
	case BFloat16:
		return C.CUDA_R_16BF
	}
	panic(fmt.Sprintf("cuda: no matrix product of element type %d: want Float32, Float16 or BFloat16", int(t)))
}
