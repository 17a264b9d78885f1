//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"gorgonia.org/cu"

	"trainer/gpu/internal/cuda"
	"trainer/nn/device"
)

// maxMeasured is the number of engines measured per graph; cuDNN orders engines by expected speed.
const maxMeasured = 8

// After one unmeasured run, every pass is run measuredRuns times between two events; this is repeated measuredRounds
// times, in turn with the other passes. The time of a pass is the median of its rounds. After measuringTime no round
// begins, except the first.
const (
	measuredRounds = 5
	measuredRuns   = 3
	measuringTime  = 500 * time.Millisecond
)

// chooseFastest returns the fastest way to compute a pass, from a measurement now or an earlier one.
func (p *conv2D) chooseFastest(pass cuda.Pass) (*convPass, error) {
	d := p.d
	key := d.algorithms.key(pass, d.products(p.spec.DType), p.spec) + p.addition(pass)
	won := d.algorithms.winner(key)
	if won != nil && won.Graph {
		if c := p.restore(pass, *won); c != nil {
			return c, nil
		}
	}
	algorithm, err := p.chooseAlgorithm(pass, p.spec.N)
	if err != nil && !errors.Is(err, device.ErrNotSupported) || algorithm != nil && won != nil && !won.Graph {
		return algorithm, err
	}
	contenders := p.contenders(pass)
	if algorithm != nil {
		contenders = append(contenders, algorithm)
	}
	fastest, took, measured := p.measurePasses(pass, contenders)
	d.dropGraphPasses(fastest)
	if measured != nil && !errors.Is(measured, device.ErrOutOfMemory) {
		return nil, measured
	}
	if fastest != nil {
		d.algorithms.putWinner(key, winnerOf(fastest.graph, took))
		if fastest.graph != nil {
			fastest = p.useGraph(fastest.graph)
		}
	}
	if fastest == nil {
		return algorithm, err // not enough memory to measure, or for the fastest
	}
	return fastest, nil
}

// addition names the work in addition to the convolution, which is measured with it.
func (p *conv2D) addition(pass cuda.Pass) (text string) {
	if pass == cuda.Forward && p.spec.Bias {
		text += ", bias"
	}
	if pass == cuda.Forward && p.relu {
		text += ", ReLU"
	}
	return text
}

// contenders returns the graphs to measure: those that cuDNN proposes and can prepare.
func (p *conv2D) contenders(pass cuda.Pass) (all []*convPass) {
	for _, c := range graphConvolutions(pass, p.spec.N, p.spec, p.relu) {
		for _, h := range []cuda.Heuristics{cuda.Fastest, cuda.Fallback} {
			n := 0
			_ = p.d.proposals(c, h, nil, func(g *graphPass) bool {
				all = append(all, &convPass{graph: g, workspace: g.plan.Workspace()})
				n++
				return n < maxMeasured
			})
		}
	}
	return all
}

// restore returns the graph that was fastest before, or nil if cuDNN's heuristics no longer propose it.
func (p *conv2D) restore(pass cuda.Pass, won cachedWinner) (found *convPass) {
	for _, c := range graphConvolutions(pass, p.spec.N, p.spec, p.relu) {
		if c.Bias != won.Fused {
			continue
		}
		h := cuda.Fastest
		if won.Fallback {
			h = cuda.Fallback
		}
		same := func(engines []cuda.GraphEngine) []cuda.GraphEngine {
			return slices.DeleteFunc(engines, func(e cuda.GraphEngine) bool { return e.Number != won.Engine || e.Place != won.Place })
		}
		_ = p.d.proposals(c, h, same, func(g *graphPass) bool {
			found = p.useGraph(g)
			return false
		})
	}
	return found
}

// dropGraphPasses destroys the graphs that no plan uses, except one.
func (d *Device) dropGraphPasses(kept *convPass) {
	for key, g := range d.graphPasses {
		if !g.used && (kept == nil || kept.graph != g) {
			_ = g.plan.Close()
			delete(d.graphPasses, key)
		}
	}
}

// measurePasses returns the fastest of the passes, and its time including the additional work. It returns nil if none
// of them works.
func (p *conv2D) measurePasses(pass cuda.Pass, passes []*convPass) (fastest *convPass, took time.Duration, err error) {
	d := p.d
	operands, release, err := p.operands()
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, release()) }()
	giveBack, err := d.lendWorkspace(passes)
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, giveBack()) }()
	c, err := newClock(d.stream)
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	times := p.rounds(c, passes, func(c *convPass) error { return p.queue(pass, c, operands[0], operands[1], operands[2], operands[3]) })
	if d.fault != nil {
		return nil, 0, d.fault
	}
	for i, t := range times {
		if len(t) == 0 {
			continue // the pass doesn't work
		}
		slices.Sort(t)
		if median := t[len(t)/2]; fastest == nil || median < took {
			fastest, took = passes[i], median
		}
	}
	return fastest, took, nil
}

// lendWorkspace temporarily replaces the device's workspace with one that is large enough for all passes, so that
// slower passes don't enlarge the workspace for good.
func (d *Device) lendWorkspace(passes []*convPass) (giveBack func() error, err error) {
	var bytes int64
	for _, c := range passes {
		bytes = max(bytes, c.workspace)
	}
	if bytes == 0 {
		return func() error { return nil }, nil
	}
	address, err := cuda.Alloc(bytes)
	if err != nil {
		return nil, err
	}
	kept := d.workspace
	d.workspace = &memory{owner: d, address: address, bytes: bytes}
	return func() error {
		d.workspace = kept
		return errors.Join(cuda.Wait(d.stream), cuda.Free(address))
	}, nil
}

// rounds returns the times of each pass, and none for a pass that fails.
func (p *conv2D) rounds(c *eventTimer, passes []*convPass, run func(*convPass) error) [][]time.Duration {
	times := make([][]time.Duration, len(passes))
	works := make([]bool, len(passes))
	for i, pass := range passes {
		_, err := c.measure(1, func() error { return run(pass) }) // includes loading the kernels
		works[i] = err == nil && p.d.fault == nil
	}
	begin := time.Now()
	for round := 0; round < measuredRounds && (round == 0 || time.Since(begin) < measuringTime); round++ {
		for i, pass := range passes {
			if !works[i] || p.d.fault != nil {
				continue
			}
			t, err := c.measure(measuredRuns, func() error { return run(pass) })
			times[i] = append(times[i], t)
			if err != nil {
				works[i], times[i] = false, nil
			}
		}
	}
	return times
}

// operands returns x, w, y and bias, filled with random numbers, and a function that frees them. bias is nil if there
// is none.
func (p *conv2D) operands() (all [4]*device.Tensor, release func() error, err error) {
	d, s := p.d, p.spec
	var addresses []cu.DevicePtr
	release = func() error {
		err := cuda.Wait(d.stream)
		for _, a := range addresses {
			err = errors.Join(err, cuda.Free(a))
		}
		return err
	}
	shapes := [][]int{{s.N, s.H, s.W, s.InC}, {s.OutC, s.KH, s.KW, s.InC / s.Groups}, {s.N, s.OutH(), s.OutW(), s.OutC}, {s.OutC}}
	types := []device.DType{s.DType, s.DType, s.DType, device.Float32}
	if !s.Bias {
		shapes = shapes[:3]
	}
	for i, shape := range shapes {
		m := &memory{owner: d, bytes: int64(types[i].Size())}
		for _, n := range shape {
			m.bytes *= int64(n)
		}
		if m.address, err = cuda.Alloc(m.bytes); err == nil {
			addresses = append(addresses, m.address)
			err = d.fillNoise(m, types[i])
		}
		if err != nil {
			return all, nil, errors.Join(err, release())
		}
		all[i] = device.WrapTensor(types[i], m, shape...)
	}
	return all, release, nil
}

// eventTimer measures the time of the work queued in a stream between two events.
type eventTimer struct {
	stream     cu.Stream
	start, end cu.Event
}

func newClock(s cu.Stream) (*eventTimer, error) {
	c := &eventTimer{stream: s}
	var err error
	if c.start, err = cuda.NewEvent(true); err != nil {
		return nil, err
	}
	if c.end, err = cuda.NewEvent(true); err != nil {
		return nil, errors.Join(err, cuda.DestroyEvent(c.start))
	}
	return c, nil
}

func (c *eventTimer) close() error {
	return errors.Join(cuda.DestroyEvent(c.start), cuda.DestroyEvent(c.end))
}

// measure returns the mean time of n runs.
func (c *eventTimer) measure(n int, run func() error) (time.Duration, error) {
	if err := cuda.Record(c.start, c.stream); err != nil {
		return 0, err
	}
	for range n {
		if err := run(); err != nil {
			return 0, errors.Join(err, cuda.Wait(c.stream))
		}
	}
	if err := cuda.Record(c.end, c.stream); err != nil {
		return 0, err
	}
	if err := cuda.WaitEvent(c.end); err != nil {
		return 0, err
	}
	t, err := cuda.Elapsed(c.start, c.end)
	return t / time.Duration(n), err
}

// fillNoise fills memory with noiseBytes of a type: on zeros, kernels use less power and run faster.
func (d *Device) fillNoise(m *memory, t device.DType) error {
	begin := noiseBytes(t, int(min(m.bytes, 1<<20)))
	err := d.send(m.address, begin)
	for n := int64(len(begin)); n < m.bytes && err == nil; n *= 2 {
		err = cuda.CopyAsync(m.address+cu.DevicePtr(n), m.address, min(n, m.bytes-n), d.stream)
	}
	return err
}

// noiseBytes returns random numbers of a float type, with magnitudes from 1/8 to 1 and random signs.
func noiseBytes(t device.DType, bytes int) []byte {
	low, span := uint32(0x3e00), uint32(0x180) // bfloat16, and the upper half of float32
	if t == device.Float16 {
		low, span = 0x3000, 0xc00
	}
	random := rand.New(rand.NewPCG(1, 2))
	words := make([]uint16, bytes/2)
	for i := range words {
		r := random.Uint32()
		words[i] = uint16(r&0x8000 | low + r>>16%span)
		if t == device.Float32 && i%2 == 0 {
			words[i] = uint16(r)
		}
	}
	out := make([]byte, 0, bytes)
	for _, w := range words {
		out = append(out, byte(w), byte(w>>8))
	}
	return out
}
