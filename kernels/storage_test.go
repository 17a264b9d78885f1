package kernels_test

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"testing"

	"trainer/kernels"
	"trainer/nn/device"
)

// storages are the storage types that most kernels are tested with.
func storages() []kernels.Storage {
	return []kernels.Storage{kernels.Float32, kernels.Float16, kernels.BFloat16}
}

// format is the exponent and mantissa bits of a storage type.
type format struct{ exponent, fraction int }

func formatOf(s kernels.Storage) format {
	switch s {
	case kernels.Float16:
		return format{5, 10}
	case kernels.BFloat16:
		return format{8, 7}
	}
	return format{8, 23}
}

func (f format) bytes() int { return (1 + f.exponent + f.fraction) / 8 }
func (f format) bias() int  { return 1<<(f.exponent-1) - 1 }

// spacing returns the distance between neighbouring numbers of the format around x.
func (f format) spacing(x float64) float64 {
	_, e := math.Frexp(x)
	return math.Ldexp(1, max(e-1, 1-f.bias())-f.fraction)
}

// round returns the nearest number of the format, ties to even.
func (f format) round(x float64) float64 {
	if x == 0 || math.IsNaN(x) || math.IsInf(x, 0) {
		return x
	}
	step := f.spacing(x)
	rounded := math.RoundToEven(x/step) * step
	if math.Abs(rounded) >= math.Ldexp(1, f.bias()+1) {
		return math.Inf(int(math.Copysign(1, x)))
	}
	return rounded
}

// bits returns the bit pattern of a number of the format.
func (f format) bits(x float64) uint32 {
	sign := uint32(0)
	if math.Signbit(x) {
		sign = 1 << (f.exponent + f.fraction)
	}
	x = math.Abs(x)
	switch {
	case math.IsNaN(x):
		return sign | (1<<f.exponent-1)<<f.fraction | 1<<(f.fraction-1)
	case math.IsInf(x, 0):
		return sign | (1<<f.exponent-1)<<f.fraction
	}
	steps := uint32(x / f.spacing(x)) // with the leading 1 of normal numbers
	if steps < 1<<f.fraction {
		return sign | steps
	}
	_, e := math.Frexp(x)
	return sign | (uint32(e-1+f.bias())<<f.fraction + steps - 1<<f.fraction)
}

// number returns the number that a bit pattern represents.
func (f format) number(bits uint32) float64 {
	fraction, exponent := float64(bits&(1<<f.fraction-1)), int(bits>>f.fraction)&(1<<f.exponent-1)
	sign := 1.0
	if bits>>(f.exponent+f.fraction) != 0 {
		sign = -1
	}
	switch exponent {
	case 1<<f.exponent - 1:
		if fraction != 0 {
			return math.NaN()
		}
		return math.Inf(int(sign))
	case 0:
		return math.Copysign(math.Ldexp(fraction, 1-f.bias()-f.fraction), sign)
	}
	return sign * math.Ldexp(1+math.Ldexp(fraction, -f.fraction), exponent-f.bias())
}

// encode returns the bytes of numbers, which the format must represent exactly.
func encode(s kernels.Storage, numbers []float64) []byte {
	f := formatOf(s)
	var b []byte
	for _, x := range numbers {
		if f.bytes() == 2 {
			b = binary.LittleEndian.AppendUint16(b, uint16(f.bits(x)))
		} else {
			b = binary.LittleEndian.AppendUint32(b, f.bits(x))
		}
	}
	return b
}

func decode(s kernels.Storage, b []byte) []float64 {
	f := formatOf(s)
	var numbers []float64
	for ; len(b) > 0; b = b[f.bytes():] {
		if f.bytes() == 2 {
			numbers = append(numbers, f.number(uint32(binary.LittleEndian.Uint16(b))))
		} else {
			numbers = append(numbers, f.number(binary.LittleEndian.Uint32(b)))
		}
	}
	return numbers
}

// int32s returns the bytes of numbers.
func int32s(numbers ...int32) []byte {
	var b []byte
	for _, n := range numbers {
		b = binary.LittleEndian.AppendUint32(b, uint32(n))
	}
	return b
}

func decodeInt32s(b []byte) []int32 {
	var numbers []int32
	for ; len(b) > 0; b = b[4:] {
		numbers = append(numbers, int32(binary.LittleEndian.Uint32(b)))
	}
	return numbers
}

// source is a sequence of random numbers that depends on its name.
type source struct {
	seed uint64
	next uint64
}

func newSource(name string) *source {
	h := fnv.New64a()
	h.Write([]byte(name))
	return &source{seed: h.Sum64()}
}

func (s *source) word() uint32 {
	s.next++
	return device.RandomWord(s.seed, 1, 0, s.next)
}

func (s *source) below(n int) int { return device.Below(s.word(), n) }

// between returns n numbers of the storage type in [low, high].
func (s *source) between(n int, low, high float64, as kernels.Storage) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = formatOf(as).round(low + (high-low)*float64(s.word())/(1<<32))
	}
	return v
}

func (s *source) values(n int, as kernels.Storage) []float64 { return s.between(n, -1, 1, as) }

func (s *source) octets(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(s.word())
	}
	return b
}

// sums holds what a reference computes in float64: values; for each value the sum of the absolute values of its
// terms ("magnitude"); and the allowed error of float32 arithmetic, in units of 2^-23 of the magnitude. Half a
// unit in the last place of the storage type is added to it. The bounds are those of nn/device/devicetest, which
// explains them:
//
//   - sumUlps(k) for a sum of k terms: six standard deviations of a random walk of roundings;
//   - elementwiseUlps for a handful of operations;
//   - functionUlps for exp, tanh and formulas around them.
type sums struct {
	value, magnitude []float64
	ulps             float64
}

const (
	elementwiseUlps = 4
	functionUlps    = 8
	ulp             = 0x1p-23
	flushed         = 0x1p-120 // magnitudes below this may underflow
)

func sumUlps(k int) float64 { return 2 + math.Sqrt(float64(k)) }

func newSums(n int, ulps float64) sums {
	return sums{make([]float64, n), make([]float64, n), ulps}
}

func (s sums) add(i int, term float64) {
	s.value[i] += term
	s.magnitude[i] += math.Abs(term)
}

func (s sums) set(i int, value, magnitude float64) { s.value[i], s.magnitude[i] = value, magnitude }

// check compares a result with its reference.
func (s sums) check(t *testing.T, what string, as kernels.Storage, got []byte) {
	t.Helper()
	s.checkNumbers(t, what, formatOf(as), decode(as, got))
}

func (s sums) checkNumbers(t *testing.T, what string, f format, got []float64) {
	t.Helper()
	if len(got) != len(s.value) {
		t.Errorf("%s: %d elements, want %d", what, len(got), len(s.value))
		return
	}
	wrong := 0
	for i, g := range got {
		want := s.value[i]
		slack := flushed + s.ulps*ulp*s.magnitude[i]
		if f.fraction < 23 {
			slack += f.spacing(math.Abs(want)+slack) / 2
		}
		switch {
		case math.IsNaN(want) && math.IsNaN(g), math.Abs(g-want) <= slack, math.IsInf(want, 0) && g == want:
			continue
		case math.IsInf(f.round(want), 0) && g == f.round(want):
			continue
		}
		if wrong++; wrong <= 3 {
			t.Errorf("%s: [%d] is %v, want %v, off by %.3g where %.3g is allowed", what, i, g, want, math.Abs(g-want), slack)
		}
	}
	if wrong > 3 {
		t.Errorf("%s: %d of %d elements are wrong", what, wrong, len(got))
	}
}

// The conversions of this test are right: every bit pattern survives a round trip, and ties go to even.
func TestFormats(t *testing.T) {
	for _, s := range []kernels.Storage{kernels.Float16, kernels.BFloat16} {
		f := formatOf(s)
		for b := range uint32(1 << 16) {
			if x := f.number(b); !math.IsNaN(x) && (f.bits(x) != b || f.round(x) != x) {
				t.Fatalf("%s: pattern %#x is %v, which is pattern %#x and rounds to %v", s, b, x, f.bits(x), f.round(x))
			}
		}
	}
	for _, b := range []uint32{0, 1, 0x7FFFFF, 0x800000, 0x3F800000, 0xC0490FDB, 0x7F7FFFFF, 0x7F800000, 0x80000000} {
		if got := formatOf(kernels.Float32).bits(float64(math.Float32frombits(b))); got != b {
			t.Errorf("float32 %#x becomes %#x", b, got)
		}
	}
	for x, want := range map[float64]float64{2049: 2048, 2051: 2052, 65519: 65504, 65520: math.Inf(1), 0x1p-25: 0, 0x1.8p-25: 0x1p-24} {
		if got := formatOf(kernels.Float16).round(x); got != want {
			t.Errorf("%v rounds to %v, want %v", x, got, want)
		}
	}
}

// ones returns n ones.
func ones(n int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = 1
	}
	return v
}

// name joins the parts of a subtest's name.
func name(parts ...any) string {
	text := ""
	for i, p := range parts {
		if i > 0 {
			text += "/"
		}
		text += fmt.Sprint(p)
	}
	return text
}
