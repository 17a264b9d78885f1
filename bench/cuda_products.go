package bench

import (
	"errors"
	"slices"
	"strconv"
	"testing"

	"trainer/gpu"
	"trainer/nn/device"
	"trainer/nn/device/devicetest"
)

// peakSizes are the sizes of two square matrix products; the faster one is taken as the peak of a
// precision. The vendor's library computes them on random numbers, through this project's plan.
var peakSizes = []int{4096, 8192}

// peak returns the floating-point operations per second of the faster large product, measured once. It is
// not a case itself: b is the case that needs it.
func (a *accelerator) peak(b *testing.B, d device.Device, p gpu.Precision) float64 {
	b.Helper()
	if known := a.peaks[p]; known > 0 || a.dry {
		return known
	}
	for _, n := range peakSizes {
		b.Run("peak-"+strconv.Itoa(n), func(b *testing.B) {
			s := a.sample(b, d, product(b, d, p, n))
			flops := 2 * float64(n) * float64(n) * float64(n)
			rate(b, s, flops/1e12, "TFLOP/s")
			if vendor := datasheet(d.Info().Description, p); vendor > 0 {
				b.ReportMetric(100*flops/s.median()/vendor, "%datasheet")
			}
			a.peaks[p] = max(a.peaks[p], flops/s.median())
		})
	}
	return a.peaks[p]
}

// flops reports TFLOP/s, and the percentage of the peak.
func (a *accelerator) flops(b *testing.B, s samples, each, peak float64) {
	if s == nil {
		return
	}
	rate(b, s, each/1e12, "TFLOP/s")
	if peak > 0 {
		b.ReportMetric(100*each/s.median()/peak, "%peak")
	}
}

// runProducts measures the operations of a compute-bound group in every precision.
func (a *accelerator) runProducts(b *testing.B, group devicetest.Group) {
	a.eachPrecision(b, func(b *testing.B, d device.Device, p gpu.Precision) {
		peak := a.peak(b, d, p)
		o := a.operands(b, d, p.DType())
		for _, op := range devicetest.Operations() {
			if op.Group != group || !slices.Contains(op.Types, p.DType()) {
				continue
			}
			for _, c := range op.Calls(devicetest.Huge) {
				b.Run(c.Name, func(b *testing.B) {
					w := makeCall(b, o, c)
					a.flops(b, a.sample(b, d, kernel(w.Run)), float64(w.FLOPs), peak)
				})
			}
		}
	})
}

func (a *accelerator) runGEMM(b *testing.B) { a.runProducts(b, devicetest.Products) }
func (a *accelerator) runConv(b *testing.B) { a.runProducts(b, devicetest.Convolutions) }

// operands returns what makes the operands of calls.
func (a *accelerator) operands(b *testing.B, d device.Device, dtype device.DType) *devicetest.Operands {
	o := devicetest.NewOperands(b, d, dtype, devicetest.Huge)
	o.Dry = a.dry
	return o
}

// makeCall makes the plan and the operands of a call. The case is skipped if the device lacks it.
func makeCall(b *testing.B, o *devicetest.Operands, c devicetest.Call) devicetest.Work {
	b.Helper()
	w, err := c.Make(o.Reusing(b))
	if errors.Is(err, device.ErrNotSupported) {
		b.Skip(err)
	}
	check(b, err)
	return w
}

// product returns the work of a square matrix product in a precision.
func product(b *testing.B, d device.Device, p gpu.Precision, n int) work {
	b.Helper()
	plan := must(d.NewMatMul(device.MatMulSpec{M: n, N: n, K: n, DType: p.DType(), Out: p.DType()}))(b)
	var t [3]*device.Tensor
	for i := range t {
		t[i] = must(RandomTensorOf(d, p.DType(), n, n))(b)
	}
	return kernel(func() { plan.Run(t[0], t[1], t[2], nil) })
}
