package kernels_test

import (
	"math"
	"testing"

	"trainer/kernels"
)

// castNumbers returns the numbers of a type to test conversions to another type with: all numbers of a
// 16-bit type; for float32, the neighbourhoods of the points where the rounded result changes.
func castNumbers(from, to kernels.Storage) []float64 {
	f := formatOf(from)
	var numbers []float64
	if f.bytes() == 2 {
		for b := range uint32(1 << 16) {
			numbers = append(numbers, f.number(b))
		}
		return numbers
	}
	for b := uint32(0); b < 1<<15; b += 1 + b%17 {
		low, high := formatOf(to).number(b), formatOf(to).number(b+1)
		if math.IsNaN(low) || math.IsNaN(high) || math.IsInf(high, 0) {
			continue
		}
		middle := math.Float32bits(float32((low + high) / 2)) // exact in float32
		for _, bits := range []uint32{middle - 1, middle, middle + 1, middle | 1<<31, math.Float32bits(float32(low))} {
			numbers = append(numbers, f.number(bits))
		}
	}
	for _, x := range []float64{65504, 65519.996, 65520, 65536, math.MaxFloat32, 0x1p-149, 0x1p-134, math.Inf(1), 0, math.NaN()} {
		numbers = append(numbers, f.round(x), f.round(-x))
	}
	return numbers
}

// castKernel returns the kernel that converts.
func castKernel(from, to kernels.Storage) kernels.Name {
	switch {
	case from == kernels.Float32:
		return kernels.CastFromFloat32.In(to)
	case to == kernels.Float32:
		return kernels.CastToFloat32.In(from)
	case to == kernels.Float16:
		return kernels.CastToFloat16.In(from)
	}
	return kernels.CastFromFloat16.In(to)
}

func TestCast(t *testing.T) {
	for _, from := range storages() {
		for _, to := range storages() {
			if from == to {
				continue
			}
			numbers := castNumbers(from, to)
			for _, n := range []int{1, 7, len(numbers)} {
				t.Run(name(from, to, n), func(t *testing.T) { testCast(t, from, to, numbers[len(numbers)-n:], 0) })
			}
			t.Run(name(from, to, "unaligned"), func(t *testing.T) { testCast(t, from, to, numbers[:99], formatOf(from).bytes()) })
		}
	}
}

// testCast converts with the kernel, and with the kernel for lists if there is one.
func testCast(t *testing.T, from, to kernels.Storage, numbers []float64, shift int) {
	n := len(numbers)
	results := run(t, func(h *host) []pointer {
		src, dst := h.uploadAt(shift, encode(from, numbers)), h.blank(n*formatOf(to).bytes())
		h.launch(castKernel(from, to), kernels.FourPerThread(n), dst, src, n)
		list, storage := kernels.CastListFromFloat32, to
		switch {
		case to == kernels.Float32:
			list, storage = kernels.CastListToFloat32, from
		case from != kernels.Float32:
			return []pointer{dst}
		}
		first, second := h.blank(n*formatOf(to).bytes()), h.blank(formatOf(to).bytes())
		chunks, grid := chunksOf(h, []int{n, 1})
		h.launch(list.In(storage), grid, h.table([][]pointer{{first, src}, {second, src}}), chunks)
		return []pointer{dst, first, second}
	})
	for i, result := range results {
		for k, got := range decode(to, result) {
			want := formatOf(to).round(numbers[k])
			same := got == want && math.Signbit(got) == math.Signbit(want)
			if !same && !(math.IsNaN(got) && math.IsNaN(want)) {
				t.Fatalf("result %d: %v became %v, want %v", i, numbers[k], got, want)
			}
		}
	}
}
