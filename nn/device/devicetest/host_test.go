package devicetest

import (
	"encoding/binary"
	"fmt"
	"slices"

	"trainer/nn/device"
)

// host is a device for testing the suite itself: it computes by the references and
// rounds what they return to the destination's type. The suite must pass on it, and must fail once
// one of its answers is spoiled.
type host struct {
	// spoil, where not nil, is called with the destination after every operation.
	spoil func(op string, dst *device.Tensor)
	// plain refuses 16 bits and loss scaling.
	plain bool
}

// plainHost hides that the host is more than a device.Device, MixedPrecision above all.
type plainHost struct{ device.Device }

// accepts returns an error unless the host computes with the types.
func (h host) accepts(dtypes ...device.DType) error {
	if h.plain {
		return device.CheckFloat32(dtypes...)
	}
	return nil
}

// unscaled returns an error where a plain host gets the state of a loss scaling.
func (h host) unscaled(scaling *device.Tensor) error {
	device.CheckScaling("host", scaling)
	if h.plain && scaling != nil {
		return device.ErrNotSupported
	}
	return nil
}

func (host) Name() string      { return "host" }
func (host) Info() device.Info { return device.Info{Description: "references in float64"} }
func (host) Sync() error       { return nil }
func (host) Close() error      { return nil }

func (host) NewTensor(dtype device.DType, shape ...int) (*device.Tensor, error) {
	n := dtype.Size()
	for _, d := range shape {
		n *= d
	}
	return device.WrapTensor(dtype, make([]byte, max(n, 0)), shape...), nil
}

// content returns the bytes of t's present shape.
func content(t *device.Tensor) []byte { return t.Memory().([]byte)[:t.Len()*t.DType().Size()] }

func (host) Upload(dst *device.Tensor, src []byte) error {
	if len(content(dst)) != len(src) {
		panic(fmt.Sprintf("upload: %d bytes to %v", len(src), dst))
	}
	copy(content(dst), src)
	return nil
}

func (host) Download(dst []byte, src *device.Tensor) error {
	if len(content(src)) != len(dst) {
		panic(fmt.Sprintf("download: %v to %d bytes", src, len(dst)))
	}
	copy(dst, content(src))
	return nil
}

func (host) Copy(dst, src *device.Tensor) {
	device.CheckLen("copy", "dst", dst, src.DType(), src.Len())
	copy(content(dst), content(src))
}

func (host) Zero(t *device.Tensor) { clear(content(t)) }

// load returns the numbers in a tensor of a float type; nil for nil.
func load(t *device.Tensor) []float64 {
	if t == nil {
		return nil
	}
	return unpack(t.DType(), content(t))
}

// store rounds the values of s to dst's type and writes them, unless dst is nil.
func (h host) store(op string, dst *device.Tensor, s sums) {
	if dst == nil {
		return
	}
	rounded := narrow(s.value)
	if dst.DType() != f32 {
		for i, x := range s.value {
			rounded[i] = float32(formatOf(dst.DType()).round(x))
		}
	}
	h.storeBytes(op, dst, encode(dst.DType(), rounded))
}

func (h host) storeBytes(op string, dst *device.Tensor, b []byte) {
	copy(content(dst), b)
	if h.spoil != nil {
		h.spoil(op, dst)
	}
}

func narrow(v []float64) []float32 {
	n := make([]float32, len(v))
	for i, x := range v {
		n[i] = float32(x)
	}
	return n
}

// require panics with the operation unless ok.
func require(op string, ok bool, format string, args ...any) {
	if !ok {
		panic(op + ": " + fmt.Sprintf(format, args...))
	}
}

const f32 = device.Float32

// checkBias panics unless bias is there exactly when wanted.
func checkBias(op string, bias *device.Tensor, wanted bool, n int) {
	if wanted {
		device.Check(op, "bias", bias, f32, n)
		return
	}
	require(op, bias == nil, "bias is %v, the spec has none", bias)
}

type hostConv struct {
	host
	s    device.Conv2DSpec
	relu bool
}

func (h host) newConv(s device.Conv2DSpec, relu bool) (device.Conv2D, error) {
	positive := slices.Min([]int{s.N, s.H, s.W, s.InC, s.OutC, s.KH, s.KW, s.StrideH, s.StrideW, s.DilationH, s.DilationW, s.Groups}) > 0
	require("conv2d", positive && min(s.PadH, s.PadW) >= 0 && s.InC%s.Groups == 0 && s.OutC%s.Groups == 0, "%+v", s)
	require("conv2d", s.H+2*s.PadH > s.DilationH*(s.KH-1) && s.W+2*s.PadW > s.DilationW*(s.KW-1), "the kernel is larger than the image: %+v", s)
	return hostConv{h, s, relu}, h.accepts(s.DType)
}

func (h host) NewConv2D(s device.Conv2DSpec) (device.Conv2D, error)     { return h.newConv(s, false) }
func (h host) NewConv2DReLU(s device.Conv2DSpec) (device.Conv2D, error) { return h.newConv(s, true) }

func (hostConv) Algorithm() string { return "reference" }
func (hostConv) Workspace() int64  { return 0 }

func (c hostConv) check(op string, x, y, w *device.Tensor, xName, yName, wName string) {
	s, dtype := c.s, c.s.DType.OrFloat32()
	device.Check(op, xName, x, dtype, -1, s.H, s.W, s.InC)
	device.Check(op, yName, y, dtype, x.Rows(), s.OutH(), s.OutW(), s.OutC)
	if w != nil {
		device.Check(op, wName, w, dtype, s.OutC, s.KH, s.KW, s.InC/s.Groups)
	}
	require(op, x.Rows() <= s.N, "%d images, the plan has %d", x.Rows(), s.N)
}

func (c hostConv) Forward(y, x, w, bias *device.Tensor) {
	c.check("conv2d forward", x, y, w, "x", "y", "w")
	checkBias("conv2d forward", bias, c.s.Bias, c.s.OutC)
	v := refConv2DForward(c.s, x.Rows(), load(x), load(w), load(bias))
	if c.relu {
		v = refReLU(v)
	}
	c.store("conv2d forward", y, v)
}

func (c hostConv) BackwardData(dx, dy, w *device.Tensor) {
	c.check("conv2d backward data", dx, dy, w, "dx", "dy", "w")
	c.store("conv2d backward data", dx, refConv2DBackwardData(c.s, dx.Rows(), load(dy), load(w)))
}

func (c hostConv) BackwardFilter(dw, dbias, dy, x *device.Tensor) {
	c.check("conv2d backward filter", x, dy, dw, "x", "dy", "dw")
	wantW, wantBias := refConv2DBackwardFilter(c.s, x.Rows(), load(dy), load(x))
	c.store("conv2d backward filter", dw, wantW)
	c.store("conv2d backward filter", dbias, wantBias)
}

type hostPool struct {
	host
	s    device.Pool2DSpec
	relu bool
}

func (h host) newPool(s device.Pool2DSpec, relu bool) (device.Pool2D, error) {
	require("pool2d", s.Mode >= device.MaxPool && s.Mode <= device.AvgPoolExcluding, "mode %d", s.Mode)
	require("pool2d", s.PadH < s.KH && s.PadW < s.KW, "padding as large as the window: %+v", s)
	return hostPool{h, s, relu}, h.accepts(s.DType)
}

func (h host) NewPool2D(s device.Pool2DSpec) (device.Pool2D, error)     { return h.newPool(s, false) }
func (h host) NewPool2DReLU(s device.Pool2DSpec) (device.Pool2D, error) { return h.newPool(s, true) }

func (p hostPool) check(op string, x, y *device.Tensor, xName, yName string) {
	dtype := p.s.DType.OrFloat32()
	device.Check(op, xName, x, dtype, -1, p.s.H, p.s.W, p.s.C)
	device.Check(op, yName, y, dtype, x.Rows(), p.s.OutH(), p.s.OutW(), p.s.C)
}

func (p hostPool) Forward(y, x *device.Tensor) {
	p.check("pool2d forward", x, y, "x", "y")
	v := refPool2DForward(p.s, x.Rows(), load(x))
	if p.relu {
		v = refReLU(v)
	}
	p.store("pool2d forward", y, v)
}

func (p hostPool) Backward(dx, dy, y, x *device.Tensor) {
	p.check("pool2d backward", dx, dy, "dx", "dy")
	g := load(dy)
	if p.relu {
		g = maskByReLU(g, load(y))
	}
	p.store("pool2d backward", dx, refPool2DBackward(p.s, x.Rows(), g, load(x)))
}

type hostMatMul struct {
	host
	s    device.MatMulSpec
	relu bool
}

func (h host) NewMatMul(s device.MatMulSpec) (device.MatMul, error) {
	return hostMatMul{h, s, false}, h.accepts(s.DType, s.Out)
}
func (h host) NewMatMulReLU(s device.MatMulSpec) (device.MatMul, error) {
	return hostMatMul{h, s, true}, h.accepts(s.DType, s.Out)
}

func (p hostMatMul) Run(c, a, b, bias *device.Tensor) {
	const op = "matmul"
	m, k := a.Dim(0), a.Dim(1)
	if p.s.TransA {
		m, k = k, m
	}
	bShape := []int{k, p.s.N}
	if p.s.TransB {
		slices.Reverse(bShape)
	}
	require(op, m <= p.s.M && k <= p.s.K, "a is %v, the plan has m %d, k %d", a, p.s.M, p.s.K)
	if b.Dim(0) != bShape[0] || b.Dim(1) != bShape[1] {
		panic(fmt.Sprintf("%s: b is %v, want %v for a %v", op, b, bShape, a))
	}
	out := p.s.Out
	if out == 0 {
		out = p.s.DType.OrFloat32()
	}
	device.Check(op, "a", a, p.s.DType.OrFloat32(), -1, -1)
	device.Check(op, "b", b, p.s.DType.OrFloat32(), -1, -1)
	device.Check(op, "c", c, out, m, p.s.N)
	checkBias(op, bias, p.s.Bias, p.s.N)
	v := refMatMul(m, p.s.N, k, p.s.TransA, p.s.TransB, load(a), load(b), load(bias))
	if p.relu {
		v = refReLU(v)
	}
	p.store(op, c, v)
}

type hostBatchNorm struct {
	host
	s   device.BatchNormSpec
	act device.ActivationSpec // without a function: none
}

func (h host) NewBatchNorm(s device.BatchNormSpec) (device.BatchNorm, error) {
	return hostBatchNorm{h, s, device.ActivationSpec{}}, h.accepts(s.DType)
}

func (h host) NewBatchNormActivation(s device.BatchNormSpec, f *device.Function) (device.BatchNorm, error) {
	return hostBatchNorm{h, s, device.ActivationSpec{Function: f}}, h.accepts(s.DType)
}

// reference checks the operands and returns the reference for their number of rows.
func (b hostBatchNorm) reference(op string, x, gamma *device.Tensor) batchNorm {
	require(op, x.Dim(len(x.Shape())-1) == b.s.C, "x is %v, want %d channels", x, b.s.C)
	device.Check(op, "gamma", gamma, f32, b.s.C)
	rows := x.Len() / b.s.C
	require(op, rows <= b.s.Rows, "%d rows, the plan has %d", rows, b.s.Rows)
	return batchNorm{rows, b.s.C, float64(b.s.Epsilon), float64(b.s.Momentum)}
}

func (b hostBatchNorm) activate(pre sums) sums {
	if b.act.Function == nil {
		return pre
	}
	return refActivationForward(b.act, pre.value)
}

func (b hostBatchNorm) Forward(y, x, gamma, beta, runningMean, runningVar *device.Tensor) {
	const op = "batchnorm forward"
	ref := b.reference(op, x, gamma)
	mean, variance := ref.running(load(x), load(runningMean), load(runningVar))
	b.store(op, y, b.activate(ref.forward(load(x), load(gamma), load(beta))))
	b.store(op+" statistics", runningMean, mean)
	b.store(op+" statistics", runningVar, variance)
}

func (b hostBatchNorm) Inference(y, x, gamma, beta, runningMean, runningVar *device.Tensor) {
	const op = "batchnorm inference"
	ref := b.reference(op, x, gamma)
	b.store(op, y, b.activate(ref.inference(load(x), load(gamma), load(beta), load(runningMean), load(runningVar))))
}

func (b hostBatchNorm) Backward(dx, dgamma, dbeta, dy, x, gamma, beta *device.Tensor) {
	const op = "batchnorm backward"
	ref := b.reference(op, x, gamma)
	device.CheckLen(op, "dx", dx, b.s.DType.OrFloat32(), x.Len())
	g := load(dy)
	if b.act.Function != nil {
		g = refActivationBackward(b.act, g, ref.forward(load(x), load(gamma), load(beta)).value).value
	}
	wantX, wantGamma, wantBeta := ref.backward(g, load(x), load(gamma))
	b.store(op, dx, wantX)
	b.store(op, dgamma, wantGamma)
	b.store(op, dbeta, wantBeta)
}

type hostActivation struct {
	host
	s device.ActivationSpec
}

func (h host) NewActivation(s device.ActivationSpec) (device.Activation, error) {
	require("activation", s.Function != nil, "no function")
	return hostActivation{h, s}, h.accepts(s.DType)
}

func (a hostActivation) Forward(y, x *device.Tensor) {
	device.CheckLen("activation forward", "x", x, a.s.DType.OrFloat32(), x.Len())
	device.CheckLen("activation forward", "y", y, a.s.DType.OrFloat32(), x.Len())
	require("activation forward", x.Len() <= a.s.Len, "%d elements, the plan has %d", x.Len(), a.s.Len)
	a.store("activation forward", y, refActivationForward(a.s, load(x)))
}

func (a hostActivation) Backward(dx, dy, x, _ *device.Tensor) {
	a.store("activation backward", dx, refActivationBackward(a.s, load(dy), load(x)))
}

type hostDropout struct {
	host
	s device.DropoutSpec
}

func (h host) NewDropout(s device.DropoutSpec) (device.Dropout, error) {
	require("dropout", s.Rate >= 0 && s.Rate < 1, "rate %v", s.Rate)
	return hostDropout{h, s}, h.accepts(s.DType)
}

func (d hostDropout) Forward(y, x, step *device.Tensor) {
	device.Check("dropout", "step", step, device.Int32, 1)
	d.store("dropout", y, refDropout(d.s, int32s(content(step))[0], load(x)))
}

func (d hostDropout) Backward(dx, dy, step *device.Tensor) { d.Forward(dx, dy, step) }

type hostLoss struct {
	host
	s device.LossSpec
}

func (h host) NewLoss(s device.LossSpec) (device.Loss, error) {
	return hostLoss{h, s}, h.unscaled(s.Scaling)
}

func (l hostLoss) reference(op string, outputs, labels *device.Tensor) (stats, doutputs sums) {
	device.Check(op, "outputs", outputs, f32, -1, l.s.Classes)
	device.Check(op, "labels", labels, device.Int32, outputs.Rows())
	return refLoss(l.s, load(outputs), int32s(content(labels)))
}

func (l hostLoss) Forward(stats, outputs, labels *device.Tensor) {
	const op = "loss forward"
	device.Check(op, "stats", stats, f32, device.StatsLen)
	add, _ := l.reference(op, outputs, labels)
	for i, v := range load(stats) {
		add.value[i] += v
	}
	l.store(op, stats, add)
}

func (l hostLoss) Backward(doutputs, outputs, labels *device.Tensor) {
	_, gradient := l.reference("loss backward", outputs, labels)
	if l.s.Scaling != nil {
		gradient = gradient.times(load(l.s.Scaling)[device.ScalingScale])
	}
	l.store("loss backward", doutputs, gradient)
}

type hostSoftmax struct{ host }

func (h host) NewSoftmax(device.SoftmaxSpec) (device.Softmax, error) { return hostSoftmax{h}, nil }

func (s hostSoftmax) Forward(y, x *device.Tensor) {
	s.store("softmax", y, refSoftmax(x.Dim(1), load(x)))
}

type hostCombine struct {
	host
	s device.WeightedSumSpec
}

func (h host) NewWeightedSum(s device.WeightedSumSpec) (device.WeightedSum, error) {
	return hostCombine{h, s}, h.accepts(s.DType)
}

func (c hostCombine) Run(y, a, b *device.Tensor) {
	device.CheckLen("combine", "a", a, c.s.DType.OrFloat32(), y.Len())
	if b != nil {
		device.CheckLen("combine", "b", b, c.s.DType.OrFloat32(), y.Len())
	}
	c.store("combine", y, refCombine(float64(c.s.Alpha), float64(c.s.Beta), load(a), load(b)))
}

type hostReduce struct {
	host
	s device.ReduceSpec
}

func (h host) NewReduce(s device.ReduceSpec) (device.Reduce, error) {
	return hostReduce{h, s}, h.accepts(s.DType)
}

func (r hostReduce) Run(dst, src *device.Tensor) {
	r.store("reduce", dst, refReduce(r.s.Kind, r.s.C, load(src)))
}

type hostOptimizer struct {
	host
	s device.OptimizerSpec
}

func (h host) NewOptimizer(s device.OptimizerSpec) (device.Optimizer, error) {
	for _, slot := range s.Slots {
		device.CheckLen("optimizer", "grad", slot.Grad, f32, slot.Value.Len())
		if s.Kind == device.Adam {
			device.CheckLen("optimizer", "state2", slot.State2, f32, slot.Value.Len())
		}
	}
	return hostOptimizer{h, s}, h.unscaled(s.Scaling)
}

func (o hostOptimizer) Step(hyper *device.Tensor) {
	inverse := 1.0
	if o.s.Scaling != nil {
		if load(o.s.Scaling)[device.ScalingSkip] != 0 {
			if len(o.s.Slots) > 0 && o.spoil != nil {
				o.spoil("optimizer skipped", o.s.Slots[0].Value)
			}
			return
		}
		inverse = load(o.s.Scaling)[device.ScalingInverse]
	}
	for _, slot := range o.s.Slots {
		h := load(hyper)[slot.Group*device.HyperLen:]
		h[device.HyperGradScale] *= inverse
		w, s1, s2 := newSums(slot.Value.Len(), 0), newSums(slot.Value.Len(), 0), newSums(slot.Value.Len(), 0)
		copy(w.value, load(slot.Value))
		copy(s1.value, load(slot.State1))
		copy(s2.value, load(slot.State2))
		for i, g := range load(slot.Grad) {
			p := parameter{w: w.value[i], state1: s1.value[i], state2: s2.value[i]}
			p.step(o.s, h, g)
			w.value[i], s1.value[i], s2.value[i] = p.w, p.state1, p.state2
		}
		o.store("optimizer", slot.Value, w)
		o.store("optimizer state", slot.State1, s1)
		o.store("optimizer state", slot.State2, s2)
	}
}

type hostClip struct {
	host
	s device.ClipSpec
}

func (h host) NewClip(s device.ClipSpec) (device.Clip, error) {
	return hostClip{h, s}, h.unscaled(s.Scaling)
}

func (c hostClip) Run() {
	scale := 1.0
	if c.s.Scaling != nil {
		scale = 1 / load(c.s.Scaling)[device.ScalingInverse]
	}
	var grads [][]float64
	for _, g := range c.s.Grads {
		grads = append(grads, unscaled(float32s(content(g)), scale))
	}
	for i, v := range refClip(float64(c.s.MaxNorm), float64(c.s.MaxValue), grads) {
		c.store("clip", c.s.Grads[i], v.times(scale))
	}
}

type hostAverage struct {
	host
	s device.AverageSpec
}

func (h host) NewAverage(s device.AverageSpec) (device.Average, error) {
	require("average", len(s.Dst) == len(s.Src), "%d averages of %d tensors", len(s.Dst), len(s.Src))
	for i, d := range s.Dst {
		device.CheckLen("average", "src", s.Src[i], f32, d.Len())
	}
	return hostAverage{h, s}, nil
}

func (a hostAverage) Run(decay *device.Tensor) {
	for i, dst := range a.s.Dst {
		a.store("average", dst, refAverage(load(decay)[0], load(dst), load(a.s.Src[i])))
		if a.s.CopyBack {
			a.Copy(a.s.Src[i], dst)
		}
	}
}

type hostAugment struct {
	host
	s device.AugmentSpec
}

func (h host) NewAugment(s device.AugmentSpec) (device.Augment, error) {
	require("augment", s.Crop < min(s.H, s.W) && s.Cutout <= min(s.H, s.W) && len(s.Mean) == s.C && len(s.Std) == s.C, "%+v", s)
	return hostAugment{h, s}, h.accepts(s.DType)
}

func (a hostAugment) run(op string, y, images, ids *device.Tensor, changes func(i int) change) {
	device.Check(op, "images", images, device.Uint8, -1, a.s.H, a.s.W, a.s.C)
	n := a.s.H * a.s.W * a.s.C
	v := newSums(y.Len(), 0)
	for i := 0; i < y.Rows(); i++ {
		from := i
		if a.s.Gather {
			from = int(int32s(content(ids))[i])
		}
		refAugment(a.s, v, i*n, content(images)[from*n:(from+1)*n], changes(i))
	}
	a.store(op, y, v)
}

func (a hostAugment) Train(y, images, ids, epoch *device.Tensor) {
	device.Check("augment train", "ids", ids, device.Int32, y.Rows())
	a.run("augment train", y, images, ids, func(i int) change {
		return refChange(a.s, int32s(content(ids))[i], int32s(content(epoch))[0])
	})
}

func (a hostAugment) Normalize(y, images, ids *device.Tensor, dy, dx int, mirror bool) {
	a.run("augment normalize", y, images, ids, func(int) change { return change{dy: dy, dx: dx, mirror: mirror} })
}

func (a hostAugment) GatherLabels(dst, labels, ids *device.Tensor) {
	require("augment labels", a.s.Gather, "only with Gather")
	var gathered []int32
	for _, id := range int32s(content(ids)) {
		gathered = append(gathered, int32s(content(labels))[id])
	}
	a.storeBytes("augment labels", dst, device.Bytes(gathered))
}

type hostCast struct {
	host
	s device.CastSpec
}

func (h host) NewCast(s device.CastSpec) (device.Cast, error) {
	require("cast", s.To != device.Int32 && s.To != device.Uint8, "to %v", s.To)
	return hostCast{h, s}, nil
}

func (c hostCast) Run(dst, src *device.Tensor) {
	device.CheckLen("cast", "dst", dst, c.s.To, src.Len())
	var numbers []float64
	if c.s.From == device.Uint8 {
		for _, x := range content(src) {
			numbers = append(numbers, float64(x)*float64(c.s.Scale)+float64(c.s.Shift))
		}
	} else {
		numbers = unpack(c.s.From, content(src))
	}
	f := formatOf(c.s.To)
	var patterns []uint32
	for _, x := range numbers {
		patterns = append(patterns, f.encode(f.round(x)))
	}
	c.storeBytes("cast", dst, pack(c.s.To, patterns))
}

type hostCastList struct {
	host
	s device.CastListSpec
}

func (h host) NewCastList(s device.CastListSpec) (device.CastList, error) {
	require("cast list", len(s.Dst) == len(s.Src), "%d destinations for %d sources", len(s.Dst), len(s.Src))
	for i, dst := range s.Dst {
		require("cast list", (dst.DType() == f32) != (s.Src[i].DType() == f32), "from %v to %v", s.Src[i], dst)
		require("cast list", dst.DType() == s.Dst[0].DType(), "to %v and %v", dst, s.Dst[0])
		device.CheckLen("cast list", "source", s.Src[i], s.Src[i].DType(), dst.Len())
	}
	return hostCastList{h, s}, nil
}

func (c hostCastList) Run() {
	for i, dst := range c.s.Dst {
		src := c.s.Src[i]
		c.store("cast list", dst, sums{value: load(src)})
	}
}

type hostScaling struct {
	host
	s device.LossScalingSpec
}

func (h host) NewLossScaling(s device.LossScalingSpec) (device.LossScaling, error) {
	device.Check("loss scaling", "state", s.State, f32, device.ScalingLen)
	require("loss scaling", s.Interval >= 1, "interval %d", s.Interval)
	for _, g := range s.Grads {
		device.CheckLen("loss scaling", "gradient", g, f32, g.Len())
	}
	return hostScaling{h, s}, nil
}

func (c hostScaling) Update() {
	bad := false
	for _, g := range c.s.Grads {
		bad = bad || refReduce(device.ReduceNonFinite, 1, load(g)).value[0] > 0
	}
	next := refScaling([device.ScalingLen]float64(load(c.s.State)), bad, c.s.Interval)
	c.store("loss scaling", c.s.State, sums{value: next[:]})
}

// spoilElement overwrites element i of t with the bits of a float32.
func spoilElement(t *device.Tensor, i int, bits uint32) {
	binary.NativeEndian.PutUint32(t.Memory().([]byte)[4*i:], bits)
}
