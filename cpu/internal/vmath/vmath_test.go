package vmath

import (
	"math"
	"testing"
)

// sampleStep visits every 1009th float32: 4.2 million numbers, with all exponents and
// both signs.
const sampleStep = 1009

// eachSample calls visit for a dense sample of all float32 that are not NaN.
func eachSample(visit func(x float32)) {
	for b := uint64(0); b < 1<<32; b += sampleStep {
		if x := math.Float32frombits(uint32(b)); x == x {
			visit(x)
		}
	}
}

// ulps returns the distance between got and want, in units in the last place of want as a
// float32.
func ulps(got float32, want float64) float64 {
	if float64(got) == want {
		return 0
	}
	_, e := math.Frexp(want)
	return math.Abs(float64(got)-want) / math.Ldexp(1, max(e-24, -149))
}

func TestExpNegative(t *testing.T) {
	var worst float64
	var at float32
	check := func(x float32) {
		if x > 0 {
			return
		}
		want := math.Exp(float64(x))
		if want < 0x1p-126 {
			if got := ExpNegative(x); float64(got) > want*(1+0x1p-22) {
				t.Errorf("ExpNegative(%v) = %v, want %v or 0", x, got, want)
			}
			return
		}
		if u := ulps(ExpNegative(x), want); !(u <= worst) {
			worst, at = u, x
		}
	}
	eachSample(check)
	for x := float32(-90); x < 0; x += 1.0 / 16384 {
		check(x)
	}
	t.Logf("largest error %.3f ulp at %v", worst, at)
	if !(worst <= 1) {
		t.Errorf("ExpNegative(%v) = %v, want %v: %.2f ulp off", at, ExpNegative(at), math.Exp(float64(at)), worst)
	}
}

func TestExpm1Negative(t *testing.T) {
	testUlps(t, "Expm1Negative", Expm1Negative, math.Expm1, -100, 0, 3)
}

func TestLog1p(t *testing.T) { testUlps(t, "Log1p", Log1p, math.Log1p, 0, 1, 3) }

// testUlps compares f with a function in float64 at numbers from low to high, of all exponents.
func testUlps(t *testing.T, name string, f func(float32) float32, exact func(float64) float64, low, high float32, limit float64) {
	t.Helper()
	var worst float64
	var at float32
	check := func(x float32) {
		if x < low || x > high || math.Abs(exact(float64(x))) < 0x1p-126 {
			return
		}
		if u := ulps(f(x), exact(float64(x))); !(u <= worst) {
			worst, at = u, x
		}
	}
	eachSample(check)
	for i := range 1 << 20 {
		check(low + (high-low)*float32(i)/(1<<20))
	}
	t.Logf("largest error %.3f ulp at %v", worst, at)
	if !(worst <= limit) {
		t.Errorf("%s(%v) = %v, want %v: %.2f ulp off", name, at, f(at), exact(float64(at)), worst)
	}
}

func TestTanh(t *testing.T) {
	var worst float64
	var at float32
	check := func(x float32) {
		if u := ulps(Tanh(x), math.Tanh(float64(x))); !(u <= worst) {
			worst, at = u, x
		}
	}
	eachSample(check)
	for x := float32(-11); x < 11; x += 1.0 / 16384 {
		check(x)
	}
	t.Logf("largest error %.3f ulp at %v", worst, at)
	if !(worst <= 3) {
		t.Errorf("Tanh(%v) = %v, want %v: %.2f ulp off", at, Tanh(at), math.Tanh(float64(at)), worst)
	}
}

func TestNormal(t *testing.T) {
	var worstAbsolute, worstRelative float64
	check := func(x float32) {
		cdf, pdf := Normal(x)
		v := float64(x)
		wantCDF := math.Erfc(-v/math.Sqrt2) / 2
		wantPDF := math.Exp(-v*v/2) / math.Sqrt(2*math.Pi)
		absolute := math.Abs(float64(cdf) - wantCDF)
		worstAbsolute = math.Max(worstAbsolute, absolute)
		if absolute > 2.4e-7 || absolute != absolute {
			t.Fatalf("Normal(%v): cdf %v, want %v", x, cdf, wantCDF)
		}
		// From 13 on the results are subnormal.
		if math.Abs(v) > 13 {
			if math.Abs(float64(pdf)-wantPDF) > 1e-37 {
				t.Fatalf("Normal(%v): pdf %v, want %v", x, pdf, wantPDF)
			}
			return
		}
		unit := (4 + v*v) * 0x1p-23
		relative := math.Max(math.Abs(float64(cdf)-wantCDF)/wantCDF, math.Abs(float64(pdf)-wantPDF)/wantPDF) / unit
		worstRelative = math.Max(worstRelative, relative)
		if !(relative <= 1) {
			t.Fatalf("Normal(%v) = %v, %v, want %v, %v", x, cdf, pdf, wantCDF, wantPDF)
		}
	}
	eachSample(check)
	for x := float32(-15); x < 15; x += 1.0 / 8192 {
		check(x)
	}
	t.Logf("cdf off by at most %.3g; relative errors at most %.2f of what is stated", worstAbsolute, worstRelative)
}

// No function may turn NaN into a number, and the limits at infinity are exact.
func TestSpecialValues(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, v := range []float32{nan, -nan, math.Float32frombits(0xFFC00000)} {
		cdf, pdf := Normal(v)
		for name, got := range map[string]float32{"ExpNegative": ExpNegative(v), "Expm1Negative": Expm1Negative(v), "Log1p": Log1p(v), "Tanh": Tanh(v), "cdf": cdf, "pdf": pdf} {
			if got == got {
				t.Errorf("%s of NaN is %v", name, got)
			}
		}
	}
	upper, density := Normal(inf)
	lower, _ := Normal(-inf)
	for _, c := range []struct {
		name      string
		got, want float32
	}{
		{"ExpNegative(-Inf)", ExpNegative(-inf), 0}, {"ExpNegative(0)", ExpNegative(0), 1},
		{"Expm1Negative(-Inf)", Expm1Negative(-inf), -1}, {"Expm1Negative(0)", Expm1Negative(0), 0}, {"Log1p(0)", Log1p(0), 0},
		{"Tanh(+Inf)", Tanh(inf), 1}, {"Tanh(-Inf)", Tanh(-inf), -1}, {"Tanh(0)", Tanh(0), 0},
		{"Phi(+Inf)", upper, 1}, {"Phi(-Inf)", lower, 0}, {"pdf(+Inf)", density, 0},
	} {
		if c.got != c.want {
			t.Errorf("%s = %v, want %v", c.name, c.got, c.want)
		}
	}
	if !math.Signbit(float64(Tanh(float32(math.Copysign(0, -1))))) {
		t.Error("Tanh(-0) is not -0")
	}
}

func benchmark(b *testing.B, f func(float32) float32) {
	var x [1024]float32
	for i := range x {
		x[i] = float32(i*7919%1024)/128 - 4
	}
	var sum float32
	for b.Loop() {
		for _, v := range x {
			sum += f(v)
		}
	}
	if sum == 0.5 {
		b.Log(sum)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(x)), "ns/element")
}

func BenchmarkExpNegative(b *testing.B) {
	benchmark(b, func(x float32) float32 { return ExpNegative(x - 4) })
}

func BenchmarkTanh(b *testing.B) { benchmark(b, Tanh) }
func BenchmarkNormal(b *testing.B) {
	benchmark(b, func(x float32) float32 { c, p := Normal(x); return c + p })
}
