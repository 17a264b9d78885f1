package device

import "fmt"

// A device's New methods and its plans call the checks of this file. They find programming
// mistakes, and panic with the operation and what is wrong.

// Check panics unless the sizes are positive, the filters fit the padded image, and the
// channels can be divided by the groups.
func (s Conv2DSpec) Check() {
	for _, v := range []int{s.N, s.H, s.W, s.InC, s.OutC, s.KH, s.KW, s.StrideH, s.StrideW, s.DilationH, s.DilationW, s.Groups} {
		if v < 1 {
			panic(fmt.Sprintf("conv2d: sizes, strides, dilations and groups must be at least 1, got %+v", s))
		}
	}
	if s.PadH < 0 || s.PadW < 0 || s.OutH() < 1 || s.OutW() < 1 {
		panic(fmt.Sprintf("conv2d: the kernel does not fit the padded image, or padding is negative: %+v", s))
	}
	if s.InC%s.Groups != 0 || s.OutC%s.Groups != 0 {
		panic(fmt.Sprintf("conv2d: %d input and %d output channels are not divisible by %d groups", s.InC, s.OutC, s.Groups))
	}
}

// Check panics unless the sizes are positive, padding is not negative, the windows fit the padded images, and every
// window has an element inside the image.
func (s Pool2DSpec) Check() {
	bad := s.Mode < MaxPool || s.Mode > AvgPoolExcluding ||
		s.N < 1 || s.H < 1 || s.W < 1 || s.C < 1 || s.KH < 1 || s.KW < 1 || s.StrideH < 1 || s.StrideW < 1 ||
		s.DilationH < 0 || s.DilationW < 0 || s.PadH < 0 || s.PadW < 0 || s.PadH+s.ExtraPadH < 0 || s.PadW+s.ExtraPadW < 0
	if bad || s.OutH() < 1 || s.OutW() < 1 || s.Rows().Empty() || s.Columns().Empty() {
		panic(fmt.Sprintf("pool2d: a size or a mode is invalid, or a window has no element inside the image: %+v", s))
	}
}

// Check panics unless the sizes are positive.
func (s MatMulSpec) Check() {
	if s.Batch < 0 || s.M < 1 || s.N < 1 || s.K < 1 {
		panic(fmt.Sprintf("matmul: sizes must be at least 1, got %+v", s))
	}
	if out := s.OutType(); out != s.DType.OrFloat32() && out != Float32 {
		panic(fmt.Sprintf("matmul: c of %v from operands of %v, want %v or float32", out, s.DType.OrFloat32(), s.DType.OrFloat32()))
	}
}

// OutType returns the type of C's elements.
func (s MatMulSpec) OutType() DType {
	if s.Out == 0 {
		return s.DType.OrFloat32()
	}
	return s.Out
}

// CheckOperands panics unless the tensors fit the spec, and returns the batch, m and k. The batch is 1 if the tensors
// have no batch dimension.
func (s MatMulSpec) CheckOperands(c, a, b, bias *Tensor) (batch, m, k int) {
	const op = "matmul"
	dtype, rank := s.DType.OrFloat32(), 2
	if s.Batch > 0 {
		rank = 3
	}
	if a == nil || len(a.shape) != rank || a.dtype != dtype {
		panic(fmt.Sprintf("%s: a is %v, want %d dimensions of %v", op, a, rank, dtype))
	}
	batch, m, k = 1, a.shape[rank-2], a.shape[rank-1]
	if rank == 3 {
		batch = a.shape[0]
	}
	if s.TransA {
		m, k = k, m
	}
	if batch > max(s.Batch, 1) || m > s.M || k > s.K {
		panic(fmt.Sprintf("%s: a is %v, want at most batch=%d, m=%d and k=%d", op, a, s.Batch, s.M, s.K))
	}
	s.checkMatrix(op, "c", c, s.OutType(), batch, m, s.N)
	if s.TransB {
		s.checkMatrix(op, "b", b, dtype, batch, s.N, k)
	} else {
		s.checkMatrix(op, "b", b, dtype, batch, k, s.N)
	}
	if (bias != nil) != s.Bias {
		panic(fmt.Sprintf("%s: bias given: %v, by the spec: %v", op, bias != nil, s.Bias))
	}
	if bias != nil {
		Check(op, "bias", bias, Float32, s.N)
	}
	return batch, m, k
}

// checkMatrix panics unless t is [rows, cols], or [batch, rows, cols] with a batch.
func (s MatMulSpec) checkMatrix(op, operand string, t *Tensor, dtype DType, batch, rows, cols int) {
	if s.Batch > 0 {
		Check(op, operand, t, dtype, batch, rows, cols)
		return
	}
	Check(op, operand, t, dtype, rows, cols)
}

// Check panics unless the sizes are positive, every channel has a mean and a standard
// deviation, and crop and cutout fit the images.
func (s AugmentSpec) Check() {
	if s.N < 1 || s.H < 1 || s.W < 1 || s.C < 1 {
		panic(fmt.Sprintf("augment: images [%d %d %d %d]", s.N, s.H, s.W, s.C))
	}
	if len(s.Mean) != s.C || len(s.Std) != s.C {
		panic(fmt.Sprintf("augment: %d means and %d deviations for %d channels", len(s.Mean), len(s.Std), s.C))
	}
	if s.Crop < 0 || s.Crop >= min(s.H, s.W) || s.Cutout < 0 || s.Cutout > min(s.H, s.W) {
		panic(fmt.Sprintf("augment: crop %d and cutout %d of %dx%d images", s.Crop, s.Cutout, s.H, s.W))
	}
	if s.Flip > FlipAlternating {
		panic(fmt.Sprintf("augment: flip mode %d", s.Flip))
	}
}

// Check panics unless the kind is known, the sizes are positive, the smoothing is from 0 to 1, class weights are
// float32 [classes], and the targets are labels if Ignore is set.
func (s LossSpec) Check() {
	if s.Kind != SoftmaxCrossEntropy && s.Kind != MeanSquaredError || s.N < 1 || s.Classes < 1 || !(s.Smoothing >= 0 && s.Smoothing <= 1) {
		panic(fmt.Sprintf("loss: kind %d, outputs [%d %d], smoothing %v, want 0 to 1", s.Kind, s.N, s.Classes, s.Smoothing))
	}
	if s.ClassWeights != nil {
		Check("loss", "class weights", s.ClassWeights, Float32, s.Classes)
	}
	if s.Ignore && s.SoftTargets {
		panic("loss: Ignore needs labels, and SoftTargets says that targets are probabilities")
	}
}

// CheckOperands panics unless outputs are float32 [n, Classes] with n at most N, targets are as SoftTargets says, and
// weights are nil or, if the spec has Weights, float32 [n]. It returns n.
func (s LossSpec) CheckOperands(op string, outputs, targets, weights *Tensor) int {
	n := CheckRows(op, "outputs", outputs, Float32, s.N, s.Classes)
	if s.SoftTargets {
		Check(op, "targets", targets, Float32, n, s.Classes)
	} else {
		CheckLen(op, "labels", targets, Int32, n)
	}
	if weights == nil {
		return n
	}
	if !s.Weights {
		panic(fmt.Sprintf("%s: weights are %v, want nil from a plan without LossSpec.Weights", op, weights))
	}
	CheckLen(op, "weights", weights, Float32, n)
	return n
}

// CheckTraining panics unless the operands of TrainingLoss.Run fit, and returns the number of examples.
func (s LossSpec) CheckTraining(op string, dtype DType, stats, doutputs, outputs, targets *Tensor) int {
	n := CheckRows(op, "outputs", outputs, dtype, s.N, s.Classes)
	Check(op, "doutputs", doutputs, dtype, n, s.Classes)
	CheckLen(op, "labels", targets, Int32, n)
	CheckLen(op, "stats", stats, Float32, StatsLen)
	return n
}

// Check panics unless parameter i of an optimizer has the tensors that the update rule
// needs, all of one size.
func (s OptimizerParam) Check(kind OptimizerKind, i int) {
	op := fmt.Sprintf("optimizer: slot %d", i)
	if s.Value == nil || s.Group < 0 {
		panic(fmt.Sprintf("%s: value %v, group %d", op, s.Value, s.Group))
	}
	n := s.Value.Len()
	CheckLen(op, "value", s.Value, Float32, n)
	CheckLen(op, "grad", s.Grad, Float32, n)
	needs1, needs2 := false, false
	switch kind {
	case SGD:
	case Adam:
		needs1, needs2 = true, true
	case RMSProp:
		needs1 = true
	default:
		panic(fmt.Sprintf("optimizer: kind %d", kind))
	}
	if needs1 || s.State1 != nil {
		CheckLen(op, "state1", s.State1, Float32, n)
	}
	if needs2 || s.State2 != nil {
		CheckLen(op, "state2", s.State2, Float32, n)
	}
	if s.Copy == nil {
		return
	}
	if t := s.Copy.DType(); t != Float16 && t != BFloat16 {
		panic(fmt.Sprintf("%s: the copy is %v, want float16 or bfloat16", op, s.Copy))
	}
	CheckLen(op, "copy", s.Copy, s.Copy.DType(), n)
}

// CheckRows panics unless t is of the element type and the shape [n, rest...] with n at most
// limit, and returns n.
func CheckRows(op, operand string, t *Tensor, dtype DType, limit int, rest ...int) int {
	ok := t != nil && t.dtype == dtype && len(t.shape) == 1+len(rest)
	for i := 0; ok && i < len(rest); i++ {
		ok = t.shape[i+1] == rest[i]
	}
	if !ok {
		panic(fmt.Sprintf("%s: %s is %v, want %v%v", op, operand, t, dtype, append([]int{-1}, rest...)))
	}
	if t.Rows() > limit {
		panic(fmt.Sprintf("%s: %s is %v, the plan is for at most %d rows", op, operand, t, limit))
	}
	return t.Rows()
}

// CheckUpTo panics unless t is of the element type with at most limit elements, and returns the
// number of elements.
func CheckUpTo(op, operand string, t *Tensor, dtype DType, limit int) int {
	if t == nil || t.DType() != dtype || t.Len() > limit {
		panic(fmt.Sprintf("%s: %s is %v, want at most %d elements of %v", op, operand, t, limit, dtype))
	}
	return t.Len()
}

// CheckScaling panics unless t is nil or the state of a LossScaling.
func CheckScaling(op string, t *Tensor) {
	if t != nil {
		Check(op, "scaling", t, Float32, ScalingLen)
	}
}

// CheckFloat32 returns an ErrNotSupported unless the element type is Float32 or 0, which means Float32. It is for
// devices that don't implement MixedPrecision.
func CheckFloat32(dtypes ...DType) error {
	for _, t := range dtypes {
		if t.OrFloat32() != Float32 {
			return fmt.Errorf("elements of %v: %w", t, ErrNotSupported)
		}
	}
	return nil
}
