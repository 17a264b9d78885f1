//go:build cuda && linux && cgo && (amd64 || arm64)

package cuda

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"gorgonia.org/cu"
)

func newBLAS(t *testing.T) *BLAS {
	t.Helper()
	open(t)
	b, err := NewBLAS()
	check(t, err)
	t.Cleanup(func() { check(t, b.Close()) })
	return b
}

// A = [1 2 3; 4 5 6], B = [1 2; 3 4; 5 6], C = [22 28; 49 64].
func TestProducts(t *testing.T) {
	b := newBLAS(t)
	s, err := NewStream()
	check(t, err)
	defer func() { check(t, cu.Synchronize(), DestroyStream(s)) }()
	check(t, b.SetStream(s), b.SetTF32(true), b.SetTF32(false), b.SetFloat32Sums())
	A, At := floats(t, 1, 2, 3, 4, 5, 6), floats(t, 1, 4, 2, 5, 3, 6)
	B, Bt := floats(t, 1, 2, 3, 4, 5, 6), floats(t, 1, 3, 5, 2, 4, 6)
	for _, c := range []struct{ transA, transB bool }{{}, {transA: true}, {transB: true}, {true, true}} {
		p := Product{TransA: c.transA, TransB: c.transB, M: 2, N: 2, K: 3, LDA: 3, LDB: 2, LDC: 3,
			TypeA: Float32, TypeB: Float32, TypeC: Float32, Compute: ComputeFloat32}
		x, y := A, B
		if c.transA {
			x, p.LDA = At, 2
		}
		if c.transB {
			y, p.LDB = Bt, 3
		}
		// Rows of C are three elements apart; the elements between them must not change.
		out := floats(t, 100, 200, -1, 300, 400)
		check(t, b.Gemm(&p, 2, x, y, 0.5, out))
		want := []float32{2*22 + 50, 2*28 + 100, -1, 2*49 + 150, 2*64 + 200}
		if diff := cmp.Diff(want, read(t, out, 5)); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", p, diff)
		}
		out = floats(t, 0, 0, -1, 0, 0)
		check(t, b.Sgemm(&p, 1, x, y, 0, out))
		if diff := cmp.Diff([]float32{22, 28, -1, 49, 64}, read(t, out, 5)); diff != "" {
			t.Errorf("Sgemm %+v (-want +got):\n%s", p, diff)
		}
	}
}

func TestProductErrors(t *testing.T) {
	b := newBLAS(t)
	a := filled(t, 16)
	p := Product{M: 2, N: 3, K: 4, LDA: 1, LDB: 1, LDC: 1, TypeA: Float32, TypeB: Float32, TypeC: Float32, Compute: ComputeFloat32}
	wantText(t, b.Gemm(&p, 1, a, a, 0, a), "product of [2,4] and [4,3]: cublasGemmEx: CUBLAS_STATUS_INVALID_VALUE")
	wantText(t, b.Sgemm(&p, 1, a, a, 0, a), "product of [2,4] and [4,3]: cublasSgemm_v2: CUBLAS_STATUS_INVALID_VALUE")
	expect(t, "cublasGemmEx", "cublasSgemm_v2")
	p.Compute = ComputeTF32
	configure(t, "fail=cublasGemmEx:ARCH_MISMATCH")
	wantText(t, b.Gemm(&p, 1, a, a, 0, a), "product of [2,4] and [4,3]: cublasGemmEx: CUBLAS_STATUS_ARCH_MISMATCH")
	p.LDA, p.LDB, p.LDC = 4, 3, 3
	p.TypeA, p.TypeB = BFloat16, Float16
	wantText(t, b.Gemm(&p, 1, a, a, 0, a), "product of [2,4] and [4,3]: cublasGemmEx: CUBLAS_STATUS_NOT_SUPPORTED")
	workspace := alloc(t, 1024)
	wantText(t, b.SetWorkspace(workspace+1, 64), "giving cuBLAS a workspace: cublasSetWorkspace_v2: CUBLAS_STATUS_INVALID_VALUE")
	expect(t, "cublasSetWorkspace_v2")
	check(t, b.SetWorkspace(workspace, 1024))
}
