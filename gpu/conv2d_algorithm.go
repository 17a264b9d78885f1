//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"errors"
	"fmt"

	"gorgonia.org/cu"

	"trainer/gpu/internal/cuda"
	"trainer/nn/device"
)

// choose decides how to compute the spec's number of images.
func (p *conv2D) choose() (*convBatch, error) {
	var b convBatch
	for _, pass := range []cuda.Pass{cuda.Forward, cuda.BackwardData, cuda.BackwardFilter} {
		if pass != cuda.Forward && p.spec.NoBackward || pass == cuda.BackwardData && p.spec.NoBackwardData {
			continue
		}
		c, err := p.choosePass(pass, p.spec.N)
		if err != nil {
			return nil, err
		}
		b.passes[pass] = c
	}
	return &b, nil
}

// chooseAlgorithm returns a pass that uses the old call with the best usable algorithm, and reserves its workspace.
func (p *conv2D) chooseAlgorithm(pass cuda.Pass, n int) (*convPass, error) {
	d := p.d
	c, err := p.describe(n)
	if err != nil {
		return nil, err
	}
	candidates, err := p.candidates(pass, n, c)
	if err != nil {
		return nil, err
	}
	var shortage error // of memory, for an otherwise usable algorithm
	for _, a := range candidates {
		if d.deterministic && !a.Deterministic || a.Workspace > d.workspaceLimit {
			continue
		}
		usable, err := p.use(pass, *c, a)
		if err != nil {
			return nil, err
		}
		if usable == nil {
			continue
		}
		err = d.reserve(usable.workspace)
		if !errors.Is(err, device.ErrOutOfMemory) {
			return usable, err
		}
		shortage = fmt.Errorf("%v: its workspace: %w", pass, err)
	}
	if shortage != nil {
		return nil, shortage
	}
	kind := "algorithm"
	if d.deterministic {
		kind = "deterministic algorithm"
	}
	return nil, unsupported("%v: cuDNN has no %s that works with %d bytes of workspace for %+v", pass, kind, d.workspaceLimit, p.spec)
}

// describe returns the descriptors for n images.
func (p *conv2D) describe(n int) (c *convPass, err error) {
	s, known := p.spec, p.d.descriptors
	c = &convPass{math: p.d.math(s.DType)}
	if c.X, err = known.tensor(s.DType, [4]int{n, s.H, s.W, s.InC}); err != nil {
		return nil, err
	}
	if c.Y, err = known.tensor(s.DType, [4]int{n, s.OutH(), s.OutW(), s.OutC}); err != nil {
		return nil, err
	}
	if c.W, err = known.filter(s.DType, [4]int{s.OutC, s.KH, s.KW, s.InC / s.Groups}); err != nil {
		return nil, err
	}
	c.Conv, err = known.convolution(convolutionKey{geometryOf(p.spec), c.math})
	return c, err
}

// candidates returns algorithms, best first. For a smaller batch, the full batch's algorithm comes before those of the
// heuristics.
func (p *conv2D) candidates(pass cuda.Pass, n int, c *convPass) ([]cuda.Algorithm, error) {
	d := p.d
	var first []cuda.Algorithm
	switch {
	case n < p.spec.N:
		if full := p.full.passes[pass]; full.graph == nil {
			first = []cuda.Algorithm{{Number: full.algorithm, Math: full.math, Deterministic: true}} // if requested
		}
	case d.autotune:
		measured, err := d.tuned(pass, p.spec, c)
		if err != nil {
			return nil, err
		}
		first = measured
	}
	others, err := d.dnn.Algorithms(pass, &c.Convolution)
	if err != nil && (len(first) == 0 || !errors.Is(err, device.ErrNotSupported)) {
		return nil, err
	}
	return append(first, others...), nil
}

// use returns the pass with an algorithm, or nil if cuDNN can't use the algorithm within the workspace limit.
func (p *conv2D) use(pass cuda.Pass, c convPass, a cuda.Algorithm) (*convPass, error) {
	d := p.d
	if d.products(p.spec.DType) != FP32 {
		c.math = a.Math
	}
	var err error
	if c.Conv, err = d.descriptors.convolution(convolutionKey{geometryOf(p.spec), c.math}); err != nil {
		return nil, err
	}
	c.algorithm = a.Number
	c.workspace, err = d.dnn.WorkspaceSize(pass, &c.Convolution, a.Number)
	if errors.Is(err, device.ErrNotSupported) || err == nil && c.workspace > d.workspaceLimit {
		return nil, nil
	}
	return &c, err
}

// tuned returns the algorithms for a pass, fastest first: as measured now, or only the one that was fastest in an
// earlier measurement. It returns none if there is not enough memory to measure.
func (d *Device) tuned(pass cuda.Pass, s device.Conv2DSpec, c *convPass) ([]cuda.Algorithm, error) {
	key := d.algorithms.key(pass, d.products(s.DType), s)
	if a, ok := d.algorithms.get(key); ok {
		return []cuda.Algorithm{a}, nil
	}
	found, err := d.measure(pass, s, c)
	if errors.Is(err, device.ErrOutOfMemory) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, a := range found {
		if !d.deterministic || a.Deterministic {
			d.algorithms.put(key, a)
			break
		}
	}
	return found, nil
}

// measure times all algorithms for a pass on tensors of its size.
func (d *Device) measure(pass cuda.Pass, s device.Conv2DSpec, c *convPass) ([]cuda.Algorithm, error) {
	expected, err := d.dnn.Algorithms(pass, &c.Convolution)
	if err != nil {
		return nil, err
	}
	var largest int64 // workspace
	for _, a := range expected {
		if a.Workspace <= d.workspaceLimit {
			largest = max(largest, a.Workspace)
		}
	}
	element := int64(s.DType.Size())
	sizes := [4]int64{
		element * int64(s.N) * int64(s.H) * int64(s.W) * int64(s.InC),
		element * int64(s.OutC) * int64(s.KH) * int64(s.KW) * int64(s.InC/s.Groups),
		element * int64(s.N) * int64(s.OutH()) * int64(s.OutW()) * int64(s.OutC),
		largest,
	}
	var at [4]cu.DevicePtr // x, w, y, workspace
	for i, bytes := range sizes {
		if err == nil && bytes > 0 {
			if at[i], err = cuda.Alloc(bytes); err == nil {
				err = cuda.SetAsync(at[i], 0, bytes, d.stream)
			}
		}
	}
	var found []cuda.Algorithm
	if err == nil {
		found, err = d.dnn.FindAlgorithms(pass, &c.Convolution, at[0], at[1], at[2], at[3], largest)
	}
	err = errors.Join(err, cuda.Wait(d.stream))
	for _, p := range at {
		err = errors.Join(err, cuda.Free(p))
	}
	return found, err
}

// algorithmName returns cuDNN's name for an algorithm of a pass.
func algorithmName(pass cuda.Pass, number int) string {
	names := map[cuda.Pass][]string{
		cuda.Forward: {
			"implicit GEMM", "implicit precomp GEMM", "GEMM", "direct", "FFT", "FFT tiling", "Winograd", "Winograd nonfused",
		},
		cuda.BackwardData:   {"0", "1", "FFT", "FFT tiling", "Winograd", "Winograd nonfused"},
		cuda.BackwardFilter: {"0", "1", "FFT", "3", "Winograd", "Winograd nonfused", "FFT tiling"},
	}[pass]
	if number < 0 || number >= len(names) {
		return fmt.Sprintf("%s%d", passPrefix(pass), number)
	}
	return passPrefix(pass) + names[number]
}

// passPrefix returns the prefix of an algorithm's or engine's name.
func passPrefix(pass cuda.Pass) string {
	return map[cuda.Pass]string{cuda.Forward: "forward ", cuda.BackwardData: "backward data ", cuda.BackwardFilter: "backward filter "}[pass]
}
