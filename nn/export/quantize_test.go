package export

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"trainer/cpu"
	"trainer/nn"
	"trainer/nn/graph"
)

func TestGridsHaveZeroAndTheRange(t *testing.T) {
	for _, tt := range []struct{ low, high float64 }{{-1, 3}, {0, 6}, {-2, 0}, {2, 5}, {-5, -1}, {0, 0}, {-1e-30, 1e-30}, {-1e6, 1}} {
		g := gridOf(tt.low, tt.high)
		if g.round(0) != 0 {
			t.Errorf("%v: 0 becomes %v", tt, g.round(0))
		}
		low, high := min(tt.low, 0), max(tt.high, 0)
		for k := range 1001 {
			x := float32(low + (high-low)*float64(k)/1000)
			// Rounding moves by half a step; the zero point, which is rounded too, may cut another half at either end.
			if d := math.Abs(float64(g.round(x) - x)); d > 1.001*float64(g.scale) {
				t.Errorf("%v: %v becomes %v with steps of %v", tt, x, g.round(x), g.scale)
			}
		}
		if y := float64(g.round(float32(2*high + 1))); y > high+float64(g.scale)+1e-15 {
			t.Errorf("%v: a value above the range becomes %v", tt, y)
		}
	}
}

// From the middle of a step on, the even neighbour is chosen, as by QuantizeLinear.
func TestGridRoundsToEven(t *testing.T) {
	g := grid{scale: 0.5, zero: 10}
	for x, want := range map[float32]float32{0.25: 0, 0.75: 1, 1.25: 1, -0.25: 0, -0.75: -1, -100: -5, 1000: 122.5} {
		if got := g.round(x); got != want {
			t.Errorf("%v becomes %v, want %v", x, got, want)
		}
	}
}

func TestHistogramCutsWhatCostsLess(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	bell, outlier := make([]float32, 1<<16), make([]float32, 1<<16)
	for i := range bell {
		bell[i] = float32(random.NormFloat64())
		outlier[i] = float32(math.Abs(random.NormFloat64()))
	}
	outlier[5] = 40
	for name, x := range map[string][]float32{"bell": bell, "outlier": outlier} {
		h := &histogram{low: math.Inf(1), high: math.Inf(-1)}
		h.extend(x[:100])
		h.extend(x[100:])
		h.count(x[:100])
		h.count(x[100:])
		cost := func(g grid) (sum float64) {
			for _, v := range x {
				d := float64(g.round(v) - v)
				sum += d * d
			}
			return sum
		}
		got, whole := cost(h.grid()), cost(gridOf(h.low, h.high))
		least := math.Inf(1) // of ranges that are cut alike on both sides
		for k := 1; k <= 200; k++ {
			least = min(least, cost(gridOf(h.low*float64(k)/200, h.high*float64(k)/200)))
		}
		if !(got < whole) || got > 1.03*least {
			t.Errorf("%s: the squared error is %v; with the whole range %v, at best %v", name, got, whole, least)
		}
	}
	constant := &histogram{low: math.Inf(1), high: math.Inf(-1)}
	zeros := make([]float32, 10)
	constant.extend(zeros)
	constant.count(zeros)
	if g := constant.grid(); g.round(0) != 0 {
		t.Errorf("a value that is always 0 has the grid %+v", g)
	}
}

func TestWeightsOfEachChannelHaveAScale(t *testing.T) {
	node := graph.Node{Op: graph.Conv, Params: []graph.Param{{Tensor: "w", Shape: []int{4, 2, 1, 3}}, {Tensor: "b", Shape: []int{4}}}}
	n := &network{Graph: &graph.Graph{Nodes: []graph.Node{node}}, values: map[string][]float32{"w": make([]float32, 24), "b": {1, -2, 3, 1e6}}}
	for i := range 18 { // the last channel is 0
		n.values["w"][i] = float32(math.Sin(float64(i+1)) * math.Pow(10, float64(i/6)))
	}
	q := &quantization{values: map[int]grid{}, params: map[string]quantized{}}
	const input = 0.02
	q.quantizeParams(n, node, input)
	rounded := q.rounded(n)
	for i, v := range n.values["w"] {
		if d := math.Abs(float64(rounded.values["w"][i] - v)); d > .501*float64(q.params["w"].scales[i/6]) {
			t.Errorf("weight %d: %v becomes %v with steps of %v", i, v, rounded.values["w"][i], q.params["w"].scales[i/6])
		}
	}
	for c := range 3 {
		if largest := slices.Max(q.params["w"].values[6*c:][:6]); largest < 100 && -slices.Min(q.params["w"].values[6*c:][:6]) < 100 {
			t.Errorf("channel %d uses only %d of 127 steps", c, largest)
		}
	}
	// A bias beside weights that are 0 fits into 32 bits, too.
	for c, v := range n.values["b"] {
		if got := float64(rounded.values["b"][c]); math.Abs(got-float64(v)) > .501*float64(q.params["b"].scales[c])+1e-7*math.Abs(float64(v)) {
			t.Errorf("bias %v becomes %v", v, got)
		}
	}
}

func described(t *testing.T, layers nn.Layer, in nn.Shape) *network {
	t.Helper()
	g, err := nn.GraphOf(layers, in)
	if err != nil {
		t.Fatal(err)
	}
	n := &network{Graph: g, values: map[string][]float32{}}
	random := rand.New(rand.NewPCG(3, 4))
	for _, node := range g.Nodes {
		for _, p := range node.Params {
			size := 1
			for _, d := range p.Shape {
				size *= d
			}
			values := make([]float32, size)
			for i := range values {
				if values[i] = float32(random.NormFloat64()); p.Role == "variance" {
					values[i] = 0.5 + values[i]*values[i]
				}
			}
			n.values[p.Tensor] = values
		}
	}
	return n
}

// Which values are quantised, by the operations that compute them.
func TestQuantizedValues(t *testing.T) {
	conv := func() nn.Layer { return nn.Conv2D{OutC: 4, Kernel: nn.Square(3), Same: true} }
	n := described(t, nn.NewSequential(
		conv(), nn.ReLU{}, // 1, 2: only after the ReLU
		conv(), nn.MaxPool2D{Kernel: nn.Square(2)}, nn.ReLU{}, // 3, 4, 5: one grid, that of the ReLU
		conv(), nn.GELU{}, // 6, 7: both
		nn.Residual{Body: nn.NewSequential(conv(), nn.BatchNorm{})}, nn.ReLU{}, // 8, 9, 10, 11
		nn.GlobalAvgPool{}, nn.Dense{Out: 5}, nn.ReLU{}, nn.Dense{Out: 3}, // 12, 13, 14, 15
	), nn.Shape{8, 8, 3}).folded()
	owner, source := quantizedValues(n)
	got := ""
	for _, id := range slices.Sorted(maps.Keys(owner)) {
		got += fmt.Sprintf("%d:%d/%d ", id, owner[id], source[owner[id]])
	}
	// 8 was folded into 9; 13 is read by a ReLU alone; 15 is the output.
	if want := "0:0/0 2:2/2 3:3/5 4:3/5 5:3/5 6:6/6 7:7/7 9:9/9 11:11/11 12:12/12 14:14/14 "; got != want {
		t.Errorf("value:owner/source are\n%s, want\n%s", got, want)
	}
}

// A batch normalisation becomes a part of the layer before it, also of one without a bias and of one in groups.
func TestFoldedNetworksComputeTheSame(t *testing.T) {
	n := described(t, nn.NewSequential(
		nn.Conv2D{OutC: 6, Kernel: nn.Square(3), NoBias: true}, nn.BatchNorm{}, nn.ReLU{},
		nn.ConvTranspose2D{OutC: 4, Kernel: nn.Square(2), Groups: 2}, nn.BatchNorm{}, nn.MaxPool2D{Kernel: nn.Square(2)}, nn.BatchNorm{}, // stays
		nn.Flatten{}, nn.Dense{Out: 5, NoBias: true}, nn.BatchNorm{}, nn.SiLU{}, nn.Dense{Out: 3},
	), nn.Shape{8, 8, 3})
	f := n.folded()
	if norms := len(slices.DeleteFunc(slices.Clone(f.Nodes), func(n graph.Node) bool { return n.Op != graph.BatchNorm })); norms != 1 {
		t.Errorf("%d batch normalisations are left, want 1", norms)
	}
	dev, err := cpu.New(cpu.WithThreads(1))
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	x := make([]float32, 2*8*8*3)
	for i := range x {
		x[i] = float32(math.Sin(float64(i)))
	}
	run := func(n *network) []float32 {
		s, err := newSimulator(dev, n)
		if err != nil {
			t.Fatal(err)
		}
		y, err := s.run(slices.Clone(x), 2)
		if err != nil {
			t.Fatal(err)
		}
		return y
	}
	want, got := run(n), run(f)
	scale := float64(max(slices.Max(want), -slices.Min(want)))
	for i := range want {
		if d := math.Abs(float64(want[i] - got[i])); d > 1e-5*scale {
			t.Errorf("output %d: %v, folded %v", i, want[i], got[i])
		}
	}
}
