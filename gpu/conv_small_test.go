//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"errors"
	"strings"
	"testing"

	"trainer/nn/device"
)

// smallSpec is a convolution that conv_small.cu computes, and smallPool the pooling after it.
var (
	smallSpec = device.Conv2DSpec{
		N: 2, H: 9, W: 9, InC: 24, OutC: 16, KH: 3, KW: 3, StrideH: 1, StrideW: 1, PadH: 1, PadW: 1, DilationH: 1, DilationW: 1, Groups: 1, DType: device.Float16,
	}
	smallPool = device.Pool2DSpec{Mode: device.MaxPool, N: 2, H: 9, W: 9, C: 16, KH: 2, KW: 2, StrideH: 2, StrideW: 2, DType: device.Float16}
)

// smallPlan returns the plan, nil if the device doesn't fuse the two.
func smallPlan(t *testing.T, d *Device, s device.Conv2DSpec) *convPool {
	t.Helper()
	pool := smallPool
	pool.C, pool.DType = s.OutC, s.DType
	plan, err := d.NewConv2DMaxPool(s, pool, false)
	if errors.Is(err, device.ErrNotSupported) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return plan.(*convPool)
}

// The kernels are for few channels, 16 bits, and compute capability 8.0 and newer; cuDNN has the gradients of filters for which
// shared memory has no room.
func TestSmallConvolutions(t *testing.T) {
	change := func(f func(s *device.Conv2DSpec)) device.Conv2DSpec {
		s := smallSpec
		f(&s)
		return s
	}
	for _, c := range []struct {
		name      string
		settings  string
		spec      device.Conv2DSpec
		own       bool
		gradients bool
	}{
		{"float16", "cc=80", smallSpec, true, true},
		{"bfloat16", "cc=90", change(func(s *device.Conv2DSpec) { s.DType = device.BFloat16 }), true, true},
		{"many filters", "cc=80", change(func(s *device.Conv2DSpec) { s.OutC = 128 }), true, false},
		{"float32", "cc=90", change(func(s *device.Conv2DSpec) { s.DType = device.Float32 }), false, false},
		{"an old GPU", "cc=75", smallSpec, false, false},
		{"many channels", "cc=90", change(func(s *device.Conv2DSpec) { s.InC = 64 }), false, false},
		{"a bias, and a row left over", "cc=90", change(func(s *device.Conv2DSpec) { s.Bias = true }), false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			emulate(t, c.settings)
			p := smallPlan(t, open(t, WithPrecision(FP32)), c.spec)
			if (p != nil) != c.own {
				t.Fatalf("an own plan: %v", p != nil)
			}
			if c.own && p.small.gradients != c.gradients {
				t.Errorf("own gradients: %v; %s", p.small.gradients, p.Algorithm())
			}
			if c.own && (p.between == nil) != c.gradients {
				t.Errorf("the images before pooling have memory: %v", p.between != nil)
			}
		})
	}
}

// With WithAutotune the faster way is kept: the one that was measured, or the one of an earlier measurement.
func TestAutotuneOfSmallConvolutions(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", cacheHome(t))
	emulate(t, "cc=90")
	d := open(t, WithPrecision(FP32), WithAutotune())
	first := smallPlan(t, d, smallSpec) != nil
	var winner *cachedWinner
	for key, e := range d.algorithms.known {
		if strings.HasSuffix(key, ", max pooling") {
			winner = e.Winner
		}
	}
	if winner == nil || winner.Own != first || winner.Time <= 0 {
		t.Fatalf("an own plan: %v, and %+v is kept", first, winner)
	}
	for _, own := range []bool{true, false} {
		winner.Own = own
		if got := smallPlan(t, d, smallSpec) != nil; got != own {
			t.Errorf("an own plan: %v, the faster one: %v", got, own)
		}
	}
}
