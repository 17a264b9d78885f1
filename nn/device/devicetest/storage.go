package devicetest

import (
	"errors"
	"fmt"
	"testing"

	"trainer/nn/device"
)

// testStorage returns the suite of one 16-bit type: every plan whose spec has a DType, on tensors of it. Convolutions with
// pooling in the same plan are left out: where neighbours round to the same number, the place of their maximum is open.
func testStorage(dtype device.DType) func(*testing.T, device.Device, Options) {
	return func(t *testing.T, dev device.Device, opt Options) {
		mixed, ok := dev.(device.MixedPrecision)
		if !ok {
			testRefusal(t, dev, dtype)
			return
		}
		opt.storage = dtype
		for _, s := range []struct {
			name string
			run  func(*testing.T, device.Device, Options)
		}{
			{"conv2d", testConv2D},
			{"pool2d", testPool2D},
			{"matmul", testMatMul},
			{"batchnorm", testBatchNorm},
			{"activation", testActivation},
			{"dropout", testDropout},
			{"combine", testCombine},
			{"reduce", testReduce},
			{"augment", testAugment},
			{"fused-batchnorm", testFusedBatchNorm},
			{"fused-pool2d", testFusedPool2D},
			{"fused-epilogue", testFusedEpilogue},
		} {
			t.Run(s.name, func(t *testing.T) { s.run(t, dev, opt) })
		}
		t.Run("range", func(t *testing.T) { testRange(t, dev, opt) })
		t.Run("cast-list", func(t *testing.T) { testCastList(t, dev, opt, mixed) })
	}
}

// testRefusal checks that a device without 16-bit storage says so, for every plan.
func testRefusal(t *testing.T, dev device.Device, dtype device.DType) {
	conv := ConvCases()[1].Spec
	conv.DType = dtype
	pool := device.Pool2DSpec{Mode: device.MaxPool, N: 1, H: 4, W: 4, C: 2, KH: 2, KW: 2, StrideH: 2, StrideW: 2, DType: dtype}
	product := device.MatMulSpec{M: 2, N: 2, K: 2, DType: dtype}
	norm := device.BatchNormSpec{Rows: 4, C: 2, DType: dtype}
	refused := map[string]error{
		"conv2d":     refusal(dev.NewConv2D(conv)),
		"pool2d":     refusal(dev.NewPool2D(pool)),
		"matmul":     refusal(dev.NewMatMul(product)),
		"matmul out": refusal(dev.NewMatMul(device.MatMulSpec{M: 2, N: 2, K: 2, Out: dtype})),
		"batchnorm":  refusal(dev.NewBatchNorm(norm)),
		"activation": refusal(dev.NewActivation(device.ActivationSpec{Function: reluFunction(), Len: 4, DType: dtype})),
		"dropout":    refusal(dev.NewDropout(device.DropoutSpec{Len: 4, DType: dtype})),
		"combine":    refusal(dev.NewWeightedSum(device.WeightedSumSpec{Len: 4, Alpha: 1, DType: dtype})),
		"reduce":     refusal(dev.NewReduce(device.ReduceSpec{Kind: device.ReduceSum, Rows: 2, C: 2, DType: dtype})),
		"augment": refusal(dev.NewAugment(device.AugmentSpec{
			N: 1, H: 2, W: 2, C: 1, Mean: []float32{0}, Std: []float32{1}, DType: dtype,
		})),
	}
	if fused, ok := dev.(device.FusedBatchNorm); ok {
		refused["fused batchnorm"] = refusal(fused.NewBatchNormActivation(norm, reluFunction()))
	}
	if fused, ok := dev.(device.FusedPool2D); ok {
		refused["fused pool2d"] = refusal(fused.NewPool2DReLU(pool))
	}
	if fused, ok := dev.(device.FusedEpilogue); ok {
		refused["fused conv2d"], refused["fused matmul"] = refusal(fused.NewConv2DReLU(conv)), refusal(fused.NewMatMulReLU(product))
	}
	if fused, ok := dev.(device.FusedConvPool); ok {
		pooled := device.Pool2DSpec{
			Mode: device.MaxPool, N: conv.N, H: conv.OutH(), W: conv.OutW(), C: conv.OutC, KH: 2, KW: 2, StrideH: 2, StrideW: 2, DType: dtype,
		}
		refused["conv2d with pooling"] = refusal(fused.NewConv2DMaxPool(conv, pooled, true))
	}
	for name, err := range refused {
		if !errors.Is(err, device.ErrNotSupported) {
			t.Errorf("%s of %v: the error is %v, want one that is ErrNotSupported from a device without MixedPrecision", name, dtype, err)
		}
	}
}

// refusal returns the error of a New method.
func refusal[P any](_ P, err error) error { return err }

// testRange checks what happens at the ends of the type's range: what is too large becomes infinite, what is too
// small 0 or subnormal, by rounding alone, as sums of twice and half the type's extreme numbers.
func testRange(t *testing.T, dev device.Device, opt Options) {
	f := formatOf(opt.dtype())
	largest, smallest := f.largest(), f.spacing(0)
	var data []float32
	for _, x := range []float64{largest, largest / 2, largest * 0.75, 1, 0} {
		data = append(data, float32(f.round(x)), float32(-f.round(x)))
	}
	if opt.dtype() == device.Float16 { // bfloat16's are subnormal in float32 too, and may be flushed
		for k := range 8 {
			data = append(data, float32(float64(k)*smallest), float32(-float64(k)*smallest))
		}
	}
	for _, alpha := range []float32{2, 1, 0.5, 0.25} {
		t.Run(fmt.Sprintf("times-%v", alpha), func(t *testing.T) {
			combine := plan(dev.NewWeightedSum(device.WeightedSumSpec{Len: len(data), Alpha: alpha, DType: opt.storage}))(t)
			r := newRig(t, dev, opt)
			a, y := r.input("a", data, len(data)), r.output("y", len(data))
			r.run(func() { combine.Run(y, a, nil) })
			wrong := mismatches{total: len(data)}
			for i, got := range unpack(opt.dtype(), r.bits(y)) {
				// The product is exact in float32, so that the result is too.
				if want := f.round(float64(alpha) * float64(data[i])); got != want {
					wrong.add("%v times %v is %v, want %v", alpha, data[i], got, want)
				}
			}
			if err := wrong.err(); err != nil {
				t.Error(err)
			}
		})
	}
}
