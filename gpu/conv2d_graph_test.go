//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"strings"
	"testing"

	"trainer/gpu/cudasim"
	"trainer/gpu/internal/cuda"
	"trainer/nn/device"
	"trainer/nn/device/devicetest"
)

// The graph engines of the software cuDNN are modelled on those of cuDNN 9.28 for compute capability 9.0: see
// gpu/cudasim/src/dnn_graph.cpp.

// newHopper returns a device of the software emulation with compute capability 9.0.
func newHopper(t testing.TB, opts ...Option) *Device {
	t.Helper()
	emulate(t, "cc=90")
	d := open(t, inFP32(opts)...)
	d.heap.least = 1 << 20
	return d
}

// suiteVariable asks for TestGraphSuite.
const suiteVariable = "TRAINER_TEST_GRAPHS"

// TestGraphConformance runs the convolution parts of the conformance suite, with graphs whenever cuDNN supports them.
func TestGraphConformance(t *testing.T) {
	var parts []string
	for _, part := range []string{"conv2d", "fused-epilogue"} {
		parts = append(parts, "^TestGraphSuite$/^"+part+"$", "^TestGraphSuite$/^b?float16$/^"+part+"$")
	}
	cmd := exec.Command(os.Args[0], "-test.v", "-test.run="+strings.Join(parts, "|"))
	cmd.Env = append(os.Environ(), suiteVariable+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	for _, want := range []string{"--- PASS: TestGraphSuite ", "--- PASS: TestGraphSuite/conv2d/3x3-32-channels ", "--- PASS: TestGraphSuite/bfloat16/conv2d/3x3-32-channels "} {
		if !strings.Contains(string(out), want) {
			t.Errorf("there is no %q in\n%s", want, out)
		}
	}
}

func TestGraphSuite(t *testing.T) {
	if os.Getenv(suiteVariable) == "" {
		t.Skip("TestGraphConformance runs this, in part")
	}
	d := anyDevice(t, WithDeterministic())
	d.graphUse = graphsAlways
	devicetest.RunAllWith(t, d, devicetest.Options{Tile: 4})
	if os.Getenv(gpuVariable) == "" && cudasim.Calls("cudnnBackendExecute") < 100 {
		t.Errorf("%d graphs were run", cudasim.Calls("cudnnBackendExecute"))
	}
	for _, old := range []string{"cudnnConvolutionForward", "cudnnConvolutionBiasActivationForward", "cudnnConvolutionBackwardData", "cudnnConvolutionBackwardFilter"} {
		if n := cudasim.Calls(old); n != 0 {
			t.Errorf("%s was called %d times", old, n)
		}
	}
}

// engines returns the numbers of a convolution's graph engines by pass: -1 for an algorithm.
func engines(c *conv2D) (numbers [3]int) {
	for i, pass := range c.full.passes {
		numbers[i] = -1
		if pass.graph != nil {
			numbers[i] = pass.graph.engine.Number
		}
	}
	return numbers
}

// The engine or algorithm chosen on the software emulation depends on the GPU, on the precision of products, and on
// determinism.
func TestGraphChoice(t *testing.T) {
	odd := ordinary // 7 channels: engines without tensor cores are proposed for it
	odd.InC, odd.OutC = 7, 7
	for _, c := range []struct {
		name string
		cc   int
		spec device.Conv2DSpec
		as   device.DType
		opts []Option
		want [3]int // engine of each pass, -1 for an algorithm
	}{
		{"an older GPU", 80, ordinary, device.BFloat16, nil, [3]int{-1, -1, -1}},
		{"bfloat16", 90, ordinary, device.BFloat16, nil, [3]int{62, 62, 20}},
		{"float16", 90, ordinary, device.Float16, nil, [3]int{62, 62, 20}},
		{"deterministic", 90, ordinary, device.Float16, []Option{WithDeterministic()}, [3]int{62, 62, 62}},
		{"TF32", 90, ordinary, device.Float32, []Option{WithPrecision(TF32), WithDeterministic()}, [3]int{67, 67, 67}},
		// Without tensor cores, only a fallback engine is proposed for the forward pass; an algorithm comes before it.
		{"FP32", 90, ordinary, device.Float32, []Option{WithDeterministic()}, [3]int{-1, 28, 28}},
		{"FP32 with odd channels", 90, odd, device.Float32, []Option{WithDeterministic()}, [3]int{28, 28, 28}},
	} {
		t.Run(c.name, func(t *testing.T) {
			emulate(t, fmt.Sprintf("cc=%d", c.cc))
			d := open(t, inFP32(c.opts)...)
			c.spec.DType = c.as
			conv := newConv(t, d, c.spec)
			if got := engines(conv); got != c.want {
				t.Errorf("engines %v, want %v", got, c.want)
			}
			if named := strings.Contains(conv.Algorithm(), fmt.Sprintf("backward data graph engine %d", c.want[1])); named != (c.want[1] >= 0) {
				t.Errorf("the algorithm is %q", conv.Algorithm())
			}
			d.graphUse = graphsNever
			if got, want := engines(newConv(t, d, c.spec)), [3]int{-1, -1, -1}; got != want {
				t.Errorf("engines %v where graphs aren't to be used", got)
			}
		})
	}
}

// Equal convolutions share a graph, and no engine of the software emulation works in more memory than the limit.
func TestGraphWorkspace(t *testing.T) {
	d := newHopper(t, WithPrecision(TF32), WithDeterministic())
	free := newConv(t, d, ordinary)
	again := newConv(t, d, ordinary)
	for i, pass := range free.full.passes {
		if pass.graph != again.full.passes[i].graph {
			t.Errorf("%v: an equal convolution has a graph of its own", cuda.Pass(i))
		}
		if pass.workspace <= 131 || d.workspace.bytes < pass.workspace {
			t.Errorf("%v: a workspace of %d bytes, reserved are %d: the test tests nothing", cuda.Pass(i), pass.workspace, d.workspace.bytes)
		}
	}
	// Deterministic algorithms of both backward passes need a workspace too; a fallback engine needs none.
	without := [3]int{-1, 0, 0}
	for _, c := range []struct {
		limit int64
		want  [3]int
	}{{131, [3]int{67, 67, 67}}, {130, without}} {
		d.workspaceLimit = c.limit
		conv := newConv(t, d, ordinary)
		if got := engines(conv); got != c.want {
			t.Errorf("in %d bytes: engines %v, want %v", c.limit, got, c.want)
		}
		for i, pass := range conv.full.passes {
			if pass.workspace > c.limit {
				t.Errorf("%v works in %d bytes, the limit is %d", cuda.Pass(i), pass.workspace, c.limit)
			}
		}
	}
	// The same if there is no memory for a workspace.
	d.workspaceLimit = 1 << 30
	d.workspace = nil
	configure(t, "fail=cuMemAlloc_v2#1+:OUT_OF_MEMORY")
	if got := engines(newConv(t, d, ordinary)); got != without {
		t.Errorf("without memory: engines %v, want %v", got, without)
	}
}

// convOn runs all passes of a convolution with bias and ReLU on given numbers, and returns the results.
func convOn(t *testing.T, d *Device, s device.Conv2DSpec, n int) (out []float32, c *conv2D) {
	t.Helper()
	plan, err := d.NewConv2DReLU(s)
	if err != nil {
		t.Fatal(err)
	}
	net := &smallNet{t: t, dev: d, params: map[string]*param{}}
	net.param("x", 1, s.N, s.H, s.W, s.InC)
	net.param("w", 1, s.OutC, s.KH, s.KW, s.InC/s.Groups)
	net.param("dy", 1, s.N, s.OutH(), s.OutW(), s.OutC)
	x, w, dy := net.params["x"].value, net.params["w"].value, net.params["dy"].value
	y, dx, dw := net.zeros(s.N, s.OutH(), s.OutW(), s.OutC), net.zeros(s.N, s.H, s.W, s.InC), net.zeros(s.OutC, s.KH, s.KW, s.InC/s.Groups)
	for _, t := range []*device.Tensor{x, dy, y, dx} {
		t.SetRows(n)
	}
	var bias *device.Tensor
	if s.Bias {
		net.param("bias", 1, s.OutC)
		bias = net.params["bias"].value
	}
	plan.Forward(y, x, w, bias)
	plan.BackwardData(dx, dy, w)
	plan.BackwardFilter(dw, nil, dy, x)
	for _, t := range []*device.Tensor{y, dx, dw} {
		out = append(out, net.download(t)...)
	}
	return out, plan.(*conv2D)
}

// Whatever fails in preparing a graph, the old calls give the same result on the software emulation, and there is no
// fault.
func TestGraphsFallBack(t *testing.T) {
	spec := ordinary
	spec.Bias = true
	var want []float32
	for _, fault := range []string{
		"", "cudnnBackendCreateDescriptor#1+:NOT_SUPPORTED", "cudnnBackendCreateDescriptor#1+:INTERNAL_ERROR_HOST_ALLOCATION_FAILED", "cudnnBackendSetAttribute#1+:BAD_PARAM",
		"cudnnBackendFinalize#1+:NOT_SUPPORTED", "cudnnBackendFinalize#1+:INTERNAL_ERROR", "cudnnBackendFinalize#40+:EXECUTION_FAILED",
		"cudnnBackendGetAttribute#1+:NOT_SUPPORTED", "cudnnBackendGetAttribute#3+:INTERNAL_ERROR",
		"cudnnEngine67#1+:NOT_SUPPORTED;fail=cudnnEngine38#1+:NOT_SUPPORTED_RUNTIME_PREREQUISITE_MISSING;fail=cudnnEngine28#1+:INTERNAL_ERROR;fail=cudnnEngine20#1+:NOT_SUPPORTED;fail=cudnnEngine25#1+:NOT_SUPPORTED",
		// The library reports it only when the graph runs: at the first call of each pass.
		"cudnnBackendExecute#1+:NOT_SUPPORTED",
	} {
		t.Run(fault, func(t *testing.T) {
			d := newHopper(t, WithPrecision(TF32))
			if fault != "" {
				configure(t, "fail="+fault)
			}
			got, c := convOn(t, d, spec, spec.N)
			if want == nil {
				want = got
			}
			same(t, got, want)
			if err := d.Sync(); err != nil {
				t.Error(err)
			}
			for i, number := range engines(c) {
				if (number >= 0) != (fault == "") && !strings.Contains(fault, "#40+") {
					t.Errorf("%v: engine %d with the fault %q", cuda.Pass(i), number, fault)
				}
			}
		})
	}
}

// If one proposal can't be prepared, the next is used. A failure while running, other than for lack of support, is a
// fault.
func TestGraphFaults(t *testing.T) {
	d := newHopper(t, WithPrecision(TF32), WithDeterministic())
	configure(t, "fail=cudnnEngine67#1:NOT_SUPPORTED")
	if g := newConv(t, d, ordinary).full.passes[cuda.Forward].graph; g == nil || g.engine.Number != 67 || g.engine.Place != 1 {
		t.Errorf("the graph is %+v, want the second choice of engine 67", g)
	}
	configure(t, "fail=cudnnBackendExecute#1:EXECUTION_FAILED")
	net := &smallNet{t: t, dev: d, params: map[string]*param{}}
	net.param("x", 1, 4, 8, 8, 8)
	net.param("w", 1, 8, 3, 3, 8)
	newConv(t, d, ordinary).Forward(net.zeros(4, 8, 8, 8), net.params["x"].value, net.params["w"].value, nil)
	if err := d.Sync(); err == nil || !strings.Contains(err.Error(), "cudnnBackendExecute") {
		t.Errorf("the fault is %v", err)
	}
}

// On the software emulation every way to add bias and activation gives the same result: in the graph, with zeros for a
// bias, or after the graph.
func TestGraphEpilogue(t *testing.T) {
	each := ordinary // filters see one channel: bias and ReLU come after. With one filter per channel they would not be cuDNN's
	each.Groups, each.OutC = each.InC, 2*each.InC
	for _, spec := range []device.Conv2DSpec{ordinary, each} {
		for _, bias := range []bool{false, true} {
			spec.Bias = bias
			t.Run(fmt.Sprintf("%d groups, bias %v", spec.Groups, bias), func(t *testing.T) {
				d := newHopper(t, WithPrecision(TF32))
				d.graphUse = graphsNever
				want, _ := convOn(t, d, spec, spec.N)
				d.graphUse = graphsWhereFaster
				got, c := convOn(t, d, spec, spec.N)
				same(t, got, want)
				if g := c.full.passes[cuda.Forward].graph; g == nil || g.fused != (spec.Groups == 1) {
					t.Errorf("the graph is %+v", g)
				}
			})
		}
	}
}

// A smaller batch is computed on the full batch's engine unless that is impossible; on the software emulation the
// result is the same.
func TestGraphOfSmallerBatch(t *testing.T) {
	for _, fault := range []string{"", "fail=cudnnEngine67#4+:NOT_SUPPORTED"} {
		t.Run(fault, func(t *testing.T) {
			d := newHopper(t, WithPrecision(TF32), WithDeterministic())
			d.graphUse = graphsNever
			want, _ := convOn(t, d, ordinary, 3)
			d.graphUse = graphsWhereFaster
			configure(t, fault) // the first three calls are for the full batch
			got, c := convOn(t, d, ordinary, 3)
			same(t, got, want)
			for i, pass := range c.smaller[3].passes {
				if engine := pass.graph.engine.Number; (engine == 67) != (fault == "") {
					t.Errorf("%v of 3 images: engine %d, that of the full batch is 67", cuda.Pass(i), engine)
				}
			}
		})
	}
}

// A recorded step runs graphs as it is recorded, not as it is replayed, and on the software emulation gives the bits of the
// step run directly.
func TestGraphsAreRecorded(t *testing.T) {
	for _, dtype := range []device.DType{device.Float32, device.BFloat16} {
		t.Run(dtype.String(), func(t *testing.T) {
			d := newHopper(t, WithPrecision(TF32), WithDeterministic())
			direct, recorded := newSmallNetOf(t, d, true, dtype), newSmallNetOf(t, d, true, dtype)
			const steps = 3
			for i := range steps {
				direct.count(int32(i))
				direct.step()
			}
			before := cudasim.Calls("cudnnBackendExecute")
			g := capture(t, d, recorded.step)
			called := cudasim.Calls("cudnnBackendExecute") - before
			if called == 0 {
				t.Error("the step has no graphs: the test tests nothing")
			}
			for i := range steps {
				recorded.count(int32(i))
				g.Launch()
			}
			same(t, recorded.weights(), direct.weights())
			if now := cudasim.Calls("cudnnBackendExecute") - before; now != called {
				t.Errorf("%d calls in %d replays", now-called, steps)
			}
		})
	}
}

// Running a graph allocates nothing on the heap.
func TestGraphsAllocateNothing(t *testing.T) {
	for _, dtype := range []device.DType{device.Float32, device.Float16} {
		t.Run(dtype.String(), func(t *testing.T) {
			d := newHopper(t, WithPrecision(TF32))
			spec := ordinary
			spec.Bias, spec.DType = true, dtype
			plan, err := d.NewConv2DReLU(spec)
			if err != nil {
				t.Fatal(err)
			}
			tensor := func(dtype device.DType, shape ...int) *device.Tensor {
				x, err := d.NewTensor(dtype, shape...)
				if err != nil {
					t.Fatal(err)
				}
				return x
			}
			x, y, w, bias := tensor(dtype, 4, 8, 8, 8), tensor(dtype, 4, 8, 8, 8), tensor(dtype, 8, 3, 3, 8), tensor(device.Float32, 8)
			for name, call := range map[string]func(){
				"forward":         func() { plan.Forward(y, x, w, bias) },
				"backward data":   func() { plan.BackwardData(x, y, w) },
				"backward filter": func() { plan.BackwardFilter(w, nil, y, x) },
			} {
				before := cudasim.Calls("cudnnBackendExecute")
				if n := testing.AllocsPerRun(10, call); n != 0 {
					t.Errorf("%s in %v: %v allocations", name, dtype, n)
				}
				if cudasim.Calls("cudnnBackendExecute") == before {
					t.Errorf("%s in %v is no graph", name, dtype)
				}
			}
		})
	}
}

// The software emulation is made slow at one or the other: the faster one is used, stored, and used again without being
// measured.
func TestAutotuneOfGraphs(t *testing.T) {
	algorithms := []string{"cudnnConvolutionForward", "cudnnConvolutionBiasActivationForward", "cudnnConvolutionBackwardData", "cudnnConvolutionBackwardFilter"}
	measured := func() (n uint64) {
		for _, f := range append(algorithms, "cudnnBackendExecute") {
			n += cudasim.Calls(f)
		}
		return n
	}
	for _, c := range []struct {
		name  string
		slow  []string
		cc    int
		graph bool
	}{
		{"slow algorithms", algorithms, 90, true},
		{"slow algorithms on an older GPU", algorithms, 80, true},
		{"slow graphs", []string{"cudnnBackendExecute"}, 90, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("XDG_CACHE_HOME", cacheHome(t))
			emulate(t, fmt.Sprintf("cc=%d", c.cc))
			for _, f := range c.slow {
				configure(t, "slow="+f+":3000")
			}
			d := open(t, WithPrecision(TF32), WithAutotune())
			spec := ordinary
			spec.Bias = true
			first, err := d.NewConv2DReLU(spec)
			if err != nil {
				t.Fatal(err)
			}
			for i, pass := range first.(*conv2D).full.passes {
				if (pass.graph != nil) != c.graph {
					t.Errorf("%v: a graph: %v", cuda.Pass(i), pass.graph != nil)
				}
			}
			if len(d.graphPasses) > 3 {
				t.Errorf("%d graphs are kept", len(d.graphPasses))
			}
			before := measured()
			d.algorithms = newAlgorithmCache(d.info.Description, d.options) // as another process would
			again, err := d.NewConv2DReLU(spec)
			if err != nil {
				t.Fatal(err)
			}
			if n := measured() - before; n != 0 {
				t.Errorf("%d runs to measure what is known", n)
			}
			if again.Algorithm() != first.Algorithm() {
				t.Errorf("%q, before it was %q", again.Algorithm(), first.Algorithm())
			}
			for i, pass := range again.(*conv2D).full.passes {
				if pass.graph != first.(*conv2D).full.passes[i].graph {
					t.Errorf("%v: another choice of an engine", cuda.Pass(i))
				}
			}
		})
	}
}

// The fastest graph is stored with its engine and place; if cuDNN no longer has a stored engine, the pass is measured
// again. All this is on the software emulation.
func TestAutotunedGraphsOfAFile(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", cacheHome(t))
	emulate(t, "cc=90;slow=cudnnConvolutionForward:3000")
	d := open(t, WithPrecision(TF32), WithAutotune())
	spec := ordinary
	spec.NoBackward = true
	want := newConv(t, d, spec).full.passes[cuda.Forward].graph
	read := func() (e cachedAlgorithm) {
		text, err := os.ReadFile(d.algorithms.file)
		if err != nil {
			t.Fatal(err)
		}
		var entries map[string]cachedAlgorithm
		if err := json.Unmarshal(text, &entries); err != nil || len(entries) != 1 {
			t.Fatalf("%d entries, error %v", len(entries), err)
		}
		for _, e = range entries {
		}
		return e
	}
	w := read().Winner
	if w == nil || !w.Graph || w.Engine != want.engine.Number || w.Place != want.engine.Place || w.Fallback != (want.engine.Heuristics == cuda.Fallback) || w.Time <= 0 {
		t.Fatalf("the file has %+v, the winner is %+v", w, want.engine)
	}
	for key, e := range d.algorithms.known {
		e.Winner.Engine = 999
		d.algorithms.known[key] = e
	}
	if c := newConv(t, d, spec); c.full.passes[cuda.Forward].graph == nil || read().Winner.Engine == 999 {
		t.Errorf("with a stale entry: %q, the file has %+v", c.Algorithm(), read().Winner)
	}
	// Without memory to measure graphs, the algorithm is used, and no winner is stored.
	spec.N = 5
	configure(t, "fail=cuMemAlloc_v2#5+:OUT_OF_MEMORY") // the first four are for the search among algorithms
	if c := newConv(t, d, spec); c.full.passes[cuda.Forward].graph != nil {
		t.Errorf("without memory: %q", c.Algorithm())
	}
}

// A device that keeps what another one chose measures nothing, also without that one's cache of algorithms.
func TestKeepAlgorithms(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", cacheHome(t))
	emulate(t, "cc=90;slow=cudnnConvolutionForward:3000")
	spec := ordinary
	spec.NoBackward = true
	d := open(t, WithPrecision(TF32))
	d.Autotune()
	first := newConv(t, d, spec)
	chosen := d.ChosenAlgorithms()
	if first.full.passes[cuda.Forward].graph == nil || len(chosen) == 0 {
		t.Fatalf("%q, with the choices %q", first.Algorithm(), chosen)
	}
	d.Close()

	t.Setenv("XDG_CACHE_HOME", cacheHome(t))
	emulate(t, "cc=90;slow=cudnnBackendExecute:3000") // measured now, the choice would be another
	again := open(t, WithPrecision(TF32), WithAutotune())
	if err := again.KeepAlgorithms(chosen); err != nil {
		t.Fatal(err)
	}
	before := cudasim.Calls("cudnnBackendExecute")
	second := newConv(t, again, spec)
	if second.full.passes[cuda.Forward].graph == nil || second.Algorithm() != first.Algorithm() {
		t.Errorf("%q, before it was %q", second.Algorithm(), first.Algorithm())
	}
	if n := cudasim.Calls("cudnnBackendExecute") - before; n != 0 {
		t.Errorf("%d runs to measure what is known", n)
	}
	if err := again.KeepAlgorithms([]byte("{")); err == nil {
		t.Error("a damaged text is accepted")
	}
}

// The numbers that convolutions are measured on are neither zero nor large.
func TestNoise(t *testing.T) {
	value := map[device.DType]func(b []byte) float64{
		device.Float32: func(b []byte) float64 {
			return float64(math.Float32frombits(uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24))
		},
		device.BFloat16: func(b []byte) float64 { return float64(math.Float32frombits(uint32(b[0])<<16 | uint32(b[1])<<24)) },
		device.Float16: func(b []byte) float64 {
			h := int(b[0]) | int(b[1])<<8
			return math.Copysign(math.Ldexp(1+float64(h&1023)/1024, h>>10&31-15), float64(-(h>>15)*2+1))
		},
	}
	for dtype, at := range value {
		bytes := noiseBytes(dtype, 4000)
		if len(bytes) != 4000 {
			t.Fatalf("%v: %d bytes", dtype, len(bytes))
		}
		negative, distinct := 0, map[float64]bool{}
		for i := 0; i < len(bytes); i += dtype.Size() {
			x := at(bytes[i:])
			if math.Abs(x) < 0.125 || math.Abs(x) >= 1 {
				t.Fatalf("%v: number %d is %v", dtype, i, x)
			}
			if x < 0 {
				negative++
			}
			distinct[x] = true
		}
		if n := 4000 / dtype.Size(); negative < n/3 || negative > n*2/3 || len(distinct) < n/4 {
			t.Errorf("%v: %d of %d are negative, %d are distinct", dtype, negative, n, len(distinct))
		}
	}
}
