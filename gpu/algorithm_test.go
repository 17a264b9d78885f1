//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	cudnn "gorgonia.org/cu/dnn"

	"trainer/gpu/cudasim"
	"trainer/gpu/internal/cuda"
	"trainer/nn/device"
)

// ordinary is a convolution that many algorithms of the software cuDNN can compute.
var ordinary = device.Conv2DSpec{
	N: 4, H: 8, W: 8, InC: 8, OutC: 8, KH: 3, KW: 3, StrideH: 1, StrideW: 1, PadH: 1, PadW: 1, DilationH: 1, DilationW: 1, Groups: 1,
}

func newConv(t *testing.T, d *Device, s device.Conv2DSpec) *conv2D {
	t.Helper()
	c, err := d.NewConv2D(s)
	if err != nil {
		t.Fatal(err)
	}
	return c.(*conv2D)
}

// Every algorithm of the software cuDNN that is chosen gives the same bits each time, and a device without the option takes
// one that doesn't where cuDNN's heuristics like it better.
func TestDeterministicAlgorithms(t *testing.T) {
	for _, deterministic := range []bool{false, true} {
		var opts []Option
		if deterministic {
			opts = append(opts, WithDeterministic())
		}
		d := newDevice(t, opts...)
		c := newConv(t, d, ordinary)
		all := true
		for i, pass := range c.full.passes {
			found, err := d.dnn.Algorithms(cuda.Pass(i), &pass.Convolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range found {
				if a.Number == pass.algorithm {
					all = all && a.Deterministic
				}
			}
		}
		if all != deterministic {
			t.Errorf("deterministic %v: that the algorithms %q are is %v", deterministic, c.Algorithm(), all)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}

// No algorithm of the software cuDNN works in more memory than the limit; a limit that is too small for all of them is an
// error that says so.
func TestWorkspaceLimit(t *testing.T) {
	d := newDevice(t)
	free := newConv(t, d, ordinary)
	var most int64
	for _, p := range free.full.passes {
		most = max(most, p.workspace)
	}
	if most < 2 {
		t.Fatalf("the algorithms %q need %d bytes of workspace: the test tests nothing", free.Algorithm(), most)
	}
	if d.workspace.bytes < most {
		t.Errorf("a workspace of %d bytes for algorithms that need %d", d.workspace.bytes, most)
	}
	d.workspaceLimit = most - 1
	for i, p := range newConv(t, d, ordinary).full.passes {
		if p.workspace > most-1 {
			t.Errorf("%v works in %d bytes, the limit is %d", cuda.Pass(i), p.workspace, most-1)
		}
	}
	configure(t, "fail=cudnnGetConvolutionForwardWorkspaceSize#1+:NOT_SUPPORTED")
	_, err := d.NewConv2D(ordinary)
	checkError(t, err, device.ErrNotSupported, "convolution forward: cuDNN has no algorithm", "bytes of workspace")
}

// If the software emulation has no memory for a workspace, an algorithm without a workspace is used. If there is no
// such algorithm, the error is the one of the allocation.
func TestNoMemoryForTheWorkspace(t *testing.T) {
	d := newDevice(t)
	configure(t, "fail=cuMemAlloc_v2#1+:OUT_OF_MEMORY")
	for i, p := range newConv(t, d, ordinary).full.passes {
		if p.workspace != 0 {
			t.Errorf("%v works in %d bytes that there aren't", cuda.Pass(i), p.workspace)
		}
	}
	// The first algorithm that is proposed needs some, and cuDNN refuses the others.
	configure(t, "fail=cudnnGetConvolutionForwardWorkspaceSize#2+:NOT_SUPPORTED")
	_, err := d.NewConv2D(ordinary)
	checkError(t, err, device.ErrOutOfMemory, "convolution forward: its workspace", "bytes wanted")
}

// On the software emulation, a smaller batch is computed by the same algorithm, unless it can't be: then by another.
func TestSmallerBatches(t *testing.T) {
	d := newDevice(t)
	n := &smallNet{t: t, dev: d, params: map[string]*param{}}
	n.param("x", 1, 4, 8, 8, 8)
	n.param("w", 1, 8, 3, 3, 8)
	y := n.zeros(4, 8, 8, 8)
	c := newConv(t, d, ordinary)
	c.Forward(y, n.params["x"].value, n.params["w"].value, nil)
	want := n.download(y)[:3*8*8*8]
	x := n.params["x"].value
	x.SetRows(3)
	y.SetRows(3)
	const refuse = "fail=cudnnGetConvolutionForwardWorkspaceSize#1:NOT_SUPPORTED"
	// The second time it is the heuristics that propose the same algorithm.
	for _, setting := range []string{"", refuse + "; " + strings.Replace(refuse, "#1", "#2", 1)} {
		configure(t, setting)
		c.smaller = map[int]*convBatch{}
		d.Zero(y)
		c.Forward(y, x, n.params["w"].value, nil)
		same(t, n.download(y), want)
		if got := c.smaller[3].passes[cuda.Forward].algorithm; (got == c.full.passes[cuda.Forward].algorithm) != (setting == "") {
			t.Errorf("with %q: algorithm %d, that of the full batch is %d", setting, got, c.full.passes[cuda.Forward].algorithm)
		}
	}
}

// What is measured, ranks in the software emulation, is kept in a file, for this GPU, this cuDNN and these options, and not
// measured again.
func TestAutotune(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", cacheHome(t))
	d := newDevice(t, WithAutotune())
	searches := func() uint64 {
		return cudasim.Calls("cudnnFindConvolutionForwardAlgorithmEx") + cudasim.Calls("cudnnFindConvolutionBackwardDataAlgorithmEx") +
			cudasim.Calls("cudnnFindConvolutionBackwardFilterAlgorithmEx")
	}
	expectSearches := func(what string, want uint64, f func()) {
		t.Helper()
		before := searches()
		f()
		if got := searches() - before; got != want {
			t.Errorf("%s: %d searches, want %d", what, got, want)
		}
	}
	expectSearches("a new convolution", 3, func() { newConv(t, d, ordinary) })
	expectSearches("the same again", 0, func() { newConv(t, d, ordinary) })
	forward := ordinary
	forward.N, forward.NoBackward = 5, true
	expectSearches("another, forward only", 1, func() { newConv(t, d, forward) })
	d.algorithms = newAlgorithmCache(d.info.Description, d.options) // as another process would
	expectSearches("in another process", 0, func() { newConv(t, d, ordinary) })

	file := d.algorithms.file
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var entries map[string]cachedAlgorithm
	if err := json.Unmarshal(text, &entries); err != nil || len(entries) != 4 {
		t.Errorf("%s has %d entries, error %v, want 4", file, len(entries), err)
	}
	for key := range entries {
		if !strings.Contains(key, "fp32, ") || !strings.Contains(key, "software emulation, cuDNN 9") || !strings.Contains(key, "x 4x8x8x8, w 8x3x3x8") && !strings.Contains(key, "x 5x8x8x8") {
			t.Errorf("a key is %q", key)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(file), "cudnn-algorithms*")); len(left) != 1 {
		t.Errorf("the folder has %q", left)
	}

	for _, dtype := range []device.DType{device.Float16, device.BFloat16} {
		other := ordinary
		other.DType = dtype
		expectSearches("the same in "+dtype.String(), 3, func() { newConv(t, d, other) })
		expectSearches("again in "+dtype.String(), 0, func() { newConv(t, d, other) })
	}

	for name, contents := range map[string]string{"not JSON": "{", "null": "null", "another shape": "[1]"} {
		if err := os.WriteFile(file, []byte(contents), 0o644); err != nil {
			t.Fatal(err)
		}
		d.algorithms = newAlgorithmCache(d.info.Description, d.options)
		expectSearches("with a file that is "+name, 3, func() { newConv(t, d, ordinary) })
	}
	o := d.options
	o.deterministic = true
	d.options = o
	d.algorithms = newAlgorithmCache(d.info.Description, o)
	expectSearches("with other options", 3, func() { newConv(t, d, ordinary) })
	d.factors = TF32
	expectSearches("with other products", 3, func() { newConv(t, d, ordinary) })
}

// Searches of a 16-bit convolution get memory of its size, and not that of float32: the software emulation counts. Its
// device is small, because it fills all of the ballast.
func TestAutotuneMemory(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", cacheHome(t))
	emulate(t, "memory=64MiB")
	d := open(t, inFP32([]Option{WithAutotune()})...)
	large := ordinary
	large.N, large.H, large.W, large.NoBackward = 64, 64, 64, true // images of 8 MiB in float32, and results likewise
	for _, c := range []struct {
		dtype device.DType
		fits  uint64 // searches that find room
	}{{device.Float32, 0}, {device.Float16, 1}} {
		large.DType = c.dtype
		free := d.FreeMemory()
		ballast, err := d.NewTensor(device.Uint8, int(free)-12<<20)
		if err != nil {
			t.Fatal(err)
		}
		before := cudasim.Calls("cudnnFindConvolutionForwardAlgorithmEx")
		newConv(t, d, large)
		if got := cudasim.Calls("cudnnFindConvolutionForwardAlgorithmEx") - before; got != c.fits {
			t.Errorf("%v: %d searches in 12 MiB, want %d", c.dtype, got, c.fits)
		}
		runtime.KeepAlive(ballast)
	}
}

// 16-bit operands go to tensor cores, and float32 operands as the precision says; sums are float32. The test checks the
// requests to cuDNN and cuBLAS, because the software emulation always multiplies in float32.
func TestMultiplicationOfTypes(t *testing.T) {
	for _, c := range []struct {
		precision Precision
		dtype     device.DType
		math      cudnn.MathType
		compute   cuda.Compute
	}{
		{FP32, device.Float32, cuda.FMAMath, cuda.ComputeFloat32},
		{TF32, device.Float32, cuda.DefaultMath, cuda.ComputeTF32},
		{FP16, device.Float32, cuda.DefaultMath, cuda.ComputeTF32},
		{FP32, device.Float16, cuda.TensorOpMath, cuda.ComputeFloat32},
		{TF32, device.BFloat16, cuda.TensorOpMath, cuda.ComputeFloat32},
		{FP16, device.Float16, cuda.TensorOpMath, cuda.ComputeFloat32},
	} {
		t.Run(c.precision.String()+" "+c.dtype.String(), func(t *testing.T) {
			d := newDevice(t, WithPrecision(c.precision))
			s := ordinary
			s.DType = c.dtype
			for i, p := range newConv(t, d, s).full.passes {
				if p.math != c.math {
					t.Errorf("%v multiplies with cuDNN's math type %d, want %d", cuda.Pass(i), p.math, c.math)
				}
			}
			product, err := d.NewMatMul(device.MatMulSpec{M: 2, N: 2, K: 2, DType: c.dtype})
			if err != nil {
				t.Fatal(err)
			}
			if got := product.(*matMul).product.Compute; got != c.compute {
				t.Errorf("cuBLAS computes in %d, want %d", got, c.compute)
			}
		})
	}
}

// cacheHome is a folder for the user's cache, in which the software CUDA that is built already is found.
func cacheHome(t *testing.T) string {
	t.Helper()
	old, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "trainer"), 0o755); err != nil {
		t.Fatal(err)
	}
	emulate(t, "") // whose libraries stay loaded, and look for the kernels where they are from
	if err := os.Symlink(filepath.Join(old, "trainer", "cudasim"), filepath.Join(dir, "trainer", "cudasim")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// If the software emulation has no memory to measure, or there is no folder for the file, plans are made anyway.
func TestAutotuneWithoutMemoryOrFile(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", cacheHome(t))
	d := newDevice(t, WithAutotune())
	configure(t, "fail=cuMemAlloc_v2#1:OUT_OF_MEMORY")
	newConv(t, d, ordinary)
	for _, file := range []string{"", "/dev/null/trainer/file"} {
		d.algorithms = newAlgorithmCache(d.info.Description, d.options)
		d.algorithms.file = file
		newConv(t, d, ordinary)
	}
	if err := d.Sync(); err != nil {
		t.Error(err)
	}
}

// A cached algorithm that the software cuDNN doesn't accept is skipped.
func TestAutotuneWithStaleEntry(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", cacheHome(t))
	d := newDevice(t, WithAutotune())
	want := newConv(t, d, ordinary).Algorithm()
	for key, e := range d.algorithms.known {
		e.Algorithm = 999
		d.algorithms.known[key] = e
	}
	if got := newConv(t, d, ordinary).Algorithm(); strings.Contains(got, "999") || !strings.Contains(got, "backward filter") {
		t.Errorf("the algorithms are %q, before they were %q", got, want)
	}
}

func TestAlgorithmNames(t *testing.T) {
	for _, c := range []struct {
		pass   cuda.Pass
		number int
		want   string
	}{
		{cuda.Forward, 1, "forward implicit precomp GEMM"},
		{cuda.Forward, 7, "forward Winograd nonfused"},
		{cuda.BackwardData, 1, "backward data 1"},
		{cuda.BackwardFilter, 6, "backward filter FFT tiling"},
		{cuda.BackwardFilter, 7, "backward filter 7"},
		{cuda.Forward, -1, "forward -1"},
	} {
		if got := algorithmName(c.pass, c.number); got != c.want {
			t.Errorf("algorithm %d of %v is %q, want %q", c.number, c.pass, got, c.want)
		}
	}
}
