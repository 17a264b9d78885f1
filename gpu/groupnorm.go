//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"gorgonia.org/cu"

	"trainer/gpu/internal/cuda"
	"trainer/kernels"
	"trainer/nn/device"
)

// groupNorm is the plan of group normalisation of x [batch, rows, c] (Wu and He, "Group Normalization", 2018), computed by
// the kernels in groupnorm.cu. For each group of columns of an image, with m elements,
//
//	mean = 1/m sum x      var = 1/m sum (x-mean)^2      r = 1 / sqrt(var+epsilon)
//	xhat = r (x-mean)     y = gamma*xhat + beta
//
// and backward, with u = gamma*dy:
//
//	dbeta = sum dy        dgamma = sum dy*xhat
//	dx = r (u - 1/m sum u - xhat 1/m sum u*xhat)
//
// The sums for dbeta and dgamma lie in the workspace in between.
type groupNorm struct {
	d    *Device
	spec device.GroupNormSpec

	run, sums, backward *cuda.Kernel

	moments *memory // mean and r of each group in the last Forward; nil without a backward pass
	arrived *memory // counters of blocks, one per group of columns: 0 between launches
	forward int     // batch of the last Forward
}

// NewGroupNorm makes a plan for group normalisation.
func (d *Device) NewGroupNorm(s device.GroupNormSpec) (device.GroupNorm, error) {
	s.Check()
	s.DType = floatType("NewGroupNorm", s.DType)
	return build(d, "groupnorm", func(b *builder) device.GroupNorm {
		if !b.elements(s.Batch * s.Rows * s.C) {
			return nil
		}
		p := &groupNorm{d: d, spec: s, run: b.family(kernels.GroupNormForward, s.DType)}
		if s.NoBackward {
			return p
		}
		p.sums, p.backward = b.family(kernels.GroupNormSums, s.DType), b.family(kernels.GroupNormBackward, s.DType)
		p.moments = b.memory(2 * 4 * s.Batch * s.Groups)
		p.arrived = b.zeros(4 * kernels.Columns(s.Rows, s.C).Grid.Y)
		b.reserve(2 * columnSums(s.Batch*s.Rows, s.C))
		return p
	})
}

func (p *groupNorm) Forward(y, x, gamma, beta *device.Tensor) {
	p.forward = p.spec.CheckForward(y, x, gamma, beta)
	d := p.d
	if !d.begin("groupnorm forward") {
		return
	}
	defer d.end()
	a := d.arguments().Pointer(d.data(y)).Pointer(p.keptMoments()).Pointer(d.data(x)).Pointer(d.data(gamma)).Pointer(d.data(beta))
	l := p.groups(a)
	a.Float32(p.spec.Epsilon).Int32(flag(l.Warp)).Int32(flag(l.Vector))
	d.launch(p.run, l.Grid)
}

// keptMoments returns the address of the moments, or 0 without a backward pass.
func (p *groupNorm) keptMoments() cu.DevicePtr {
	if p.moments == nil {
		return 0
	}
	return p.d.at(p.moments)
}

// groups adds the arguments that describe the groups of the last Forward, and returns their launch.
func (p *groupNorm) groups(a *cuda.Args) kernels.GroupNormLaunch {
	s, count := p.spec, p.forward*p.spec.Groups
	a.Int32(int32(count)).Int32(int32(s.Groups)).Int32(int32(s.Rows)).Int32(int32(s.C))
	return kernels.GroupNorm(count, s.Rows, s.C/s.Groups)
}

func (p *groupNorm) Backward(dx, dgamma, dbeta, dy, x, gamma *device.Tensor) {
	p.spec.CheckBackward(dx, dgamma, dbeta, dy, x, gamma, p.forward)
	d := p.d
	if !d.begin("groupnorm backward") {
		return
	}
	defer d.end()
	if dgamma != nil || dbeta != nil {
		p.parameters(dgamma, dbeta, dy, x)
	}
	if dx == nil {
		return
	}
	a := d.arguments().Pointer(d.data(dx)).Pointer(d.data(dy)).Pointer(d.data(x)).Pointer(d.data(gamma)).Pointer(p.keptMoments())
	l := p.groups(a)
	a.Int32(flag(l.Warp)).Int32(flag(l.Vector))
	d.launch(p.backward, l.Grid)
}

// parameters queues dgamma and dbeta.
func (p *groupNorm) parameters(dgamma, dbeta, dy, x *device.Tensor) {
	d, s := p.d, p.spec
	pixels := p.forward * s.Rows
	l := kernels.Columns(pixels, s.C)
	d.arguments().Pointer(d.optional(dgamma)).Pointer(d.optional(dbeta)).Pointer(d.scratch()).Pointer(d.at(p.arrived)).
		Pointer(d.data(dy)).Pointer(d.data(x)).Pointer(p.keptMoments()).
		Int32(int32(pixels)).Int32(int32(s.Rows)).Int32(int32(s.C)).Int32(int32(s.Groups)).
		Int32(int32(l.RowsPerBlock)).Int32(flag(l.Vector))
	d.launch(p.sums, l.Grid)
}
