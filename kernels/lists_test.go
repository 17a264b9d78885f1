package kernels_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"

	"trainer/kernels"
	"trainer/nn/device"
)

// lengths are the lengths of a list of tensors: one element, less and more than a chunk, and a
// whole number of chunks.
func lengths() []int { return []int{1, 33, 2*2048 + 7, 2048, 257} }

// chunksOf creates a table of chunks on the device, and returns it with its grid.
func chunksOf(h *host, lengths []int) (pointer, kernels.Grid) {
	chunks := kernels.Chunks(lengths)
	return h.upload(kernels.Table(chunks)), kernels.Grid{X: len(chunks), Y: 1}
}

func uploadAll(h *host, tensors [][]float64) []pointer {
	var p []pointer
	for _, t := range tensors {
		p = append(p, h.upload(encode(kernels.Float32, t)))
	}
	return p
}

// column creates a table with one pointer per row.
func column(p []pointer) [][]pointer {
	var rows [][]pointer
	for _, q := range p {
		rows = append(rows, []pointer{q})
	}
	return rows
}

// The Go types of rows have the layouts of the C++ structures.
func TestTables(t *testing.T) {
	slot := kernels.Table([]kernels.Slot{{Value: 1, Grad: 2, State1: 3, State2: 4, Group: 5}})
	var want []byte
	for i := range uint64(4) {
		want = binary.LittleEndian.AppendUint64(want, i+1)
	}
	if want = append(want, int32s(5, 0)...); !bytes.Equal(slot, want) {
		t.Errorf("a slot is %v, want %v", slot, want)
	}
	if got := kernels.Table([]kernels.Pair{{Dst: 1, Src: 2}}); !bytes.Equal(got, want[:16]) {
		t.Errorf("a pair is %v, want %v", got, want[:16])
	}
	if got, want := kernels.Table([]kernels.Chunk{{Tensor: 1, From: 2, To: 3}}), int32s(1, 2, 3); !bytes.Equal(got, want) {
		t.Errorf("a chunk is %v, want %v", got, want)
	}
}

// parameter is one weight with its states, and the magnitudes of their terms.
type parameter struct {
	w, state1, state2     float64
	magnitude, magnitude1 float64
}

// rule is an update rule and its kernel.
type rule struct {
	name     string
	kernel   kernels.Name
	kind     device.OptimizerKind
	nesterov bool
	states   int
	momentum float32
	epsilon  float32
	beta2    float32
}

func rules() []rule {
	return []rule{
		{name: "sgd", kernel: kernels.OptimizerSGD, kind: device.SGD},
		{name: "sgd-momentum", kernel: kernels.OptimizerSGD, kind: device.SGD, states: 1, momentum: 0.875},
		{name: "nesterov", kernel: kernels.OptimizerNesterov, kind: device.SGD, nesterov: true, states: 1, momentum: 0.875},
		{name: "nesterov-without-state", kernel: kernels.OptimizerNesterov, kind: device.SGD, nesterov: true},
		{name: "adam", kernel: kernels.OptimizerAdam, kind: device.Adam, states: 2, momentum: 0.9, epsilon: 1e-8, beta2: 0.99},
		{name: "rmsprop", kernel: kernels.OptimizerRMSProp, kind: device.RMSProp, states: 1, epsilon: 1e-6, beta2: 0.9},
		{name: "rmsprop-momentum", kernel: kernels.OptimizerRMSProp, kind: device.RMSProp, states: 2, momentum: 0.5, epsilon: 1e-6, beta2: 0.9},
	}
}

// step updates p according to the rule with a row of hyperparameters, as device.OptimizerKind
// defines it.
func (r rule) step(p *parameter, h [device.HyperLen]float32, grad float64, decoupled bool) {
	at := func(i int) float64 { return float64(h[i]) }
	g := at(device.HyperGradScale) * grad
	terms := math.Abs(g)
	if decoupled {
		p.w -= at(device.HyperLR) * at(device.HyperWeightDecay) * p.w
	} else {
		g += at(device.HyperWeightDecay) * p.w
		terms += math.Abs(at(device.HyperWeightDecay) * p.w)
	}
	update, size := g, terms
	momentum, beta2 := at(device.HyperMomentum), at(device.HyperBeta2)
	switch r.kind {
	case device.SGD:
		if r.states == 0 {
			break
		}
		p.state1, p.magnitude1 = momentum*p.state1+g, momentum*p.magnitude1+terms
		update, size = p.state1, p.magnitude1
		if r.nesterov {
			update, size = g+momentum*p.state1, terms+momentum*p.magnitude1
		}
	case device.Adam:
		fresh := at(device.HyperNewMomentum)
		p.state1, p.magnitude1 = momentum*p.state1+fresh*g, momentum*p.magnitude1+fresh*terms
		p.state2 = beta2*p.state2 + at(device.HyperNewBeta2)*g*g
		scale := at(device.HyperCorrection1) / (math.Sqrt(p.state2*at(device.HyperCorrection2)) + float64(r.epsilon))
		update, size = p.state1*scale, p.magnitude1*scale
	case device.RMSProp:
		p.state1 = beta2*p.state1 + at(device.HyperNewBeta2)*g*g
		scale := 1 / (math.Sqrt(p.state1) + float64(r.epsilon))
		update, size = g*scale, terms*scale
		if r.states == 2 {
			p.state2, p.magnitude1 = momentum*p.state2+g*scale, momentum*p.magnitude1+terms*scale
			update, size = p.state2, p.magnitude1
		}
	}
	p.w -= at(device.HyperLR) * update
	p.magnitude += math.Abs(at(device.HyperLR)) * size
}

func TestOptimizer(t *testing.T) {
	for _, r := range rules() {
		for _, decoupled := range []bool{false, true} {
			t.Run(name(r.name, decoupled), func(t *testing.T) { r.test(t, decoupled) })
		}
	}
}

// test takes three steps with two groups. The hyperparameters and the state of loss scaling
// together scale the gradients by 1/8. Before them comes a step that loss scaling skips.
func (r rule) test(t *testing.T, decoupled bool) {
	const steps = 3
	hyper := func(step, group int) (h [device.HyperLen]float32) {
		h = [device.HyperLen]float32{
			device.HyperLR: 0.125 / float32(step+1), device.HyperWeightDecay: 0.0625 * float32(group), device.HyperGradScale: 0.5,
		}
		device.SetBetas(h[:], float64(r.momentum), float64(r.beta2))
		h[device.HyperCorrection1] = float32(1 / (1 - math.Pow(float64(r.momentum), float64(step+1))))
		h[device.HyperCorrection2] = float32(1 / (1 - math.Pow(float64(r.beta2), float64(step+1))))
		return h
	}
	src := newSource("optimizer/" + r.name)
	var values [][]float64
	grads := make([][][]float64, steps)
	for _, n := range lengths() {
		values = append(values, src.values(n, kernels.Float32))
		for i := range grads {
			grads[i] = append(grads[i], src.values(n, kernels.Float32))
		}
	}
	results := run(t, func(h *host) []pointer {
		w := uploadAll(h, values)
		chunks, grid := chunksOf(h, lengths())
		var state1, state2 []pointer
		for _, n := range lengths() {
			state1, state2 = append(state1, h.upload(make([]byte, 4*n))), append(state2, h.upload(make([]byte, 4*n)))
		}
		step := func(at int, skip float64) {
			var rows [][]pointer
			var groups []int32
			for i, g := range uploadAll(h, grads[at]) {
				row := []pointer{w[i], g, null, null}
				copy(row[2:], []pointer{state1[i], state2[i]}[:r.states])
				rows, groups = append(rows, row), append(groups, int32(i%2))
			}
			var numbers []float64
			for group := range 2 {
				for _, v := range hyper(at, group) {
					numbers = append(numbers, float64(v))
				}
			}
			args := []any{h.table(rows, groups...), chunks, h.upload(encode(kernels.Float32, numbers)), h.upload(encode(kernels.Float32, []float64{4, 0.25, skip, 0}))}
			if r.epsilon > 0 {
				args = append(args, r.epsilon)
			}
			h.launch(r.kernel, grid, append(args, decoupled)...)
		}
		step(2, 1)
		for i := range steps {
			step(i, 0)
		}
		all := w
		if r.states > 0 {
			all = append(all, state1...)
		}
		if r.states > 1 {
			all = append(all, state2...)
		}
		return all
	})
	for i, n := range lengths() {
		want := [3]sums{newSums(n, elementwiseUlps*steps), newSums(n, elementwiseUlps*steps), newSums(n, elementwiseUlps*steps)}
		for k := range n {
			p := parameter{w: values[i][k]}
			for at := range steps {
				r.step(&p, hyper(at, i%2), grads[at][i][k]*0.25, decoupled)
			}
			want[0].set(k, p.w, math.Abs(values[i][k])+p.magnitude)
			// The second moments are sums of squares; g is off by the ulps of its terms.
			want[1].set(k, p.state1, math.Abs(p.state1)+p.magnitude1)
			want[2].set(k, p.state2, math.Abs(p.state2)+p.magnitude1)
			if r.kind != device.SGD {
				want[1].magnitude[k], want[2].magnitude[k] = want[1].magnitude[k]+1, want[2].magnitude[k]+1
			}
		}
		for j := 0; j <= r.states; j++ {
			want[j].check(t, name([]string{"weights", "state 1", "state 2"}[j], n), kernels.Float32, results[j*len(lengths())+i])
		}
	}
}

func TestAverage(t *testing.T) {
	for _, copyBack := range []bool{false, true} {
		var dst, src [][]float64
		random := newSource("average")
		for _, n := range lengths() {
			dst, src = append(dst, random.values(n, kernels.Float32)), append(src, random.values(n, kernels.Float32))
		}
		const decay = 0.8125
		results := run(t, func(h *host) []pointer {
			d, s := uploadAll(h, dst), uploadAll(h, src)
			var rows [][]pointer
			for i := range d {
				rows = append(rows, []pointer{d[i], s[i]})
			}
			chunks, grid := chunksOf(h, lengths())
			h.launch(kernels.Average, grid, h.table(rows), chunks, h.upload(encode(kernels.Float32, []float64{decay, 1 - decay})), copyBack)
			return append(d, s...)
		})
		for i, n := range lengths() {
			mean, kept := newSums(n, elementwiseUlps), newSums(n, 0)
			for k := range n {
				mean.add(k, decay*dst[i][k])
				mean.add(k, (1-decay)*src[i][k])
				kept.add(k, src[i][k])
			}
			if copyBack {
				kept = mean
			}
			mean.check(t, name("average", n), kernels.Float32, results[i])
			kept.check(t, name("source", n), kernels.Float32, results[len(lengths())+i])
		}
	}
}

func TestClip(t *testing.T) {
	for _, c := range []struct {
		name              string
		maxNorm, maxValue float64
		size, inverse     float64
	}{
		{"norm", 1, 0, 1, 1},
		{"norm-not-reached", 1e3, 0, 1, 1},
		{"norm-whose-squares-overflow", 1, 0, 1e30, 1},
		{"norm-of-scaled-gradients", 1, 0, 1024, 1.0 / 1024},
		{"value", 0, 0.25, 1, 1},
		{"value-of-scaled-gradients", 0, 0.25, 1024, 1.0 / 1024},
		{"both", 5, 0.125, 1, 1},
		{"none", 0, 0, 1, 1},
		{"zeros", 1, 1, 0, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			var grads [][]float64
			src := newSource("clip")
			squares, count := 0.0, 0
			for _, n := range lengths() {
				grads = append(grads, src.between(n, -c.size, c.size, kernels.Float32))
				for _, v := range grads[len(grads)-1] {
					squares += v * v
					count++
				}
			}
			results := run(t, func(h *host) []pointer {
				g := uploadAll(h, grads)
				launchClip(h, g, lengths(), c.maxNorm, c.maxValue, c.inverse)
				return g
			})
			factor := 1.0
			if norm := math.Sqrt(squares) * c.inverse; c.maxNorm > 0 && norm > c.maxNorm {
				factor = c.maxNorm / norm
			}
			for i, g := range grads {
				want := newSums(len(g), 2) // the sums are in float64: what remains is the rounding of the multiplier and of the product
				for k, v := range g {
					limited := v * factor
					if c.maxValue > 0 {
						limited = math.Max(-c.maxValue/c.inverse, math.Min(c.maxValue/c.inverse, limited))
					}
					want.add(k, limited)
				}
				want.check(t, name("gradient", len(g)), kernels.Float32, results[i])
			}
		})
	}
}

func launchClip(h *host, g []pointer, lengths []int, maxNorm, maxValue, inverse float64) {
	h.t.Helper()
	table := h.table(column(g))
	chunks, grid := chunksOf(h, lengths)
	partial, factor, blocks := h.blank(8*grid.X), h.blank(8), 0
	if maxNorm > 0 {
		h.launch(kernels.ClipSumSquares, grid, partial, table, chunks)
		blocks = grid.X
	}
	scaling := null
	if inverse != 1 {
		scaling = h.upload(encode(kernels.Float32, []float64{1 / inverse, inverse, 0, 0}))
	}
	h.launch(kernels.ClipFactor, kernels.Grid{X: 1, Y: 1}, factor, partial, blocks, float32(maxNorm), float32(maxValue), scaling)
	h.launch(kernels.ClipApply, grid, table, chunks, factor)
}

// With a largest norm, one NaN makes all gradients NaN; with a largest value it stays alone.
func TestClipOfNaN(t *testing.T) {
	for _, c := range []struct {
		maxNorm, maxValue float64
		nans              int
	}{{1, 0, 3}, {0, 0.5, 1}} {
		results := run(t, func(h *host) []pointer {
			g := h.upload(encode(kernels.Float32, []float64{0.25, math.NaN(), 2}))
			launchClip(h, []pointer{g}, []int{3}, c.maxNorm, c.maxValue, 1)
			return []pointer{g}
		})
		nans := 0
		for _, v := range decode(kernels.Float32, results[0]) {
			if math.IsNaN(v) {
				nans++
			}
		}
		if nans != c.nans {
			t.Errorf("limits %v and %v: %d gradients are NaN, want %d", c.maxNorm, c.maxValue, nans, c.nans)
		}
	}
}

// Loss scaling: two good steps double the scale; a bad step halves it and is skipped.
func TestScaling(t *testing.T) {
	var good, bad [][]float64
	for _, n := range lengths() {
		good, bad = append(good, ones(n)), append(bad, ones(n))
	}
	bad[2][4096], bad[2][17], bad[4][0] = math.NaN(), math.Inf(-1), math.Inf(1)
	results := run(t, func(h *host) []pointer {
		state, count := h.upload(encode(kernels.Float32, []float64{1024, 1, 0, 0})), h.upload(int32s(0))
		chunks, grid := chunksOf(h, lengths())
		var seen []pointer
		for _, grads := range [][][]float64{good, good, bad, good} {
			found := h.upload(int32s(0))
			table := h.table(column(uploadAll(h, grads)))
			h.launch(kernels.ScalingCount, grid, found, table, chunks)
			h.launch(kernels.ScalingCount, grid, count, table, chunks)
			h.launchBlocks(kernels.ScalingUpdate, kernels.Grid{X: 1, Y: 1}, 1, state, count, 2)
			now := h.blank(16)
			h.launch(kernels.Scale.In(kernels.Float32), kernels.Grid{X: 1, Y: 1}, now, state, 4, float32(1))
			seen = append(seen, found, now)
		}
		return append(seen, count)
	})
	for i, want := range [][]float64{{1024, 1.0 / 1024, 0, 1}, {2048, 1.0 / 1024, 0, 0}, {1024, 1.0 / 2048, 1, 0}, {1024, 1.0 / 1024, 0, 1}} {
		if found := decodeInt32s(results[2*i])[0]; found != []int32{0, 0, 3, 0}[i] {
			t.Errorf("step %d: %d elements are not finite", i, found)
		}
		if got := results[2*i+1]; !bytes.Equal(got, encode(kernels.Float32, want)) {
			t.Errorf("step %d: the state is %v, want %v", i, decode(kernels.Float32, got), want)
		}
	}
	if count := decodeInt32s(results[8])[0]; count != 0 {
		t.Errorf("the count is left at %d", count)
	}
}
